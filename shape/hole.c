/* hole.c - what each ray of a defective skull is: see hole.h. Test: tests/shape/test_hole.c */
#include "shape/hole.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

const struct hole_config hole_default = {.grow_mm = 6,
                                         .odd_sd = 5,
                                         .odd_mm = 6,
                                         .end_mm = 5,
                                         .dense_mm = 8,
                                         .stride = 4,
                                         .min_hole_mm2 = 60,
                                         .empty_share = 0.25};

struct hole_work {
    const struct disc *disc;
    const struct radial_map *map, *mean, *sd;
    const uint8_t *good, *sure, *met;
    const struct hole_config *config;
    uint8_t *missing, *marked;   /* rays */
    float *from_hole, *from_gap; /* mm to the nearest ray of a hole, of any gap */
};

static enum status hole_alloc(struct hole *hole, struct hole_work *work, struct error *error)
{
    const size_t n = (size_t)work->disc->n_rays;
    hole->n_rays = work->disc->n_rays;
    hole->class = memory_zalloc(n, sizeof *hole->class);
    hole->part = memory_zalloc(n, sizeof *hole->part);
    hole->seen = memory_alloc(n, sizeof *hole->seen);
    hole->unseen = memory_alloc(n, sizeof *hole->unseen);
    work->missing = memory_zalloc(n, 1);
    work->marked = memory_zalloc(n, 1);
    work->from_hole = memory_alloc(n, sizeof *work->from_hole);
    work->from_gap = memory_alloc(n, sizeof *work->from_gap);
    const bool ok = hole->class && hole->part && hole->seen && hole->unseen && work->missing && work->marked &&
                    work->from_hole && work->from_gap;
    return ok ? STATUS_OK : error_memory(error, n * 16, "the rays of a hole");
}

static void hole_work_done(struct hole_work *work)
{
    memory_free(work->missing);
    memory_free(work->marked);
    memory_free(work->from_hole);
    memory_free(work->from_gap);
}

void hole_done(struct hole *hole)
{
    memory_free(hole->class);
    memory_free(hole->part);
    memory_free(hole->seen);
    memory_free(hole->unseen);
    *hole = (struct hole){0};
}

/* The volume ends before the outer surface can be met, or begins behind it. */
static bool hole_ray_ends(const struct hole_work *work, int64_t k)
{
    const float beyond = fmaxf(2 * work->sd->outer[k], (float)work->config->end_mm);
    const float before = fmaxf(2 * work->sd->inner[k], (float)work->config->end_mm);
    return work->map->leave[k] < work->mean->outer[k] + beyond || work->map->enter[k] > work->mean->inner[k] - before;
}

/* Farther from the mean than heads are: metal, a strap, a loose piece. */
static bool hole_ray_is_odd(const struct hole_work *work, int64_t k)
{
    const double odd_mm = work->config->odd_mm, odd_sd = work->config->odd_sd;
    const double inner = fabs((double)work->map->inner[k] - (double)work->mean->inner[k]);
    const double outer = fabs((double)work->map->outer[k] - (double)work->mean->outer[k]);
    return inner > fmax(odd_sd * (double)work->sd->inner[k], odd_mm) ||
           outer > fmax(odd_sd * (double)work->sd->outer[k], odd_mm);
}

struct hole_part {
    int64_t size, n_rays; /* rays that tell of a hole, all rays */
    int32_t label;
};

static int hole_part_compare(const void *a, const void *b)
{
    const struct hole_part *u = a, *v = b;
    if (u->size != v->size)
        return u->size > v->size ? -1 : 1;
    return u->label < v->label ? -1 : 1;
}

/* Parts of what is missing among the good rays, the largest first; hole->part gets their numbers, small ones 0. */
static enum status hole_number(struct hole *hole, const struct hole_work *work, struct error *error)
{
    int64_t n = 0;
    if (disc_components(hole->part, &n, work->disc, work->marked, error))
        return STATUS_FAILED;
    struct hole_part *parts = memory_zalloc((size_t)n + 1, sizeof *parts);
    int32_t *number = memory_zalloc((size_t)n + 1, sizeof *number);
    enum status status =
        parts && number ? STATUS_OK : error_memory(error, (size_t)n * sizeof *parts, "the parts of a hole");
    if (!status) {
        for (int64_t i = 0; i <= n; i++)
            parts[i].label = (int32_t)i;
        for (int64_t k = 0; k < hole->n_rays; k++) {
            struct hole_part *part = &parts[hole->part[k]];
            part->n_rays += hole->part[k] > 0;
            part->size += hole->part[k] > 0 && (!work->sure || work->sure[k]) && !(work->met && work->met[k]);
        }
        for (int64_t i = 0; i <= n; i++)
            if ((double)parts[i].size < work->config->empty_share * (double)parts[i].n_rays)
                parts[i].size = 0;
        qsort(parts, (size_t)n + 1, sizeof *parts, hole_part_compare);

        const double pixel_mm = DISC_HEAD_RADIUS_MM * work->disc->step;
        for (int64_t i = 0; i <= n && (double)parts[i].size * pixel_mm * pixel_mm >= work->config->min_hole_mm2; i++)
            number[parts[i].label] = (int32_t)++hole->n_parts;
        for (int64_t k = 0; k < hole->n_rays; k++)
            hole->part[k] = number[hole->part[k]];
    }
    memory_free(number);
    memory_free(parts);
    return status;
}

/* Every hole grown by grow_mm over the good rays; a grown ray belongs to the nearest hole, the larger of two as near.
 */
static enum status hole_grow(struct hole *hole, const struct hole_work *work, struct error *error)
{
    float *away = memory_alloc((size_t)hole->n_rays, sizeof *away),
          *nearest = memory_alloc((size_t)hole->n_rays, sizeof *nearest);
    int32_t *core = memory_alloc((size_t)hole->n_rays, sizeof *core);
    enum status status = away && nearest && core
                             ? STATUS_OK
                             : error_memory(error, (size_t)hole->n_rays * sizeof *away, "growing a hole");
    for (int64_t k = 0; k < hole->n_rays && !status; k++) {
        core[k] = hole->part[k];
        hole->part[k] = 0;
        nearest[k] = INFINITY;
    }
    for (int32_t part = 1; part <= hole->n_parts && !status; part++) {
        for (int64_t k = 0; k < hole->n_rays; k++)
            work->marked[k] = core[k] == part;
        status = disc_distance(away, work->disc, work->marked, error);
        for (int64_t k = 0; k < hole->n_rays && !status; k++)
            if (work->good[k] && !hole_ray_ends(work, k) && away[k] <= (float)work->config->grow_mm &&
                away[k] < nearest[k]) {
                nearest[k] = away[k];
                hole->part[k] = part;
            }
    }
    memory_free(core);
    memory_free(nearest);
    memory_free(away);
    return status;
}

static void hole_classify(struct hole *hole, const struct hole_work *work)
{
    const struct radial_map *map = work->map;
    for (int64_t k = 0; k < hole->n_rays; k++) {
        const bool finite = isfinite(map->inner[k]) && isfinite(map->outer[k]);
        if (hole->part[k])
            hole->class[k] = RAY_HOLE;
        else if (!work->good[k])
            hole->class[k] = RAY_UNKNOWN;
        else if (!finite)
            hole->class[k] = hole_ray_ends(work, k) ? RAY_OUTSIDE : RAY_DOUBTFUL;
        else if (map->outer[k] > map->leave[k] - 1 || hole_ray_is_odd(work, k) ||
                 work->from_gap[k] <= (float)work->config->grow_mm)
            hole->class[k] = RAY_DOUBTFUL;
        else
            hole->class[k] = RAY_OBSERVED;
    }
}

/* All observed rays near a hole, one in stride x stride elsewhere. */
static void hole_choose(struct hole *hole, const struct hole_work *work)
{
    const int64_t n = work->disc->n, stride = work->config->stride;
    for (int64_t k = 0; k < hole->n_rays; k++) {
        const int64_t p = work->disc->pixel[k];
        const bool dense =
            work->from_hole[k] <= (float)work->config->dense_mm || (p / n % stride == 0 && p % n % stride == 0);
        if (hole->class[k] == RAY_OBSERVED && dense)
            hole->seen[hole->n_seen++] = (int32_t)k;
        else if (hole->class[k] == RAY_HOLE)
            hole->unseen[hole->n_unseen++] = (int32_t)k;
    }
}

enum status hole_find(struct hole *ret, const struct hole_given *given, const struct hole_config *config,
                      struct error *error)
{
    const struct disc *disc = given->disc;
    struct hole hole = {0};
    struct hole_work work = {.disc = disc,
                             .map = given->map,
                             .mean = given->mean,
                             .sd = given->sd,
                             .good = given->good,
                             .sure = given->sure,
                             .met = given->met,
                             .config = config};
    enum status status = hole_alloc(&hole, &work, error);
    for (int64_t k = 0; k < disc->n_rays && !status; k++) {
        const bool met = isfinite(given->map->outer[k]);
        work.missing[k] = !met;
        work.marked[k] = !met && given->good[k] && !hole_ray_ends(&work, k);
    }

    if (!status)
        status = hole_number(&hole, &work, error);
    if (!status)
        status = hole_grow(&hole, &work, error);
    for (int64_t k = 0; k < disc->n_rays && !status; k++)
        work.marked[k] = hole.part[k] > 0;
    if (!status)
        status = disc_distance(work.from_hole, disc, work.marked, error);
    if (!status)
        status = disc_distance(work.from_gap, disc, work.missing, error);
    if (!status) {
        hole_classify(&hole, &work);
        hole_choose(&hole, &work);
    }
    hole_work_done(&work);
    if (status)
        hole_done(&hole);
    else
        *ret = hole;
    return status;
}
