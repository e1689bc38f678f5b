/* defects.c - are synthetic defects what their class promises? Draws them on the skulls of a packed set and checks each
 * one.
 *
 *     bench_defects SET.h5 --defects FILE.yaml --count 1000 --seed 1 --out DIR
 *
 * Skull i's draw j comes from generator (i + j) of the mixture, in turn, so that every generator meets every skull.
 *   Valid means:
 *   part of the skull    every implant voxel is bone of the complete skull (so implant and defective skull are
 *     disjoint)
 *   volume               at least the generator's min_volume_ml
 *   place                the implant's centroid, seen from the middle of the vault, lies in the class's window; a
 *     bilateral
 * defect holds a fifth of itself on either side; and 99 % of the implant lies above the vault's floor one piece
 *   26-connected, for
 * regions and blobs; the published shapes may take crumbs along through              seen from the middle of the vault,
 * directions through the implant meet no other bone within 5 mm of it: exactly one hole of such directions (regions,
 *   blobs), or
 * at least one same bytes           every 50th is drawn again with another thread count, through defect_inject
 *
 * Writes DIR/defects.tsv (after each skull) and DIR/volumes.png, prints a table by class. SIGINT or SIGTERM ends it
 * after the draw at hand, with the table of what was drawn. Exit code 1 where one is not valid, 3 when stopped. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/parallel.h"
#include "data/dataset/dataset.h"
#include "data/defects/defect.h"
#include "data/defects/anatomy.h"
#include "data/defects/region.h"
#include "train/plot.h"

enum { REPEAT_EVERY = 50, HOLE_CELLS = 4, VIEW = 61 };
static const double DEG = 3.14159265358979323846 / 180, CELL_DEG = 3, MARGIN_MM = 5, RAY_STEP_MM = 0.4;
static const double FLOOR_TOLERANCE_DEG = 1, ABOVE_FLOOR_FRAC = 0.99, SIDE_FRAC = 0.2;

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

struct defects_options {
    const char *defects, *out;
    int64_t count, seed;
};
#define OFFSET(member) offsetof(struct defects_options, member)
/* clang-format off */
/* clang-format off */
static const struct config_field options_fields[] = {
    {.key = "defects", .type = CONFIG_PATH, .offset = OFFSET(defects), .required = true,
     .help = "YAML mixture of defects"},
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "folder for defects.tsv and volumes.png"},
    {.key = "count", .type = CONFIG_INT, .offset = OFFSET(count), .text = "1000", .min = 1, .max = 1e6,
     .help = "draws in all"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 1e15,
     .help = "of the draws"},
    {0}};
/* clang-format on */
/* clang-format on */
static const struct config_table options_table = {.size = sizeof(struct defects_options), .fields = options_fields};

/* What a class promises: where the centroid lies (|azimuth|, elevation in degrees), how far below the vault's floor
 * bone may go.
 */
static const struct promise {
    const char *name;
    double azimuth[2], elevation[2], below_deg;
    bool both_sides, one_piece;
} promises[] = {
    {"bilateral", {0, 180}, {30, 90}, 0, true, true},        {"frontoorbital", {10, 55}, {-25, 20}, 13, false, true},
    {"parietotemporal", {65, 130}, {0, 45}, 0, false, true}, {"random_1", {0, 180}, {-5, 90}, 0, false, true},
    {"random_2", {0, 180}, {-5, 90}, 0, false, true},        {"blobs", {0, 180}, {-20, 90}, 0, false, true},
    {"cube", {0, 180}, {20, 90}, 0, false, false},           {"sphere", {0, 180}, {0, 90}, 0, false, false},
    {"craniotomy", {0, 180}, {0, 90}, 0, false, false},
};

struct finding {
    int64_t skull, draw, pieces, holes;
    int item;
    double volume_ml, extent_mm[3], azimuth, elevation, above_frac, left_frac, seconds;
    char reason[128]; /* empty: valid */
};

struct study {
    const struct defects_options *options;
    struct dataset *set;
    struct defects_config config;
    const struct promise *promise[64]; /* of each generator */
    struct finding *found;
    int64_t n, n_bad;
};

/* The class of a region, else the generator's type. */
static const char *item_name(const struct config_item *item)
{
    for (const struct config_field *field = item->table->fields; field->key; field++)
        if (strcmp(field->key, "class") == 0 && field->type == CONFIG_ENUM) {
            int index;
            memcpy(&index, (const char *)item->value + field->offset, sizeof index);
            return field->names[index];
        }
    return item->table->type;
}

/* ---- what an implant is ---- */

struct sight {
    double near_mm[VIEW * VIEW], far_mm[VIEW * VIEW]; /* of the implant in each cell of directions; 0: none */
    double axis[3], across[3], up[3];                 /* axis: to the centroid */
};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void voxel_mm(const struct anatomy *anatomy, const int64_t at[3], double point[3])
{
    for (int k = 0; k < 3; k++)
        point[k] = (double)at[k] * anatomy->spacing_mm[k];
}

static void sight_aim(struct sight *sight, const struct anatomy *anatomy, const double centre_mm[3])
{
    memset(sight, 0, sizeof *sight);
    double length = 0;
    for (int k = 0; k < 3; k++) {
        sight->axis[k] = centre_mm[k] - anatomy->middle_mm[k];
        length += sight->axis[k] * sight->axis[k];
    }
    const int a = fabs(sight->axis[0]) * 2 < sqrt(length) ? 0 : 2; /* an axis of the grid far from the line of sight */
    for (int k = 0; k < 3; k++)
        sight->axis[k] /= sqrt(length);
    for (int k = 0; k < 3; k++)
        sight->across[k] = (k == a) - sight->axis[a] * sight->axis[k];
    length = sqrt(dot(sight->across, sight->across));
    for (int k = 0; k < 3; k++)
        sight->across[k] /= length;
    for (int k = 0; k < 3; k++)
        sight->up[k] = sight->axis[(k + 1) % 3] * sight->across[(k + 2) % 3] -
                       sight->axis[(k + 2) % 3] * sight->across[(k + 1) % 3];
}

/* The cell of a point in the azimuthal equidistant view around the centroid, -1 outside. */
static int64_t sight_cell(const struct sight *sight, const double from[3], double *ret_mm)
{
    const double w = dot(from, sight->axis), u = dot(from, sight->across), v = dot(from, sight->up), r = hypot(u, v);
    const double cells = atan2(r, w) / DEG / CELL_DEG / fmax(r, 1e-9);
    const int64_t x = llround(u * cells) + VIEW / 2, y = llround(v * cells) + VIEW / 2;
    *ret_mm = sqrt(w * w + r * r);
    return x >= 0 && y >= 0 && x < VIEW && y < VIEW ? y * VIEW + x : -1;
}

static bool bone_left(const struct volume *skull, const struct region *implant, const int64_t at[3])
{
    const int64_t *dim = skull->grid.dim;
    const struct box *b = &implant->box;
    bool inside = true;
    for (int k = 0; k < 3; k++) {
        if (at[k] < 0 || at[k] >= dim[k])
            return false;
        inside = inside && at[k] >= b->lo[k] && at[k] < b->hi[k];
    }
    if (!((const uint8_t *)skull->data)[(at[2] * dim[1] + at[1]) * dim[0] + at[0]])
        return false;
    return !inside ||
           !implant
                ->mask[((at[2] - b->lo[2]) * box_size(*b, 1) + at[1] - b->lo[1]) * box_size(*b, 0) + at[0] - b->lo[0]];
}

/* Does the direction of this cell pass the implant and no other bone around it? */
static bool sight_open(const struct sight *sight, int64_t cell, const struct volume *skull,
                       const struct region *implant, const struct anatomy *anatomy)
{
    if (sight->far_mm[cell] <= 0)
        return false;
    const double u = (double)(cell % VIEW - VIEW / 2) * CELL_DEG * DEG,
                 v = (double)(cell / VIEW - VIEW / 2) * CELL_DEG * DEG;
    const double angle = hypot(u, v), side = angle > 0 ? sin(angle) / angle : 1;
    for (double r = sight->near_mm[cell] - MARGIN_MM; r <= sight->far_mm[cell] + MARGIN_MM; r += RAY_STEP_MM) {
        int64_t at[3];
        for (int k = 0; k < 3; k++) {
            const double way = cos(angle) * sight->axis[k] + side * (u * sight->across[k] + v * sight->up[k]);
            at[k] = llround((anatomy->middle_mm[k] + r * way) / anatomy->spacing_mm[k]);
        }
        if (bone_left(skull, implant, at))
            return false;
    }
    return true;
}

static enum status holes_count(int64_t *ret, const struct sight *sight, const struct volume *skull,
                               const struct region *implant, const struct anatomy *anatomy, struct error *error)
{
    uint8_t open[VIEW * VIEW];
    int32_t labels[VIEW * VIEW];
    const int64_t size[3] = {VIEW, VIEW, 1};
    int64_t *sizes = NULL, n = 0;
    for (int64_t cell = 0; cell < VIEW * VIEW; cell++)
        open[cell] = sight_open(sight, cell, skull, implant, anatomy);
    if (mask_components(labels, &sizes, &n, open, size, 26, error))
        return error->status;
    *ret = 0;
    for (int64_t i = 0; i < n; i++)
        *ret += sizes[i] >= HOLE_CELLS;
    memory_free(sizes);
    return STATUS_OK;
}

static enum status pieces_count(int64_t *ret, const struct region *implant, struct error *error)
{
    const int64_t size[3] = {box_size(implant->box, 0), box_size(implant->box, 1), box_size(implant->box, 2)};
    int64_t *sizes = NULL;
    int32_t *labels = memory_alloc((size_t)box_voxels(implant->box), sizeof *labels);
    if (!labels)
        return error_memory(error, (size_t)box_voxels(implant->box) * sizeof *labels, "components");
    const enum status status = mask_components(labels, &sizes, ret, implant->mask, size, 26, error);
    memory_free(labels);
    memory_free(sizes);
    return status;
}

struct tally {
    int64_t n, off_bone, above, left;
    double sum_mm[3];
};

static void tally_voxels(struct tally *tally, const struct region *implant, const struct volume *skull,
                         const struct anatomy *anatomy, double below_deg)
{
    const struct box b = implant->box;
    const int64_t *dim = skull->grid.dim;
    const uint8_t *bone = skull->data, *mask = implant->mask;
    *tally = (struct tally){0};
    int64_t at[3];
    for (at[2] = b.lo[2]; at[2] < b.hi[2]; at[2]++)
        for (at[1] = b.lo[1]; at[1] < b.hi[1]; at[1]++)
            for (at[0] = b.lo[0]; at[0] < b.hi[0]; at[0]++) {
                if (!*mask++)
                    continue;
                double point[3], azimuth, elevation;
                voxel_mm(anatomy, at, point);
                anatomy_angles(anatomy, point, &azimuth, &elevation);
                tally->n++;
                tally->off_bone += !bone[(at[2] * dim[1] + at[1]) * dim[0] + at[0]];
                tally->above += elevation >= anatomy_vault_floor(azimuth) - below_deg - FLOOR_TOLERANCE_DEG;
                tally->left += azimuth > 0;
                for (int k = 0; k < 3; k++)
                    tally->sum_mm[k] += point[k];
            }
}

static void sight_fill(struct sight *sight, const struct region *implant, const struct anatomy *anatomy)
{
    const struct box b = implant->box;
    const uint8_t *mask = implant->mask;
    int64_t at[3];
    for (at[2] = b.lo[2]; at[2] < b.hi[2]; at[2]++)
        for (at[1] = b.lo[1]; at[1] < b.hi[1]; at[1]++)
            for (at[0] = b.lo[0]; at[0] < b.hi[0]; at[0]++) {
                double from[3], mm;
                if (!*mask++)
                    continue;
                voxel_mm(anatomy, at, from);
                for (int k = 0; k < 3; k++)
                    from[k] -= anatomy->middle_mm[k];
                const int64_t cell = sight_cell(sight, from, &mm);
                if (cell < 0)
                    continue;
                sight->near_mm[cell] = sight->far_mm[cell] > 0 ? fmin(sight->near_mm[cell], mm) : mm;
                sight->far_mm[cell] = fmax(sight->far_mm[cell], mm);
            }
}

/* ---- is it valid? ---- */

/* Adds to the reasons. */
static void finding_add(struct finding *f, bool bad, const char *reason)
{
    const size_t length = strlen(f->reason);
    if (bad)
        snprintf(f->reason + length, sizeof f->reason - length, "%s%s", length ? ", " : "", reason);
}

static void finding_judge(struct finding *f, const struct tally *tally, const struct promise *promise, double min_ml)
{
    const double azimuth = fabs(f->azimuth);
    finding_add(f, tally->off_bone > 0, "not part of the skull");
    finding_add(f, f->volume_ml < min_ml, "too little bone");
    finding_add(f,
                azimuth < promise->azimuth[0] || azimuth > promise->azimuth[1] ||
                    f->elevation < promise->elevation[0] || f->elevation > promise->elevation[1],
                "not where its class belongs");
    finding_add(f, f->above_frac < ABOVE_FLOOR_FRAC, "reaches below the vault");
    finding_add(f, promise->both_sides && fmin(f->left_frac, 1 - f->left_frac) < SIDE_FRAC, "one side only");
    finding_add(f, promise->one_piece && f->pieces != 1, "several pieces");
    finding_add(f, f->holes == 0, "not open");
    finding_add(f, promise->one_piece && f->holes > 1, "several holes");
}

static enum status finding_measure(struct finding *f, const struct promise *promise, double min_ml,
                                   const struct region *implant, const struct volume *skull,
                                   const struct anatomy *anatomy, struct error *error)
{
    struct tally tally;
    double centre[3];
    struct sight *sight = memory_zalloc(1, sizeof *sight);
    if (!sight)
        return error_memory(error, sizeof *sight, "a view");
    tally_voxels(&tally, implant, skull, anatomy, promise->below_deg);
    for (int k = 0; k < 3; k++) {
        centre[k] = tally.sum_mm[k] / (double)tally.n;
        f->extent_mm[k] = (double)box_size(implant->box, k) * anatomy->spacing_mm[k];
    }
    f->volume_ml = (double)tally.n * grid_voxel_ml(&skull->grid);
    f->above_frac = (double)tally.above / (double)tally.n;
    f->left_frac = (double)tally.left / (double)tally.n;
    anatomy_angles(anatomy, centre, &f->azimuth, &f->elevation);
    sight_aim(sight, anatomy, centre);
    sight_fill(sight, implant, anatomy);
    if (!pieces_count(&f->pieces, implant, error) && !holes_count(&f->holes, sight, skull, implant, anatomy, error))
        finding_judge(f, &tally, promise, min_ml);
    memory_free(sight);
    return error->status;
}

/* Drawn again with another thread count, on the whole grid. */
static enum status finding_repeat(struct finding *f, const struct region *implant, const struct volume *skull,
                                  const struct defects_config *config, struct rng rng, struct error *error)
{
    const int threads = parallel_threads();
    const int64_t *dim = skull->grid.dim;
    const struct box b = implant->box;
    struct box box;
    uint8_t *whole = memory_alloc((size_t)grid_voxels(&skull->grid), 1);
    if (!whole)
        return error_memory(error, (size_t)grid_voxels(&skull->grid), "an implant");
    parallel_set_threads(threads == 1 ? 3 : 1);
    const enum status status = defect_inject(whole, &box, NULL, skull, config, rng, error);
    parallel_set_threads(threads);
    if (!status) {
        bool same = memcmp(&box, &b, sizeof b) == 0 &&
                    mask_count(whole, grid_voxels(&skull->grid)) == mask_count(implant->mask, box_voxels(b));
        const uint8_t *row = implant->mask;
        for (int64_t z = b.lo[2]; z < b.hi[2]; z++)
            for (int64_t y = b.lo[1]; y < b.hi[1]; y++, row += box_size(b, 0))
                same = same && memcmp(whole + (z * dim[1] + y) * dim[0] + b.lo[0], row, (size_t)box_size(b, 0)) == 0;
        finding_add(f, !same, "other bytes when drawn again");
    }
    memory_free(whole);
    return status;
}

static enum status study_draw(struct study *study, struct finding *f, const struct volume *skull, struct box box,
                              const struct anatomy *anatomy, struct error *error)
{
    const int64_t number = f->draw * dataset_n_cases(study->set) + f->skull;
    struct config_item *item = &study->config.defects.items[f->item];
    const struct defects_config one = {.defects = {.n = 1, .items = item}, .max_tries = study->config.max_tries};
    const struct rng rng = rng_make((uint64_t)study->options->seed, (uint64_t)number);
    const double min_ml = ((const struct defect_config *)item->value)->min_volume_ml, start_s = log_clock_s();
    struct region implant;
    if (defect_draw(&implant, NULL, skull, box, &one, rng,
                    error)) { /* no valid defect in max_tries: a finding, not the end */
        snprintf(f->reason, sizeof f->reason, "%.*s", (int)strcspn(error->text, "\n"), error->text);
        *error = (struct error){0};
        return STATUS_OK;
    }
    f->seconds = log_clock_s() - start_s;
    enum status status = finding_measure(f, study->promise[f->item], min_ml, &implant, skull, anatomy, error);
    if (!status && number % REPEAT_EVERY == 0)
        status = finding_repeat(f, &implant, skull, &one, rng, error);
    region_done(&implant);
    return status;
}

/* ---- what it writes ---- */

static const char *finding_class(const struct study *study, const struct finding *f)
{
    return study->promise[f->item]->name;
}

static enum status study_write(const struct study *study, struct arena *arena, struct error *error)
{
    char *part, *path = file_join(arena, study->options->out, "defects.tsv");
    if (!path)
        return error_memory(error, strlen(study->options->out), "a path");
    if (file_begin(&part, path, error))
        return error->status;
    FILE *file = fopen(part, "w");
    if (!file) {
        file_discard(&part);
        return error_set(error, STATUS_FAILED, "%s: cannot be written", path);
    }
    fputs("skull\tdraw\tclass\tvolume_ml\tpieces\tholes\tx_mm\ty_mm\tz_mm\tazimuth_deg\televation_deg\tabove_floor_"
          "frac\tleft_frac"
          "\tvalid\treason\tseconds\n",
          file);
    for (int64_t i = 0; i < study->n; i++) {
        const struct finding *f = &study->found[i];
        fprintf(file, "%s\t%" PRId64 "\t%s\t%.3f\t%" PRId64 "\t%" PRId64, dataset_case(study->set, f->skull)->name,
                f->draw, finding_class(study, f), f->volume_ml, f->pieces, f->holes);
        fprintf(file, "\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.4f\t%.4f\t%d\t%s\t%.3f\n", f->extent_mm[0], f->extent_mm[1],
                f->extent_mm[2], f->azimuth, f->elevation, f->above_frac, f->left_frac, f->reason[0] == '\0',
                f->reason[0] ? f->reason : "-", f->seconds);
    }
    const bool bad = ferror(file) != 0;
    if (fclose(file) != 0 || bad) {
        file_discard(&part);
        return error_set(error, STATUS_FAILED, "%s: could not be written whole: disk full?", path);
    }
    return file_commit(&part, path, error);
}

/* A panel for each class: how many defects have this volume. */
static enum status study_plot(const struct study *study, struct error *error)
{
    char *body = NULL;
    size_t bytes = 0;
    double most = 0;
    const int64_t n = study->config.defects.n;
    FILE *text = open_memstream(&body, &bytes);
    if (!text)
        return error_memory(error, 4096, "a plot's script");
    for (int64_t i = 0; i < study->n; i++)
        most = fmax(most, study->found[i].volume_ml);
    const double width = most > 80 ? 5 : 2;
    fprintf(text,
            "width = %g\nbin(v) = width * (floor(v / width) + 0.5)\nset boxwidth width\nset style fill solid 0.8 "
            "border rgb "
            "'white'\nunset key\nset xrange [0:%g]\nset yrange [0:*]\nset multiplot layout %" PRId64
            ",3 title 'Bone removed, number of defects in steps of %g ml'\n",
            width, width * ceil(most / width), (n + 2) / 3, width);
    for (int64_t i = 0; i < n; i++) {
        const char *name = study->promise[i]->name;
        fprintf(text,
                "set title '%s' noenhanced offset 0,-0.7\n%s\nplot 'defects.tsv' using (bin($4)):(strcol(3) eq '%s') "
                "smooth frequency with boxes lt 1\n",
                name, i + 3 >= n ? "set xlabel 'ml' offset 0,0.5" : "unset xlabel", name);
    }
    fputs("unset multiplot\n", text);
    fclose(text);
    const enum status status = plot_draw(
        &(struct plot){.folder = study->options->out, .name = "volumes", .body = body, .vectors = true}, error);
    free(body); /* open_memstream's */
    return status;
}

static int double_compare(const void *a, const void *b)
{
    const double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

static const char *number_text(struct arena *arena, const char *format, double value)
{
    char text[32];
    snprintf(text, sizeof text, strcmp(format, "s") == 0 ? "%.3f" : strcmp(format, "n") == 0 ? "%.0f" : "%.1f", value);
    const char *copy = arena_strdup(arena, text);
    return copy ? copy : "?";
}

/* Row `item` of the table: everything of one generator. */
static void table_row(const struct study *study, int64_t item, double *scratch, const char **cells, struct arena *arena)
{
    int64_t n = 0, valid = 0;
    double *ml = scratch, *seconds = scratch + study->n;
    for (int64_t i = 0; i < study->n; i++) {
        const struct finding *f = &study->found[i];
        if (f->item != item)
            continue;
        ml[n] = f->volume_ml;
        seconds[n++] = f->seconds;
        valid += f->reason[0] == '\0';
    }
    cells[0] = study->promise[item]->name;
    cells[1] = number_text(arena, "n", (double)n);
    cells[2] = number_text(arena, "n", (double)valid);
    for (int c = 3; c < 7; c++)
        cells[c] = "-";
    if (n == 0)
        return;
    qsort(ml, (size_t)n, sizeof *ml, double_compare);
    qsort(seconds, (size_t)n, sizeof *seconds, double_compare);
    cells[3] = number_text(arena, "ml", ml[n / 2]);
    cells[4] = number_text(arena, "ml", ml[n / 20]);
    cells[5] = number_text(arena, "ml", ml[n - 1 - n / 20]);
    cells[6] = number_text(arena, "s", seconds[n / 2]);
}

static enum status study_print(const struct study *study, struct arena *arena, struct error *error)
{
    static const char *const head[] = {"class", "n", "valid", "median ml", "p5 ml", "p95 ml", "median s"};
    const int64_t n = study->config.defects.n;
    const size_t columns = sizeof head / sizeof *head;
    const char **cells = arena_alloc(arena, (size_t)(n + 1) * columns, sizeof *cells);
    double *scratch = arena_alloc(arena, (size_t)study->n * 2, sizeof *scratch);
    if (!cells || !scratch)
        return error_memory(error, (size_t)study->n * 16, "the table");
    memcpy(cells, head, sizeof head);
    for (int64_t i = 0; i < n; i++)
        table_row(study, i, scratch, cells + (size_t)(i + 1) * columns, arena);
    table_print(stdout, n + 1, (int)columns, cells);
    printf("%" PRId64 " of %" PRId64 " valid\n", study->n - study->n_bad, study->n);
    return STATUS_OK;
}

static enum status study_skull(struct study *study, int64_t i, struct progress *progress, struct error *error)
{
    struct volume skull;
    struct anatomy anatomy;
    if (dataset_read_skull(&skull, study->set, i, error))
        return error->status;
    const struct box box = box_of_mask(skull.data, skull.grid.dim);
    enum status status = anatomy_find(&anatomy, &skull, box, error);
    if (status) {
        volume_done(&skull);
        return status;
    }
    for (int64_t j = 0; !status && !stopped && j * dataset_n_cases(study->set) + i < study->options->count; j++) {
        struct finding *f = &study->found[study->n];
        *f = (struct finding){.skull = i, .draw = j, .item = (int)((i + j) % study->config.defects.n)};
        status = study_draw(study, f, &skull, box, &anatomy, error);
        study->n += !status;
        study->n_bad += !status && f->reason[0] != '\0';
        progress_show(progress, study->n, NULL);
    }
    anatomy_done(&anatomy);
    volume_done(&skull);
    return status;
}

static enum status study_begin(struct study *study, const char *set, struct arena *arena, struct error *error)
{
    const struct defects_options *options = study->options;
    if (defects_read(&study->config, options->defects, arena, error))
        return error->status;
    const int64_t n = study->config.defects.n, room = (int64_t)(sizeof study->promise / sizeof *study->promise);
    if (n > room)
        return error_set(error, STATUS_USAGE, "%s: %" PRId64 " generators (at most %" PRId64 ")", options->defects, n,
                         room);
    for (int64_t i = 0; i < n; i++) {
        const char *name = item_name(&study->config.defects.items[i]);
        for (size_t p = 0; p < sizeof promises / sizeof *promises; p++)
            if (strcmp(promises[p].name, name) == 0)
                study->promise[i] = &promises[p];
        if (!study->promise[i])
            return error_set(error, STATUS_USAGE, "%s: '%s': bench_defects has no row for it", options->defects, name);
    }
    study->found = arena_alloc(arena, (size_t)options->count, sizeof *study->found);
    if (!study->found)
        return error_memory(error, (size_t)options->count * sizeof *study->found, "the findings");
    if (file_make_folders(options->out, error))
        return error->status;
    return dataset_open(&study->set, set, error);
}

static enum status study_run(struct study *study, const char *set, struct arena *arena, struct error *error)
{
    struct progress progress;
    enum status status = study_begin(study, set, arena, error);
    if (!status) {
        progress_start(&progress, "defects", "draws", 0, study->options->count);
        for (int64_t i = 0; !status && !stopped && i < dataset_n_cases(study->set); i++)
            if (!(status = study_skull(study, i, &progress, error)))
                status = study_write(study, arena, error);
        progress_end(&progress);
    }
    if (!status)
        status = study_print(study, arena, error);
    if (!status)
        status = study_plot(study, error);
    dataset_close(study->set);
    if (!status && study->n < study->options->count)
        status = STATUS_STOPPED;
    return status ? status : study->n_bad > 0 ? STATUS_FAILED : STATUS_OK;
}

int main(int argc, char **argv)
{
    struct defects_options options;
    struct config_strings arguments = {0};
    struct arena arena = {0};
    struct error error = {0};
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    enum status status = options_parse(&options_table, &options, argc - 1, argv + 1, &arguments, &arena, &error);
    if (!status && arguments.n != 1)
        status =
            error_set(&error, STATUS_USAGE, "bench_defects: one SET.h5 is needed, %" PRId64 " are given", arguments.n);
    if (!status) {
        struct study *study = arena_alloc(&arena, 1, sizeof *study);
        if (study)
            study->options = &options;
        status = study ? study_run(study, arguments.items[0], &arena, &error)
                       : error_memory(&error, sizeof *study, "the study");
    }
    if (error.status) {
        error_print(stderr, &error);
        if (status == STATUS_USAGE)
            options_help(&options_table, stderr, &error);
    }
    arena_done(&arena);
    return (int)status;
}
