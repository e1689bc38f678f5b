#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset_file.h"
#include "data/pack.h"

static const double SPACING_MIN_MM = 0.05, SPACING_MAX_MM = 6, SHEAR_MAX = 0.02, MAIN_PIECE_MIN = 0.9, MAIN_PIECE_CLEAN = 0.99;
static const double BONE_MIN_ML = 150, BONE_MAX_ML = 2500;

/* What is wrong with one case, and what is only odd; both collected. */
struct findings {
    struct error bad, odd;
};

static void check_grid(struct findings *findings, const struct grid *grid)
{
    for (int a = 0; a < 3; a++) {
        const double mm = grid_spacing_mm(grid, a);
        if (!(mm >= SPACING_MIN_MM && mm <= SPACING_MAX_MM))
            error_add(&findings->bad, STATUS_FAILED, "spacing of %c is %g mm, expected %g to %g", 'x' + a, mm, SPACING_MIN_MM, SPACING_MAX_MM);
        const double *p = grid->axis[a], *q = grid->axis[(a + 1) % 3];
        const double cosine = (p[0] * q[0] + p[1] * q[1] + p[2] * q[2]) / (mm * grid_spacing_mm(grid, (a + 1) % 3));
        if (fabs(cosine) > SHEAR_MAX)
            error_add(&findings->odd, STATUS_FAILED, "axes %c and %c are not at right angles (gantry tilt?)", 'x' + a, 'x' + (a + 1) % 3);
    }
}

/* The bone's box cut out: components of a small volume are cheap. */
static uint8_t *box_copy(const struct volume *skull, struct box box, int64_t size[3])
{
    const int64_t *dim = skull->grid.dim;
    for (int a = 0; a < 3; a++)
        size[a] = box.hi[a] - box.lo[a];
    uint8_t *copy = memory_alloc((size_t)(size[0] * size[1] * size[2]), 1), *row = copy;
    for (int64_t z = box.lo[2]; copy && z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++, row += size[0])
            memcpy(row, (const uint8_t *)skull->data + (z * dim[1] + y) * dim[0] + box.lo[0], (size_t)size[0]);
    return copy;
}

static enum status check_pieces(struct findings *findings, const struct volume *skull, struct box box, struct error *error)
{
    int64_t size[3], *sizes = NULL, n = 0, most = 0, sum = 0;
    uint8_t *bone = box_copy(skull, box, size);
    int32_t *labels = memory_alloc((size_t)(size[0] * size[1] * size[2]), sizeof *labels);
    enum status status = bone && labels ? mask_components(labels, &sizes, &n, bone, size, 26, error) : error_memory(error, 0, "the components");
    for (int64_t i = 0; !status && i < n; i++) {
        sum += sizes[i];
        most = sizes[i] > most ? sizes[i] : most;
    }
    const double share = sum > 0 ? (double)most / (double)sum : 0;
    if (!status && share < MAIN_PIECE_CLEAN)
        error_add(share < MAIN_PIECE_MIN ? &findings->bad : &findings->odd, STATUS_FAILED, "%" PRId64 " pieces, the largest has %.1f %% of the bone", n,
                  100 * share);
    memory_free(sizes);
    memory_free(labels);
    memory_free(bone);
    return status;
}

static enum status check_skull(struct findings *findings, const struct volume *skull, struct error *error)
{
    const int64_t *dim = skull->grid.dim;
    const struct box box = box_of_mask(skull->data, dim);
    check_grid(findings, &skull->grid);
    if (box_empty(box)) {
        error_add(&findings->bad, STATUS_FAILED, "the skull is empty");
        return STATUS_OK;
    }
    const double ml = (double)mask_count(skull->data, grid_voxels(&skull->grid)) * grid_voxel_ml(&skull->grid);
    if (ml < BONE_MIN_ML || ml > BONE_MAX_ML)
        error_add(&findings->odd, STATUS_FAILED, "%.0f ml of bone (a skull has %g to %g)", ml, BONE_MIN_ML, BONE_MAX_ML);
    if (box.hi[2] == dim[2])
        error_add(&findings->odd, STATUS_FAILED, "bone in the top slice: the scan may have cut the vault");
    if (box.lo[0] == 0 || box.lo[1] == 0 || box.hi[0] == dim[0] || box.hi[1] == dim[1])
        error_add(&findings->odd, STATUS_FAILED, "bone at the border of the field of view");
    return check_pieces(findings, skull, box, error);
}

static void case_print(FILE *out, const char *name, const struct findings *findings, const char *summary)
{
    const struct {
        const char *word, *text;
    } lists[2] = {{"bad", findings->bad.text}, {"note", findings->odd.text}};
    if (findings->bad.n_errors == 0)
        fprintf(out, "ok    %s: %s\n", name, summary);
    for (int l = 0; l < 2; l++)
        for (const char *line = lists[l].text; *line;) {
            const size_t length = strcspn(line, "\n");
            if (length > 0)
                fprintf(out, "%-5s %s: %.*s\n", lists[l].word, name, (int)length, line);
            line += length + (line[length] == '\n');
        }
}

static void report_case(struct check_report *report, const char *name, const struct findings *findings, const struct volume *skull,
                        int64_t n_implants)
{
    char summary[160] = "";
    if (skull)
        snprintf(summary, sizeof summary, "%" PRId64 "x%" PRId64 "x%" PRId64 " voxels of %.3gx%.3gx%.3g mm, %.0f ml of bone, %" PRId64 " implants",
                 skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2], grid_spacing_mm(&skull->grid, 0), grid_spacing_mm(&skull->grid, 1),
                 grid_spacing_mm(&skull->grid, 2), (double)mask_count(skull->data, grid_voxels(&skull->grid)) * grid_voxel_ml(&skull->grid),
                 n_implants);
    report->n_cases++;
    report->n_bad += findings->bad.n_errors > 0;
    if (report->out)
        case_print(report->out, name, findings, summary);
}

/* ---- a dataset ---- */

static void check_stored_implant(struct findings *findings, struct dataset *set, int64_t i, int64_t j, const struct volume *skull)
{
    const struct case_entry *entry = dataset_entry(set, i);
    struct volume implant;
    struct error error = {0};
    if (dataset_read_implant(&implant, set, i, j, &error)) {
        error_add(&findings->bad, STATUS_FAILED, "implant %s: %s", entry->shown.implant_names[j], error.text);
        return;
    }
    int64_t outside = 0;
    const uint8_t *bone = skull->data, *missing = implant.data;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        outside += missing[v] && !bone[v];
    if (outside > 0)
        error_add(&findings->bad, STATUS_FAILED, "implant %s: %" PRId64 " voxels outside the skull", entry->shown.implant_names[j], outside);
    if (mask_hash(implant.data, implant.grid.dim) != entry->implant_hashes[j])
        error_add(&findings->bad, STATUS_FAILED, "implant %s: its content is not what was packed (content_hash)", entry->shown.implant_names[j]);
    volume_done(&implant);
}

static enum status check_set(const char *path, struct check_report *report, struct error *error)
{
    struct dataset *set;
    enum status status = STATUS_OK;
    if (dataset_open(&set, path, error))
        return error->status;
    for (int64_t i = 0; !status && i < dataset_n_cases(set); i++) {
        struct findings findings = {0};
        struct error reading = {0};
        struct volume skull;
        const struct dataset_case *shown = dataset_case(set, i);
        if (dataset_read_skull(&skull, set, i, &reading)) {
            error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
            report_case(report, shown->name, &findings, NULL, 0);
            continue;
        }
        if (mask_hash(skull.data, skull.grid.dim) != shown->content_hash)
            error_add(&findings.bad, STATUS_FAILED, "its content is not what was packed (content_hash)");
        status = check_skull(&findings, &skull, error);
        for (int64_t j = 0; !status && j < shown->n_implants; j++)
            check_stored_implant(&findings, set, i, j, &skull);
        if (!status)
            report_case(report, shown->name, &findings, &skull, shown->n_implants);
        volume_done(&skull);
    }
    dataset_close(set);
    return status;
}

/* ---- a folder ---- */

static enum status check_folder_case(const struct layout_case *from, struct check_report *report, struct error *error)
{
    struct findings findings = {0};
    struct error reading = {0};
    struct volume skull, implant;
    if (pack_read_skull(&skull, from, &reading)) {
        error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
        report_case(report, from->name, &findings, NULL, 0);
        return STATUS_OK;
    }
    const enum status status = check_skull(&findings, &skull, error);
    for (int64_t j = 0; !status && j < from->n_defects; j++) {
        reading = (struct error){0};
        if (pack_read_implant(&implant, &from->defects[j], &skull, &reading))
            error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
        else
            volume_done(&implant);
    }
    if (!status)
        report_case(report, from->name, &findings, &skull, from->n_defects);
    volume_done(&skull);
    return status;
}

static enum status check_folder(const char *path, struct check_report *report, struct error *error)
{
    struct arena arena = {0};
    struct layout layout;
    enum status status = layout_find(&layout, path, &arena, error);
    for (int64_t i = 0; !status && report->out && i < layout.unmatched.n; i++)
        fprintf(report->out, "note  left out: %s\n", layout.unmatched.items[i]);
    for (int64_t i = 0; !status && i < layout.n_cases; i++)
        status = check_folder_case(&layout.cases[i], report, error);
    arena_done(&arena);
    return status;
}

enum status dataset_check(const char *path, struct check_report *report, struct error *error)
{
    report->n_cases = report->n_bad = 0;
    const enum status status = file_is_folder(path) ? check_folder(path, report, error) : check_set(path, report, error);
    return status ? error_while(error, "checking %s", path) : STATUS_OK;
}
