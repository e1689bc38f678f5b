/* segment.c - `calvaria segment`: head CTs to binary skulls.
 * Test: tests/data/test_segment.c, tests/cli/test_bad_input.sh. */
#include "data/segment/skull_file.h"
#include "data/volume/formats.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/failures.h"
#include "cli/inputs.h"

struct segment_options {
    struct command_options common;
    struct segment_config segment;
    const char *out, *series;
    bool overwrite;
    bool strict;
};

/* clang-format off */
static const struct config_field segment_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = offsetof(struct segment_options, out), .required = true,
     .help = "folder for NAME_skull"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct segment_options, segment), .table = &segment_table},
    {.key = "series", .type = CONFIG_STRING, .offset = offsetof(struct segment_options, series),
     .help = "DICOM folder or zip: the series, by number or a part of its description; else the CT of most slices"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct segment_options, overwrite), .table = &overwrite_table},
    {.key = "strict", .type = CONFIG_BOOL, .offset = offsetof(struct segment_options, strict), .text = "false",
     .help = "warnings are errors: nothing is written for a CT that has one"},
    {0},
};
/* clang-format on */

/* head and head_Tilt_1, head_Eq: the second name is the first one's with what dcm2niix adds. */
static bool segment_is_variant(const char *a, const char *b)
{
    const char *longer = strlen(a) > strlen(b) ? a : b, *shorter = longer == a ? b : a;
    const size_t n = strlen(shorter);
    return strncmp(longer, shorter, n) == 0 &&
           (strncmp(longer + n, "_Tilt", 5) == 0 || strncmp(longer + n, "_Eq", 3) == 0);
}

/* One CT on its way. */
struct segment_case {
    const char *path, *name;
};

/* Results are named after their CT: two equal names, as A/head and B/head, would overwrite each other. */
static enum status segment_cases(struct segment_case **ret, const struct config_strings *cts, struct arena *arena,
                                 struct error *error)
{
    struct segment_case *cases = arena_alloc(arena, (size_t)cts->n, sizeof *cases);
    for (int64_t i = 0; cases && i < cts->n; i++) {
        cases[i] = (struct segment_case){cts->items[i], volume_case_name(arena, cts->items[i])};
        for (int64_t j = 0; j < i && cases[i].name; j++) {
            if (strcmp(cases[i].name, cases[j].name) == 0)
                error_add(
                    error, STATUS_USAGE,
                    "%s: has the name '%s' of %s: their results would overwrite each other (use two --out folders)",
                    cases[i].path, cases[i].name, cases[j].path);
            else if (segment_is_variant(cases[i].name, cases[j].name))
                log_warn("%s and %s are two versions of one scan (dcm2niix adds _Tilt and _Eq): one is enough, the "
                         "corrected one",
                         cases[j].path, cases[i].path);
        }
        if (!cases[i].name)
            return error_memory(error, strlen(cts->items[i]), "a case name");
    }
    *ret = cases;
    return cases ? error->status : error_memory(error, (size_t)cts->n * sizeof *cases, "the list of CTs");
}

static enum status segment_one(const struct segment_case *one, const struct segment_options *options,
                               struct error *error)
{
    struct arena arena = {0};
    struct volume ct = {0}, skull = {0};
    struct segment_report report;
    char *out = NULL;
    struct skull_input input;
    if (skull_input_open(&input, one->path, options->series, error))
        return error->status;
    enum status status = volume_read_header(&ct, input.path, error);

    /* The file that would be written is known from the header: no work for one that may not be */
    if (!status) {
        char *file = arena_printf(&arena, "%s_skull%s", one->name,
                                  volume_suffix(input.is_dicom ? VOLUME_NIFTI_GZ : ct.storage.format));
        out = file ? file_join(&arena, options->out, file) : NULL;
        status = out ? file_check_free(out, options->overwrite, error) : error_memory(error, 4096, "a path");
    }
    if (!status)
        status = volume_read(&ct, input.path, error);
    if (!status)
        status = segment_skull(&skull, &report, &ct, &options->segment, one->path, error);
    if (!status)
        status = skull_strict(&report.warnings, options->strict, one->path, error);
    if (!status)
        status = volume_write(out, &skull, error);

    if (!status) {
        log_info("%s: %.0f ml of bone above %.0f HU; %lld other pieces (%.1f ml) removed", out, report.bone_ml,
                 report.threshold_hu, (long long)report.n_removed, report.removed_ml);
        for (int i = 0; i < report.warnings.n; i++)
            log_warn("%s: %s", one->path, report.warnings.text[i]);
    }

    volume_done(&skull);
    volume_done(&ct);
    arena_done(&arena);
    skull_input_close(&input);
    return status;
}

static enum status segment_run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct segment_options *options = value;
    struct arena arena = {0};
    struct config_strings cts = {0};
    struct segment_case *cases = NULL;
    struct failures failures = {0};
    enum status status = inputs_list(&cts, n_inputs, inputs, &arena, error);

    if (!status)
        status = segment_cases(&cases, &cts, &arena, error);
    if (!status)
        status = file_make_folders(options->out, error);

    failures.n_cases = cts.n;
    for (int64_t i = 0; !status && i < cts.n; i++) {
        struct error one = {0};
        if (segment_one(&cases[i], options, &one))
            failures_add(&failures, &one);
    }

    if (!status)
        status = failures_end(&failures, "CTs", "gave no skull", error);
    arena_done(&arena);
    return status;
}

/* clang-format off */
const struct command command_segment = {
    .name = "segment",
    .arguments = "CT... --out DIR [--threshold-hu 150 | --auto-threshold] [--hu-offset F] [--strict]",
    .example = "calvaria segment scans/head_ct.nii.gz --out skulls",
    .options = {.help = "head CTs in Hounsfield units to binary skulls", .size = sizeof(struct segment_options),
    .base = &command_base_table,
                .fields = segment_fields},
    .min_inputs = 1,
    .max_inputs = -1,
    .run = segment_run,
};
/* clang-format on */
