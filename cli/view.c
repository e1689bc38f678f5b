/* view.c - `calvaria view`: a folder of results as a contact sheet. Test: tests/cli/test_failures.sh */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/failures.h"
#include "cli/truth.h"
#include "data/metrics.h"
#include "data/picture/contact_sheet.h"

struct view_options {
    struct command_options common;
    const char *out, *truth;
    bool overwrite;
};

#define OFFSET(member) offsetof(struct view_options, member)
/* clang-format off */
static const struct config_field view_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out),
     .help = "FILE.png (FILE_01.png ... where the cases fill several pages); default: FOLDER/view.png"},
    {.key = "truth", .type = CONFIG_PATH, .offset = OFFSET(truth),
     .help = "folder with the true NAME_implant: each row gets its DSC and HD95, and shows where both differ"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

/* The skull about the implant: the completed one, else the defective or complete one, of either folder. */
static enum status view_read_skull(struct volume *ret, struct arena *arena, const struct view_options *options,
                                   const char *folder, const char *name, const struct volume *implant,
                                   struct error *error)
{
    static const char *const kinds[] = {"completed", "defective", "complete", "skull"};
    const char *const folders[] = {folder, options->truth};
    for (int f = 0; f < 2; f++)
        for (int k = 0; folders[f] && k < 4; k++) {
            const char *path;
            if (truth_find(&path, arena, folders[f], name, kinds[k], error))
                return error->status;
            if (!path)
                continue;
            if (truth_read_implant(ret, path, error))
                return error->status;
            if (grid_same(&ret->grid, &implant->grid, 0.01))
                return STATUS_OK;
            return error_set(error, STATUS_FAILED, "%s: lies on another grid than %s_implant", path, name);
        }
    return error_set(error, STATUS_FAILED,
                     "%s: no %s_completed, %s_defective or %s_complete beside %s_implant: nothing to show it in",
                     folder, name, name, name, name);
}

/* DSC and HD95 where the truth has this case; ret_truth: empty where it has not. */
static enum status view_compare(struct metrics *ret, struct volume *ret_truth, struct arena *arena, const char *folder,
                                const char *name, const struct volume *implant, struct error *error)
{
    const char *path = NULL;
    if (folder && truth_find(&path, arena, folder, name, "implant", error))
        return error->status;
    if (!path)
        return STATUS_OK;
    if (truth_read_implant(ret_truth, path, error))
        return error->status;
    const struct grid *grid = &ret_truth->grid;
    const double spacing_mm[3] = {grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)};
    if (!grid_same(grid, &implant->grid, 0.01))
        return error_set(error, STATUS_FAILED, "%s: lies on another grid than the result", path);
    return metrics_compare(ret, ret_truth->data, implant->data, NULL, grid->dim, spacing_mm, error);
}

static enum status view_case(struct contact_sheet *sheet, const struct view_options *options, const char *folder,
                             const char *name, struct error *error)
{
    struct arena arena = {0};
    struct volume implant = {0}, skull = {0}, truth = {0};
    struct metrics metrics = {0};
    char text[256];
    const char *path;
    enum status status = truth_find(&path, &arena, folder, name, "implant", error);
    if (!status)
        status = path ? truth_read_implant(&implant, path, error)
                      : error_set(error, STATUS_FAILED, "%s: %s_implant vanished", folder, name);
    if (!status)
        status = view_read_skull(&skull, &arena, options, folder, name, &implant, error);
    if (!status)
        status = view_compare(&metrics, &truth, &arena, options->truth, name, &implant, error);

    if (!status) {
        const bool compared = truth.data;
        const double ml = (double)mask_count(implant.data, grid_voxels(&implant.grid)) * grid_voxel_ml(&implant.grid);
        const int n = snprintf(text, sizeof text, "implant %.1f ml", ml);
        if (compared)
            snprintf(text + n, sizeof text - (size_t)n, "\nDSC %.3f\nHD95 %.2f mm", metrics.dsc, metrics.hd95_mm);
        else if (options->truth)
            snprintf(text + n, sizeof text - (size_t)n, "\nno true implant");
        const bool failed = compared && metrics_is_failure(&metrics);
        const struct contact_sheet_row row = {.grid = &implant.grid,
                                              .skull = skull.data,
                                              .implant = implant.data,
                                              .truth = truth.data,
                                              .name = name,
                                              .text = text,
                                              .mark = failed     ? CONTACT_BAD
                                                      : compared ? CONTACT_GOOD
                                                      : ml > 0   ? CONTACT_PLAIN
                                                                 : CONTACT_ODD};
        status = contact_sheet_add(sheet, &row, error);
    }
    volume_done(&truth);
    volume_done(&skull);
    volume_done(&implant);
    arena_done(&arena);
    return status;
}

/* The row of a case that cannot be read: why. */
static enum status view_failed_case(struct contact_sheet *sheet, const char *name, const struct error *why,
                                    struct error *error)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)strcspn(why->text, "\n"), why->text);
    return contact_sheet_add(sheet, &(struct contact_sheet_row){.name = name, .text = text, .mark = CONTACT_BAD},
                             error);
}

static enum status view_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct view_options *options = value;
    struct arena arena = {0};
    struct config_strings names = {0};
    struct contact_sheet sheet = {0};
    struct failures failures = {0};
    (void)n_inputs;

    enum status status = truth_cases(&names, inputs[0], &arena, error);
    const char *out = options->out ? options->out : file_join(&arena, inputs[0], "view.png");
    if (!status && !out)
        status = error_memory(error, 4096, "a path");
    if (!status)
        status = contact_sheet_open(&sheet, out, "results", names.n, options->overwrite, error);
    sheet.compares = options->truth;

    /* A case that fails has a row that says so; the others still have theirs. */
    struct progress progress;
    failures.n_cases = names.n;
    progress_start(&progress, "view", "case", 0, names.n);
    for (int64_t i = 0; !status && i < names.n; i++) {
        struct error why = {0};
        if (view_case(&sheet, options, inputs[0], names.items[i], &why)) {
            failures_add(&failures, &why);
            status = view_failed_case(&sheet, names.items[i], &why, error);
        }
        progress_show(&progress, i + 1, names.items[i]);
    }
    progress_end(&progress);

    contact_sheet_close(&sheet, NULL); /* whole pages are written as they fill */
    if (!status)
        status = failures_end(&failures, "cases", "could not be shown", error);
    arena_done(&arena);
    return status;
}

const struct command command_view = {
    .name = "view",
    .arguments = "FOLDER [--truth DIR] [--out FILE.png]",
    .example = "calvaria view restored --truth held_out",
    .options =
        {
            .help = "a folder of results as one picture: a row for each case",
            .size = sizeof(struct view_options),
            .base = &command_base_table,
            .fields = view_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = view_command,
};
