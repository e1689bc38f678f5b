/* inject.c - `calvaria inject`: synthetic defects on healthy skulls, as files. Test: tests/cli/test_runs_command.sh. */
#include <inttypes.h>
#include <string.h>

#include "base/configs.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/failures.h"
#include "cli/inputs.h"
#include "cli/failures.h"
#include "data/picture/contact_sheet.h"
#include "data/defects/defect.h"
#include "data/volume/formats.h"

struct inject_options {
    struct command_options common;
    const char *defects, *out, *preview;
    int64_t count, seed;
    bool overwrite;
    struct mask_choice mask;
};

#define OFFSET(member) offsetof(struct inject_options, member)
/* clang-format off */
static const struct config_field inject_fields[] = {
    {.key = "defects", .type = CONFIG_PATH, .offset = OFFSET(defects), .required = true,
     .help = "YAML mixture of defects, or a name of 'calvaria recipes'"},
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "folder for NAME_d00_defective, NAME_d00_implant ..."},
    {.key = "count", .type = CONFIG_INT, .offset = OFFSET(count), .text = "1", .min = 1, .max = 10000,
     .help = "defects per skull"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 1e15,
     .help = "the same seed, the same bytes"},
    {.key = "preview", .type = CONFIG_PATH, .offset = OFFSET(preview),
     .help = "FILE.png: a contact sheet, a row for each defect (FILE_01.png ... where they fill several pages)"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(mask), .table = &mask_table},
    {0},
};
/* clang-format on */

/* Writes the pair NAME_dNN_defective, NAME_dNN_implant in the skull's format. `skull` becomes the defective skull and
 * is restored. */
static enum status inject_write_pair(struct volume *skull, struct volume *implant, const struct inject_options *options,
                                     const char *name, int64_t d, struct error *error)
{
    struct arena arena = {0};
    const char *suffix = volume_suffix(skull->storage.format);
    uint8_t *bone = skull->data;
    const uint8_t *removed = implant->data;
    const int64_t n = grid_voxels(&skull->grid);
    char *stem = arena_printf(&arena, "%s_d%02" PRId64, name, d);
    char *defective_path =
        stem ? file_join(&arena, options->out, arena_printf(&arena, "%s_defective%s", stem, suffix)) : NULL;
    char *implant_path =
        stem ? file_join(&arena, options->out, arena_printf(&arena, "%s_implant%s", stem, suffix)) : NULL;
    enum status status = STATUS_OK;
    if (!defective_path || !implant_path)
        status = error_memory(error, strlen(options->out), "a path");
    if (!status)
        status = file_check_free(implant_path, options->overwrite, error);
    if (!status)
        status = file_check_free(defective_path, options->overwrite, error);
    if (!status)
        status = volume_write(implant_path, implant, error);
    if (!status) {
        for (int64_t i = 0; i < n; i++)
            bone[i] = (uint8_t)(bone[i] ^ removed[i]); /* the implant is part of the skull */
        status = volume_write(defective_path, skull, error);
        for (int64_t i = 0; i < n; i++)
            bone[i] = (uint8_t)(bone[i] ^ removed[i]);
    }
    arena_done(&arena);
    return status;
}

static enum status inject_preview_row(struct contact_sheet *sheet, const struct volume *skull,
                                      const struct volume *implant, struct box box, const char *type, const char *name,
                                      int64_t d, struct error *error)
{
    char title[128], text[256];
    const struct grid *grid = &skull->grid;
    const int64_t n = grid_voxels(grid);
    const double removed = (double)mask_count(implant->data, n), bone = (double)mask_count(skull->data, n);
    snprintf(title, sizeof title, "%.100s_d%02" PRId64, name, d);
    snprintf(text, sizeof text, "%s\nimplant %.1f ml\n%.1f %% of the bone\n%.0f x %.0f x %.0f mm", type,
             removed * grid_voxel_ml(grid), 100 * removed / bone,
             (double)(box.hi[0] - box.lo[0]) * grid_spacing_mm(grid, 0),
             (double)(box.hi[1] - box.lo[1]) * grid_spacing_mm(grid, 1),
             (double)(box.hi[2] - box.lo[2]) * grid_spacing_mm(grid, 2));
    const struct contact_sheet_row row = {
        .grid = grid, .skull = skull->data, .implant = implant->data, .name = title, .text = text};
    return contact_sheet_add(sheet, &row, error);
}

static enum status inject_skull(const struct inject_options *options, const struct defects_config *defects,
                                const char *path, const char *name, struct contact_sheet *sheet,
                                struct progress *progress, struct error *error)
{
    struct volume skull = {0}, implant = {0};
    enum status status = volume_read_mask_by(&skull, path, &options->mask, error);
    if (!status)
        status = volume_new(&implant, &skull.grid, VOXEL_U8, error);
    if (!status)
        implant.storage = skull.storage;

    /* Streams hang on the skull's name, so adding or dropping other files changes nothing. */
    const uint64_t name_stream = rng_hash(name);

    /* One pair of files per defect, each from a random stream of its own */
    for (int64_t d = 0; !status && d < options->count; d++) {
        struct box box;
        const char *type = "";
        struct rng stream = rng_make((uint64_t)options->seed, name_stream);
        status = defect_inject(implant.data, &box, &type, &skull, defects, rng_child(&stream, (uint64_t)d), error);
        if (!status)
            status = inject_write_pair(&skull, &implant, options, name, d, error);
        if (!status && options->preview)
            status = inject_preview_row(sheet, &skull, &implant, box, type, name, d, error);
        if (!status)
            progress_show(progress, progress->done + 1, name);
    }

    volume_done(&implant);
    volume_done(&skull);
    return status ? error_while(error, "injecting defects into %s", path) : STATUS_OK;
}

/* Two skulls of one name would overwrite each other's pairs. */
static enum status inject_names(char ***ret, const struct config_strings *skulls, struct arena *arena,
                                struct error *error)
{
    char **names = arena_alloc(arena, (size_t)skulls->n, sizeof *names);
    if (!names)
        return error_memory(error, (size_t)skulls->n * sizeof *names, "the case names");
    for (int64_t i = 0; i < skulls->n; i++) {
        names[i] = volume_case_name(arena, skulls->items[i]);
        if (!names[i])
            return error_memory(error, strlen(skulls->items[i]), "a case name");
        for (int64_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return error_set(error, STATUS_USAGE,
                                 "%s and %s: both are case '%s' (outputs would overwrite each other; rename one)",
                                 skulls->items[j], skulls->items[i], names[i]);
    }
    *ret = names;
    return STATUS_OK;
}

static enum status inject_run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct inject_options *options = value;
    struct arena arena = {0};
    struct defects_config defects;
    struct config_strings skulls = {0};
    struct failures failures = {0};
    char **names = NULL;
    const char *mixture;
    enum status status = inputs_list(&skulls, n_inputs, inputs, &arena, error);

    if (!status)
        status = configs_find(&mixture, "defects", options->defects, &arena, error);
    if (!status)
        status = defects_read(&defects, mixture, &arena, error);
    if (!status)
        status = inject_names(&names, &skulls, &arena, error);

    struct contact_sheet sheet = {0};
    const int64_t n_defects = skulls.n * options->count;
    if (!status && options->preview)
        status = contact_sheet_open(&sheet, options->preview, file_base(mixture), n_defects, options->overwrite, error);

    if (!status)
        status = file_make_folders(options->out, error);
    if (!status) {
        struct progress progress;
        failures.n_cases = skulls.n;
        progress_start(&progress, "inject", "defect", 0, n_defects);
        for (int64_t i = 0; i < skulls.n; i++) {
            struct error why = {0};
            if (inject_skull(options, &defects, skulls.items[i], names[i], &sheet, &progress, &why))
                failures_add(&failures, &why);
        }
        progress_end(&progress);
        status = contact_sheet_close(&sheet, error); /* a page that failures left unfilled */
    }

    if (!status)
        status = failures_end(&failures, "skulls", "got no defect", error);
    contact_sheet_close(&sheet, NULL);
    arena_done(&arena);
    return status;
}

/* clang-format off */
const struct command command_inject = {
    .name = "inject",
    .arguments = "SKULL|DIR... --defects FILE.yaml --out DIR [--count N] [--seed S] [--preview FILE.png]",
    .example = "calvaria inject skulls/*.nii.gz --defects configs/defects/craniotomy.yaml --out pairs --count 2",
    .options = {.help = "cut synthetic defects into healthy skulls",
                .size = sizeof(struct inject_options),
                .base = &command_base_table,
                .fields = inject_fields},
    .min_inputs = 1,
    .max_inputs = -1,
    .run = inject_run,
};
/* clang-format on */
