/* segment.c - `calvaria segment`: head CTs to binary skulls.
 * Test: tests/data/test_segment.c, tests/cli/test_bad_input.sh. */
#include "data/segment/segment.h"
#include "data/volume/formats.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"

struct segment_options {
    struct command_options common;
    struct segment_config segment;
    const char *out;
};

/* clang-format off */
static const struct config_field segment_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = offsetof(struct segment_options, out), .required = true,
     .help = "folder for NAME_skull"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct segment_options, segment), .table = &segment_table},
    {0},
};
/* clang-format on */

/* Files as they are; a folder stands for the volumes in it. */
static enum status segment_list_cts(struct config_strings *ret, int n_inputs, char *const *inputs, struct arena *arena,
                                    struct error *error)
{
    int64_t n = 0, room = 0;
    const char **paths = NULL;

    for (int i = 0; i < n_inputs; i++) {
        struct config_strings files = {.n = 1};
        const char *one[1] = {inputs[i]};
        const bool folder = file_is_folder(inputs[i]);
        files.items = one;
        if (folder) {
            enum status status = file_list(&files, inputs[i], arena, error);
            if (status)
                return status;
        }

        /* The list grows by what this argument may add */
        const char **grown = arena_alloc(arena, (size_t)(room = n + files.n), sizeof *grown);
        if (!grown)
            return error_memory(error, (size_t)room * sizeof *grown, "the list of CTs");
        if (n)
            memcpy(grown, paths, (size_t)n * sizeof *paths);
        paths = grown;

        /* A folder may hold other files; a file that was named is read whatever its ending */
        for (int64_t f = 0; f < files.n; f++)
            if (!folder || volume_format_of(files.items[f]) >= 0) {
                paths[n] = folder ? file_join(arena, inputs[i], files.items[f]) : files.items[f];
                if (!paths[n++])
                    return error_memory(error, 4096, "a path");
            }
    }

    if (n == 0)
        return error_set(error, STATUS_FAILED, "%s: no volume in this folder (.nii.gz, .nii, .nrrd or .nhdr)",
                         inputs[0]);
    *ret = (struct config_strings){.n = n, .items = paths};
    return STATUS_OK;
}

static enum status segment_one(const char *path, const struct segment_options *options, struct error *error)
{
    struct arena arena = {0};
    struct volume ct = {0}, skull = {0};
    struct segment_report report;
    char *name = volume_case_name(&arena, path);
    char *out = NULL;
    enum status status = name ? volume_read(&ct, path, error) : error_memory(error, strlen(path), "a case name");

    if (!status)
        status = segment_skull(&skull, &report, &ct, &options->segment, path, error);
    if (!status) {
        char *file = arena_printf(&arena, "%s_skull%s", name, volume_suffix(skull.storage.format));
        out = file ? file_join(&arena, options->out, file) : NULL;
        status = out ? volume_write(out, &skull, error) : error_memory(error, strlen(path), "a path");
    }

    if (!status) {
        log_info("%s: %.0f ml of bone above %.0f HU; %lld other pieces (%.1f ml) removed", out, report.bone_ml,
                 report.threshold_hu, (long long)report.n_removed, report.removed_ml);
        for (int i = 0; i < report.n_warnings; i++)
            log_warn("%s: %s", path, report.warnings[i]);
    }

    volume_done(&skull);
    volume_done(&ct);
    arena_done(&arena);
    return status;
}

static enum status segment_run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct segment_options *options = value;
    struct arena arena = {0};
    struct config_strings cts = {0};
    int64_t n_failed = 0;
    enum status status = segment_list_cts(&cts, n_inputs, inputs, &arena, error);

    if (!status)
        status = file_make_folders(options->out, error);

    for (int64_t i = 0; !status && i < cts.n; i++) {
        struct error one = {0};
        if (segment_one(cts.items[i], options, &one)) { /* logged at once; the other CTs still run */
            error_print(stderr, &one);
            n_failed++;
        }
    }

    if (!status && n_failed)
        status = error_set(error, STATUS_FAILED, "%lld of %lld CTs gave no skull (see above)",
                           (long long)n_failed, (long long)cts.n);
    arena_done(&arena);
    return status;
}

/* clang-format off */
const struct command command_segment = {
    .name = "segment",
    .arguments = "CT... --out DIR [--threshold-hu 150 | --auto-threshold]",
    .example = "calvaria segment scans/head_ct.nii.gz --out skulls",
    .options = {.help = "head CTs in Hounsfield units to binary skulls", .size = sizeof(struct segment_options),
    .base = &command_base_table,
                .fields = segment_fields},
    .min_inputs = 1,
    .max_inputs = -1,
    .run = segment_run,
};
/* clang-format on */
