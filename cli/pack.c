/* pack.c - `calvaria pack`, `unpack`, `check`: folders of volumes into one HDF5 dataset, back, and its integrity.
 * Test: tests/data/test_dataset.c. */
#include <stdio.h>

#include "base/file.h"
#include "cli/command.h"
#include "data/dataset/dataset.h"

/* Of the commands that read a folder of cases, or a table of them. */
struct layout_command_options {
    struct command_options common;
    struct layout_options layout;
};

/* clang-format off */
static const struct config_field layout_fields[] = {
    {.key = "pattern", .type = CONFIG_STRINGS, .offset = offsetof(struct layout_command_options, layout.patterns),
     .help = "[ROLE=]PATH of files below DIR, with {case}, {defect} and *; ROLE is complete (default), defective or "
             "implant"},
    {.key = "group_column", .type = CONFIG_STRING,
     .offset = offsetof(struct layout_command_options, layout.group_column),
     .help = "the column of a table that names scans of one head (default group)"},
    {0},
};
/* clang-format on */
static const struct config_table layout_base_table = {
    .size = sizeof(struct layout_command_options), .base = &command_base_table, .fields = layout_fields};

struct pack_options {
    struct layout_command_options from;
    const char *out;
    double split[3];
    const char *split_file;
    int64_t seed;
    double spacing_mm;
    bool overwrite;
};

#define OFFSET(member) offsetof(struct pack_options, member)
/* clang-format off */
static const struct config_field pack_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "the dataset to write (set.h5)"},
    {.key = "split", .type = CONFIG_DOUBLE3, .offset = OFFSET(split), .text = "[0.8, 0.1, 0.1]", .min = 0, .max = 1,
     .help = "shares of train,val,test, split by skull"},
    {.key = "split_file", .type = CONFIG_PATH, .offset = OFFSET(split_file),
     .help = "lines of case<TAB>train|val|test[<TAB>group] instead of a random split"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 1e15,
     .help = "of the random split"},
    {.key = "spacing_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(spacing_mm), .text = "0", .min = 0, .max = 20,
     .unit = "mm", .help = "store skulls on a grid of this spacing: quicker to draw from than 512 x 512 slices; "
             "0: as they are"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

static enum status pack_run_pack(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct pack_options *options = value;
    (void)n_inputs;
    const struct pack_config config = {.split_frac = {options->split[0], options->split[1], options->split[2]},
                                       .seed = options->seed,
                                       .spacing_mm = options->spacing_mm,
                                       .split_file = options->split_file,
                                       .layout = options->from.layout};
    if (file_check_free(options->out, options->overwrite, error))
        return error->status;
    return dataset_pack(inputs[0], options->out, &config, error);
}

/* clang-format off */
const struct command command_pack = {
    .name = "pack",
    .arguments = "DIR|CASES.tsv --out SET.h5 [--split 0.8,0.1,0.1 --seed S | --split-file F.tsv] [--spacing-mm F]",
    .example = "calvaria pack skulls --out set.h5 --split 0.8,0.1,0.1 --seed 1",
    .options = {.help = "pack healthy skulls or ready triplets into one dataset",
                .size = sizeof(struct pack_options),
                .base = &layout_base_table,
                .fields = pack_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = pack_run_pack,
};
/* clang-format on */

struct unpack_options {
    struct command_options common;
    const char *out;
    int split, format;
    bool overwrite;
};

static const char *const split_names[] = {"train", "val", "test", "all", NULL}; /* enum dataset_split, SPLIT_N */
static const char *const format_names[] = {"nii.gz", "nii",    "nrrd",
                                           "nhdr",   "packed", NULL}; /* enum volume_format, then as packed */
enum { FORMAT_PACKED = 4 };

/* clang-format off */
static const struct config_field unpack_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = offsetof(struct unpack_options, out), .required = true,
     .help = "folder to write"},
    {.key = "split", .type = CONFIG_ENUM, .offset = offsetof(struct unpack_options, split), .text = "all",
     .names = split_names, .help = "which cases"},
    {.key = "format", .type = CONFIG_ENUM, .offset = offsetof(struct unpack_options, format), .text = "packed",
     .names = format_names, .help = "file format; packed: the one each skull came in"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct unpack_options, overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

static enum status pack_run_unpack(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct unpack_options *options = value;
    (void)n_inputs;
    return dataset_unpack(inputs[0], options->split, options->out,
                          options->format == FORMAT_PACKED ? -1 : options->format, options->overwrite, error);
}

/* clang-format off */
const struct command command_unpack = {
    .name = "unpack",
    .arguments = "SET.h5 --split val --out DIR [--format nii.gz|nii|nrrd|nhdr]",
    .example = "calvaria unpack set.h5 --split val --out held_out",
    .options = {.help = "write a dataset's cases back as volumes",
                .size = sizeof(struct unpack_options),
                .base = &command_base_table,
                .fields = unpack_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = pack_run_unpack,
};
/* clang-format on */

struct check_options {
    struct layout_command_options from;
    const char *preview;
    bool overwrite;
};

/* clang-format off */
static const struct config_field check_fields[] = {
    {.key = "preview",
     .type = CONFIG_PATH,
     .offset = offsetof(struct check_options, preview),
     .help = "FILE.png: a contact sheet, a row for each case (FILE_01.png ... where they fill several pages)"},
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct check_options, overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

static enum status pack_run_check(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct check_options *options = value;
    (void)n_inputs;
    struct check_report report = {
        .out = stdout, .preview = options->preview, .overwrite = options->overwrite, .layout = options->from.layout};
    enum status status = dataset_check(inputs[0], &report, error);
    if (status)
        return status;
    printf("%lld cases, %lld bad\n", (long long)report.n_cases, (long long)report.n_bad);
    if (report.n_bad)
        return error_set(error, STATUS_FAILED, "%s: %lld of %lld cases are bad (each is named above)", inputs[0],
                         (long long)report.n_bad, (long long)report.n_cases);
    return STATUS_OK;
}

/* clang-format off */
const struct command command_check = {
    .name = "check",
    .arguments = "SET.h5|DIR|CASES.tsv [--preview FILE.png]",
    .example = "calvaria check set.h5",
    .options = {.help = "report the integrity of a dataset or a folder, naming each bad case",
                .size = sizeof(struct check_options),
                .base = &layout_base_table,
                .fields = check_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = pack_run_check,
};
/* clang-format on */
