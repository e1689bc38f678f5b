/* check.c - the integrity of a dataset or of folders: open vaults, implants outside their skull, one skull on two
 * sides of a split. Test: tests/data/test_preview.c. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/picture/contact_sheet.h"
#include "data/dataset/dataset_file.h"
#include "data/dataset/pack.h"
#include "data/segment/plausible.h"

static const double SPACING_MIN_MM = 0.05, SPACING_MAX_MM = 6, SHEAR_MAX = 0.02, MAIN_PIECE_MIN = 0.9,
                    MAIN_PIECE_CLEAN = 0.99;
static const double VAULT_OPEN_MAX = 0.01; /* sutures and vessels let a few rays through */

/* What is wrong with one case, and what is only odd; both collected. */
struct findings {
    struct error bad, odd;
};

static void check_grid(struct findings *findings, const struct grid *grid)
{
    for (int a = 0; a < 3; a++) {
        const double mm = grid_spacing_mm(grid, a);
        if (!(mm >= SPACING_MIN_MM && mm <= SPACING_MAX_MM))
            error_add(&findings->bad, STATUS_FAILED, "spacing of %c is %g mm, expected %g to %g", 'x' + a, mm,
                      SPACING_MIN_MM, SPACING_MAX_MM);
        const double *p = grid->axis[a], *q = grid->axis[(a + 1) % 3];
        const double cosine = (p[0] * q[0] + p[1] * q[1] + p[2] * q[2]) / (mm * grid_spacing_mm(grid, (a + 1) % 3));
        if (fabs(cosine) > SHEAR_MAX)
            error_add(&findings->odd, STATUS_FAILED, "axes %c and %c are not at right angles (gantry tilt?)", 'x' + a,
                      'x' + (a + 1) % 3);
    }
}

/* The bone's box cut out: components of a small volume are cheap. */
static uint8_t *check_copy_box(const struct volume *skull, struct box box, int64_t size[3])
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

static enum status check_pieces(struct findings *findings, const struct volume *skull, struct box box,
                                struct error *error)
{
    int64_t size[3], *sizes = NULL, n = 0, most = 0, sum = 0;
    uint8_t *bone = check_copy_box(skull, box, size);
    int32_t *labels = memory_alloc((size_t)(size[0] * size[1] * size[2]), sizeof *labels);
    enum status status = bone && labels ? mask_components(labels, &sizes, &n, bone, size, 26, error)
                                        : error_memory(error, 0, "the components");
    for (int64_t i = 0; !status && i < n; i++) {
        sum += sizes[i];
        most = sizes[i] > most ? sizes[i] : most;
    }
    const double share = sum > 0 ? (double)most / (double)sum : 0;
    if (!status && share < MAIN_PIECE_CLEAN)
        error_add(share < MAIN_PIECE_MIN ? &findings->bad : &findings->odd, STATUS_FAILED,
                  "%" PRId64 " pieces, the largest has %.1f %% of the bone", n, 100 * share);
    memory_free(sizes);
    memory_free(labels);
    memory_free(bone);
    return status;
}

static void check_vault(struct findings *findings, const struct volume *skull, struct box box)
{
    const double open = plausible_vault_open_frac(skull, box);
    if (open > VAULT_OPEN_MAX)
        error_add(&findings->odd, STATUS_FAILED,
                  "the vault is not closed: %.1f %% of the rays up from within meet no bone (cut by the scan, or a "
                  "defect?)",
                  100 * open);
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
    if (ml < plausible_bone_min_ml || ml > plausible_bone_max_ml)
        error_add(&findings->odd, STATUS_FAILED, "%.0f ml of bone (a skull has %g to %g)", ml, plausible_bone_min_ml,
                  plausible_bone_max_ml);
    if (box.hi[2] == dim[2])
        error_add(&findings->odd, STATUS_FAILED, "bone in the top slice: the scan may have cut the vault");
    if (box.lo[0] == 0 || box.lo[1] == 0 || box.hi[0] == dim[0] || box.hi[1] == dim[1])
        error_add(&findings->odd, STATUS_FAILED, "bone at the border of the field of view");
    check_vault(findings, skull, box);
    return check_pieces(findings, skull, box, error);
}

static void check_print(FILE *out, const char *name, const struct findings *findings, const char *summary)
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

/* One check in progress: the contact sheet, and the skulls seen so far. */
struct checking {
    struct check_report *report;
    struct contact_sheet sheet;
    struct arena arena;
    struct seen {
        uint64_t hash;
        const char *name;
        int split; /* -1: of a folder */
    } * seen;
    int64_t n_seen;
};

static enum status check_start(struct checking *checking, const char *path, int64_t n, struct error *error)
{
    checking->seen = arena_alloc(&checking->arena, (size_t)n, sizeof *checking->seen);
    if (n > 0 && !checking->seen)
        return error_memory(error, (size_t)n * sizeof *checking->seen, "the list of cases");
    return checking->report->preview ? contact_sheet_open(&checking->sheet, checking->report->preview, file_base(path),
                                                          n, checking->report->overwrite, error)
                                     : STATUS_OK;
}

/* One skull on both sides of a split makes every result on it worthless; within one side it only counts twice. */
static void check_seen(struct checking *checking, struct findings *findings, uint64_t hash, const char *name, int split)
{
    for (int64_t i = 0; i < checking->n_seen; i++)
        if (checking->seen[i].hash == hash) {
            const bool leak = checking->seen[i].split != split;
            error_add(leak ? &findings->bad : &findings->odd, STATUS_FAILED, "the same skull as case %s%s",
                      checking->seen[i].name, leak ? ", on another side of the split" : "");
            break;
        }
    checking->seen[checking->n_seen++] = (struct seen){hash, name, split};
}

/* A row of the contact sheet. skull, implant: NULL where they could not be read, or there is none. */
static enum status check_preview(struct checking *checking, const char *name, const struct findings *findings,
                                 const struct volume *skull, const struct volume *implant, int64_t n_implants,
                                 struct error *error)
{
    const bool bad = findings->bad.n_errors > 0, odd = findings->odd.n_errors > 0;
    const struct grid *grid = skull ? &skull->grid : NULL;

    char summary[200] = "";
    if (skull)
        snprintf(summary, sizeof summary,
                 "%" PRId64 "x%" PRId64 "x%" PRId64 " vox\n%.3gx%.3gx%.3g mm\n%.0f ml of bone\n%" PRId64 " implant%s",
                 grid->dim[0], grid->dim[1], grid->dim[2], grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1),
                 grid_spacing_mm(grid, 2), (double)mask_count(skull->data, grid_voxels(grid)) * grid_voxel_ml(grid),
                 n_implants, n_implants == 1 ? "" : "s");
    char *text = memory_printf("%s%s%s%s%s", bad ? "BAD: " : "", findings->bad.text, odd ? "note: " : "",
                               findings->odd.text, summary);
    if (!text)
        return error_memory(error, 256, "a preview");

    /* A skull without bone has no pictures, only its row of text */
    const bool shown = skull && mask_count(skull->data, grid_voxels(&skull->grid)) > 0;
    const struct contact_sheet_row row = {.grid = shown ? &skull->grid : NULL,
                                          .skull = skull ? skull->data : NULL,
                                          .implant = implant ? implant->data : NULL,
                                          .name = name,
                                          .text = text,
                                          .mark = bad   ? CONTACT_BAD
                                                  : odd ? CONTACT_ODD
                                                        : CONTACT_GOOD};

    const enum status status = contact_sheet_add(&checking->sheet, &row, error);
    memory_free(text);
    return status;
}

static enum status check_report_case(struct checking *checking, const char *name, const struct findings *findings,
                                     const struct volume *skull, const struct volume *implant, int64_t n_implants,
                                     struct error *error)
{
    char summary[160] = "";
    struct check_report *report = checking->report;
    if (skull)
        snprintf(summary, sizeof summary,
                 "%" PRId64 "x%" PRId64 "x%" PRId64 " voxels of %.3gx%.3gx%.3g mm, %.0f ml of bone, %" PRId64
                 " implants",
                 skull->grid.dim[0], skull->grid.dim[1], skull->grid.dim[2], grid_spacing_mm(&skull->grid, 0),
                 grid_spacing_mm(&skull->grid, 1), grid_spacing_mm(&skull->grid, 2),
                 (double)mask_count(skull->data, grid_voxels(&skull->grid)) * grid_voxel_ml(&skull->grid), n_implants);
    report->n_cases++;
    report->n_bad += findings->bad.n_errors > 0;
    if (report->out)
        check_print(report->out, name, findings, summary);
    return report->preview ? check_preview(checking, name, findings, skull, implant, n_implants, error) : STATUS_OK;
}

/* ---- a dataset ---- */

/* *keep: empty, or the first implant, for the preview. */
static void check_stored_implant(struct findings *findings, struct dataset *set, int64_t i, int64_t j,
                                 const struct volume *skull, struct volume *keep)
{
    const struct case_entry *entry = dataset_entry(set, i);
    struct volume implant;
    struct error error = {0};
    if (dataset_read_implant(&implant, set, i, j, &error)) {
        error_add(&findings->bad, STATUS_FAILED, "implant %s: %s", entry->item.implant_names[j], error.text);
        return;
    }
    int64_t outside = 0;
    const uint8_t *bone = skull->data, *missing = implant.data;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        outside += missing[v] && !bone[v];
    if (outside > 0)
        error_add(&findings->bad, STATUS_FAILED, "implant %s: %" PRId64 " voxels outside the skull",
                  entry->item.implant_names[j], outside);
    if (mask_hash(implant.data, implant.grid.dim) != entry->implant_hashes[j])
        error_add(&findings->bad, STATUS_FAILED, "implant %s: its content is not what was packed (content_hash)",
                  entry->item.implant_names[j]);
    if (keep->data)
        volume_done(&implant);
    else
        *keep = implant;
}

static enum status check_set_case(struct checking *checking, struct dataset *set, int64_t i, struct error *error)
{
    struct findings findings = {0};
    struct error reading = {0};
    struct volume skull, implant = {0};
    const struct dataset_case *item = dataset_case(set, i);

    if (dataset_read_skull(&skull, set, i, &reading)) {
        error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
        return check_report_case(checking, item->name, &findings, NULL, NULL, 0, error);
    }

    if (mask_hash(skull.data, skull.grid.dim) != item->content_hash)
        error_add(&findings.bad, STATUS_FAILED, "its content is not what was packed (content_hash)");
    check_seen(checking, &findings, item->content_hash, item->name, (int)item->split);
    enum status status = check_skull(&findings, &skull, error);
    for (int64_t j = 0; !status && j < item->n_implants; j++)
        check_stored_implant(&findings, set, i, j, &skull, &implant);
    if (!status)
        status = check_report_case(checking, item->name, &findings, &skull, implant.data ? &implant : NULL,
                                   item->n_implants, error);
    volume_done(&implant);
    volume_done(&skull);
    return status;
}

static enum status check_set(struct checking *checking, const char *path, struct error *error)
{
    struct dataset *set;
    if (dataset_open(&set, path, error))
        return error->status;
    enum status status = check_start(checking, path, dataset_n_cases(set), error);
    for (int64_t i = 0; !status && i < dataset_n_cases(set); i++)
        status = check_set_case(checking, set, i, error);
    contact_sheet_close(&checking->sheet, NULL); /* full, or a failure */
    dataset_close(set);
    return status;
}

/* ---- a folder ---- */

static enum status check_folder_case(struct checking *checking, const struct layout_case *from, struct error *error)
{
    struct findings findings = {0};
    struct error reading = {0};
    struct volume skull, implant, shown = {0};

    if (pack_read_skull(&skull, from, &reading)) {
        error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
        return check_report_case(checking, from->name, &findings, NULL, NULL, 0, error);
    }

    check_seen(checking, &findings, mask_hash(skull.data, skull.grid.dim), from->name, -1);
    enum status status = check_skull(&findings, &skull, error);

    for (int64_t j = 0; !status && j < from->n_defects; j++) {
        reading = (struct error){0};
        if (pack_read_implant(&implant, &from->defects[j], &skull, &reading))
            error_add(&findings.bad, STATUS_FAILED, "%s", reading.text);
        else if (shown.data)
            volume_done(&implant);
        else
            shown = implant;
    }

    if (!status)
        status = check_report_case(checking, from->name, &findings, &skull, shown.data ? &shown : NULL, from->n_defects,
                                   error);
    volume_done(&shown);
    volume_done(&skull);
    return status;
}

static enum status check_folder(struct checking *checking, const char *path, struct error *error)
{
    struct layout layout;
    FILE *out = checking->report->out;
    enum status status = layout_find(&layout, path, &checking->report->layout, &checking->arena, error);
    for (int64_t i = 0; !status && out && i < layout.unmatched.n; i++)
        fprintf(out, "note  left out: %s\n", layout.unmatched.items[i]);
    if (!status)
        status = check_start(checking, path, layout.n_cases, error);
    for (int64_t i = 0; !status && i < layout.n_cases; i++)
        status = check_folder_case(checking, &layout.cases[i], error);
    contact_sheet_close(&checking->sheet, NULL); /* full, or a failure */
    return status;
}

enum status dataset_check(const char *path, struct check_report *report, struct error *error)
{
    struct checking checking = {.report = report};
    report->n_cases = report->n_bad = 0;
    const enum status status = file_is_folder(path) || file_has_suffix(path, ".tsv")
                                   ? check_folder(&checking, path, error)
                                   : check_set(&checking, path, error);
    arena_done(&checking.arena);
    return status ? error_while(error, "checking %s", path) : STATUS_OK;
}
