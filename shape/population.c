/* population.c - see population.h. Tests: tests/shape/test_covariance.c (golden numbers), tests/shape/test_gaussian.c
 * (a head left out) */
#include "shape/population.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/pose.h"

/* ---- mean and factors ---- */

#define INNER_SD_MM 3.0 /* of posed heads: 165 have 2.4 and 1.6 mm on average, more at brows and temples */
#define OUTER_SD_MM 2.5
#define PRIOR_HEADS 4.0 /* the weight of these, in heads */

int64_t heads_n_centre(const struct heads *heads)
{
    int64_t n = 0;
    for (int64_t h = 0; h < heads->n; h++)
        n += heads_in_centre(heads, h);
    return n;
}

/* Head h of the field, or its mirror image: a ray's value is that of the ray on the other side. */
static float population_value(const struct heads *heads, const struct disc *disc, int64_t h, bool mirrored, int64_t ray,
                              int surface)
{
    const int64_t from = mirrored ? disc->mirror[ray] : ray;
    return heads->map[(h * heads->n_rays + from) * 2 + surface];
}

/* Mean over the heads, and their mirror images, that belong to the centre or to the others; NaN: none has a value. */
static double population_mean(const struct population *population, const struct heads *heads, const int64_t *kept,
                              bool centre, int64_t ray, int surface)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t k = 0; k < 2 * population->n_heads; k++) {
        if (heads_in_centre(heads, kept[k / 2]) != centre)
            continue;
        const float value = population_value(heads, population->disc, kept[k / 2], k & 1, ray, surface);
        sum += isfinite(value) ? value : 0;
        count += isfinite(value);
    }
    return count ? sum / (double)count : NAN;
}

/* What few heads do not show of their spread is taken from many: see population.h. */
static double population_predictive(double sd, int64_t n, int surface)
{
    const double many_mm = surface ? OUTER_SD_MM : INNER_SD_MM, spread = isfinite(sd) ? sd * sd : 0;
    const double variance =
        (PRIOR_HEADS * many_mm * many_mm + (double)(n - 1) * spread) / (PRIOR_HEADS + (double)(n - 1));
    return sqrt(variance * (1 + 1 / (double)n));
}

/* Mean, deviations and spread of one radius. A head without a value there adds to neither. */
static void population_radius(struct population *population, const struct heads *heads, const int64_t *kept,
                              int64_t ray, int surface)
{
    const int64_t n = population->n_heads, m = population->n_factors;
    float *factor = population->factor + (ray * 2 + surface) * m;
    const double norm = 1 / sqrt((double)(2 * n - 1));
    const double mean = population_mean(population, heads, kept, true, ray, surface);
    const double others = heads->centre ? population_mean(population, heads, kept, false, ray, surface) : NAN;
    double squares = 0;
    for (int64_t k = 0; k < 2 * n; k++) {
        const float value = population_value(heads, population->disc, kept[k / 2], k & 1, ray, surface);
        const double from = heads_in_centre(heads, kept[k / 2]) ? mean : others;
        const double deviation = isfinite(value) ? value - from : 0;
        factor[k] = (float)(deviation * norm);
        squares += deviation * deviation;
    }
    for (int64_t k = 0; k < heads->n_spread; k++) {
        const double row = heads->spread[(k * heads->n_rays + ray) * 2 + surface];
        factor[2 * n + k] = (float)(row * norm);
        squares += row * row;
    }

    const double sd = sqrt(squares / (double)(2 * n));
    (surface ? population->mean.outer : population->mean.inner)[ray] = (float)mean;
    (surface ? population->sd.outer : population->sd.inner)[ray] = (float)sd;
    (surface ? population->predictive.outer : population->predictive.inner)[ray] =
        (float)population_predictive(sd, population->n_mean, surface);
}

/* ---- pose modes ---- */

/* What the k-th small error of a pose does to a canonical point: turned 1 degree, moved 1 mm, stretched by 1 %. */
static void population_move(double q[3], int k)
{
    const double degree = 3.14159265358979323846 / 180;
    if (k < 3) {
        double turn[3][3], vector[3] = {0}, moved[3];
        vector[k] = degree;
        pose_rotation(turn, vector);
        for (int a = 0; a < 3; a++)
            moved[a] = turn[a][0] * q[0] + turn[a][1] * q[1] + turn[a][2] * q[2];
        memcpy(q, moved, sizeof moved);
    } else if (k < 6)
        q[k - 3] += 1;
    else
        q[k - 6] *= 1.01;
}

/* First order: |q| - mean(q / |q|) at the moved point q of the mean surface. */
static void population_mode(struct population *population, const float *image, int surface)
{
    const struct disc *disc = population->disc;
    const float *mean = surface ? population->mean.outer : population->mean.inner;
#pragma omp parallel for schedule(static)
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        for (int k = 0; k < POSE_MODES; k++) {
            double q[3], at[2];
            for (int a = 0; a < 3; a++)
                q[a] = disc->ray[ray][a] * mean[ray];
            population_move(q, k);
            const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
            float change = 0;
            if (isfinite(r) && r > 0) {
                const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
                disc_locate(disc, direction, at);
                change = (float)(r - disc_sample(disc, image, at));
            }
            population->mode[(ray * 2 + surface) * POSE_MODES + k] = isfinite(change) ? change : 0;
        }
}

static enum status population_modes(struct population *population, struct error *error)
{
    const int64_t n = population->disc->n;
    float *image = memory_alloc((size_t)(n * n), sizeof *image);
    if (!image)
        return error_memory(error, (size_t)(n * n) * sizeof *image, "the mean map");
    enum status status = STATUS_OK;
    for (int surface = 0; surface < 2 && !status; surface++) {
        status = disc_image(image, population->disc, surface ? population->mean.outer : population->mean.inner, error);
        if (!status)
            population_mode(population, image, surface);
    }
    memory_free(image);
    return status;
}

/* ---- all ---- */

enum status population_new(struct population *ret, const struct disc *disc, const struct heads *heads, int32_t without,
                           struct error *error)
{
    struct population population = {.disc = disc};
    int64_t *kept = memory_alloc((size_t)heads->n, sizeof *kept);
    if (!kept)
        return error_memory(error, (size_t)heads->n * sizeof *kept, "the heads of the model");
    for (int64_t h = 0; h < heads->n; h++)
        if (without < 0 || heads->group[h] != without)
            kept[population.n_heads++] = h;
    for (int64_t k = 0; k < population.n_heads; k++)
        population.n_mean += heads_in_centre(heads, kept[k]);
    if (population.n_heads < 2 || population.n_mean < 1) {
        memory_free(kept);
        return error_set(error, STATUS_FAILED,
                         "shape model: %lld heads are left, %lld of the centre: too few for a covariance (at least 2 "
                         "are needed, 1 of the centre)",
                         (long long)population.n_heads, (long long)population.n_mean);
    }
    population.n_factors = 2 * population.n_heads + heads->n_spread;

    const int64_t n = disc->n_rays;
    population.factor = memory_alloc((size_t)(2 * n * population.n_factors), sizeof *population.factor);
    population.mode = memory_alloc((size_t)(2 * n * POSE_MODES), sizeof *population.mode);
    enum status status = STATUS_OK;
    population.rough = memory_zalloc((size_t)(2 * n), sizeof *population.rough);
    population.scale = memory_alloc((size_t)(2 * n), sizeof *population.scale);
    if (!population.factor || !population.mode || !population.rough || !population.scale)
        status = error_memory(error, (size_t)(2 * n * population.n_factors) * sizeof *population.factor,
                              "the covariance's factors");
    if (!status)
        status = radial_map_new(&population.mean, n, error);
    if (!status)
        status = radial_map_new(&population.sd, n, error);
    if (!status)
        status = radial_map_new(&population.predictive, n, error);
    if (!status) {
        for (int64_t k = 0; k < 2 * n; k++)
            population.scale[k] = heads->scale ? heads->scale[k] : 1;
        if (heads->rough)
            memcpy(population.rough, heads->rough, (size_t)(2 * n) * sizeof *population.rough);
#pragma omp parallel for schedule(static)
        for (int64_t ray = 0; ray < n; ray++)
            for (int surface = 0; surface < 2; surface++)
                population_radius(&population, heads, kept, ray, surface);
        status = population_modes(&population, error);
    }
    memory_free(kept);
    if (status)
        population_done(&population);
    else
        *ret = population;
    return status;
}

void population_done(struct population *population)
{
    memory_free(population->factor);
    memory_free(population->mode);
    memory_free(population->rough);
    memory_free(population->scale);
    radial_map_done(&population->mean);
    radial_map_done(&population->sd);
    radial_map_done(&population->predictive);
    population->factor = population->mode = population->rough = population->scale = NULL;
}

/* ---- roughness ---- */

#define ROUGH_SMOOTH 2.0 /* pixels */
#define ROUGH_SPREAD 1.5

/* values over good rays into an image, smoothed there and divided by what the good rays themselves give. */
static enum status rough_smooth(float *image, const float *weight, double sigma, const struct disc *disc,
                                struct error *error)
{
    if (disc_smooth(image, disc, sigma, error))
        return error->status;
    for (int64_t p = 0; p < disc->n * disc->n; p++)
        image[p] = weight[p] > 1e-3f ? image[p] / weight[p] : 0;
    return STATUS_OK;
}

static enum status rough_weight(float *weight, const uint8_t *good, double sigma, const struct disc *disc,
                                struct error *error)
{
    memset(weight, 0, (size_t)(disc->n * disc->n) * sizeof *weight);
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        weight[disc->pixel[ray]] = good[ray];
    return disc_smooth(weight, disc, sigma, error);
}

struct rough_work {
    const struct disc *disc;
    const uint8_t *good, *missing;
    float *image, *weight; /* n x n */
    double *squares;       /* rays */
    int32_t *counts;
};

/* One surface of all heads: the sums of squares, and how many heads were measured. */
static enum status rough_sum(struct rough_work *work, const struct heads *heads, int surface, struct error *error)
{
    const struct disc *disc = work->disc;
    const int64_t n_rays = disc->n_rays;
    memset(work->squares, 0, (size_t)n_rays * sizeof *work->squares);
    memset(work->counts, 0, (size_t)n_rays * sizeof *work->counts);
    for (int64_t h = 0; h < heads->n; h++) {
        const float *map = heads->map + h * n_rays * 2 + surface;
        memset(work->image, 0, (size_t)(disc->n * disc->n) * sizeof *work->image);
        for (int64_t ray = 0; ray < n_rays; ray++)
            work->image[disc->pixel[ray]] = work->good[ray] ? map[2 * ray] : 0;
        if (rough_smooth(work->image, work->weight, ROUGH_SMOOTH, disc, error))
            return error->status;
        for (int64_t ray = 0; ray < n_rays; ray++)
            if (work->good[ray] && !work->missing[h * n_rays + ray]) {
                const double off = (double)map[2 * ray] - work->image[disc->pixel[ray]];
                work->squares[ray] += off * off;
                work->counts[ray]++;
            }
    }
    return STATUS_OK;
}

static enum status rough_surface(float *rough, struct rough_work *work, const struct heads *heads, int surface,
                                 struct error *error)
{
    const struct disc *disc = work->disc;
    if (rough_weight(work->weight, work->good, ROUGH_SMOOTH, disc, error) || rough_sum(work, heads, surface, error))
        return error->status;
    memset(work->image, 0, (size_t)(disc->n * disc->n) * sizeof *work->image);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        const int32_t other = disc->mirror[ray];
        const int32_t count = work->counts[ray] + work->counts[other];
        if (count > 0)
            work->image[disc->pixel[ray]] = (float)((work->squares[ray] + work->squares[other]) / count);
    }
    if (rough_weight(work->weight, work->good, ROUGH_SPREAD, disc, error) ||
        rough_smooth(work->image, work->weight, ROUGH_SPREAD, disc, error))
        return error->status;
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        rough[2 * ray + surface] = sqrtf(fmaxf(work->image[disc->pixel[ray]], 0));
    return STATUS_OK;
}

enum status heads_measure_roughness(struct heads *heads, const uint8_t *missing, const uint8_t *good,
                                    const struct disc *disc, struct error *error)
{
    const size_t n = (size_t)disc->n_rays, size = (size_t)(disc->n * disc->n);
    struct arena arena = {0};
    struct rough_work work = {.disc = disc, .good = good, .missing = missing};
    float *rough = memory_zalloc(n, 2 * sizeof *rough);
    work.image = arena_alloc(&arena, size, sizeof *work.image);
    work.weight = arena_alloc(&arena, size, sizeof *work.weight);
    work.squares = arena_alloc(&arena, n, sizeof *work.squares);
    work.counts = arena_alloc(&arena, n, sizeof *work.counts);
    enum status status = STATUS_OK;
    if (!rough || !work.image || !work.weight || !work.squares || !work.counts)
        status = error_memory(error, size * sizeof *work.image, "the roughness of the surfaces");
    for (int surface = 0; surface < 2 && !status; surface++)
        status = rough_surface(rough, &work, heads, surface, error);
    arena_done(&arena);
    if (status) {
        memory_free(rough);
        return status;
    }
    memory_free(heads->rough);
    heads->rough = rough;
    return STATUS_OK;
}

/* ---- bone between the surfaces ---- */

enum { OCCUPANCY_HEADS = 8 };

enum status heads_measure_occupancy(struct heads *heads, const uint16_t *bone, const uint8_t *missing,
                                    const struct disc *disc, struct error *error)
{
    const int64_t n_rays = disc->n_rays;
    if (heads_n_centre(heads) < OCCUPANCY_HEADS)
        return STATUS_OK;
    uint8_t *share = memory_alloc((size_t)n_rays, OCCUPANCY_STEPS);
    if (!share)
        return error_memory(error, (size_t)n_rays * OCCUPANCY_STEPS, "bone between the surfaces");
    memset(share, 255, (size_t)n_rays * OCCUPANCY_STEPS);

#pragma omp parallel for schedule(static)
    for (int64_t ray = 0; ray < n_rays; ray++) {
        int64_t count = 0, with_bone[OCCUPANCY_STEPS] = {0};
        for (int64_t k = 0; k < 2 * heads->n; k++) {
            const int64_t at = k / 2 * n_rays + (k & 1 ? disc->mirror[ray] : ray);
            if (missing[at] || !heads_in_centre(heads, k / 2))
                continue;
            count++;
            for (int step = 0; step < OCCUPANCY_STEPS; step++)
                with_bone[step] += bone[at] >> step & 1;
        }
        for (int step = 0; step < OCCUPANCY_STEPS && count >= OCCUPANCY_HEADS; step++)
            share[ray * OCCUPANCY_STEPS + step] = (uint8_t)((255 * with_bone[step] + count / 2) / count);
    }
    memory_free(heads->occupancy);
    heads->occupancy = share;
    return STATUS_OK;
}
