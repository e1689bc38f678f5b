/* phantom.c - `calvaria phantom`: procedural healthy skulls. Test: tests/data/test_phantom.c. */
#include "data/phantom/phantom.h"
#include "data/volume/formats.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"

struct phantom_options {
    struct command_options common;
    const char *out;
    int64_t count, seed;
    int format;
    bool overwrite;
    struct phantom_config phantom;
};

static const char *const format_names[] = {"nii.gz", "nii", "nrrd", "nhdr", NULL}; /* order of enum volume_format */

#define OFFSET(member) offsetof(struct phantom_options, member)
/* clang-format off */
static const struct config_field phantom_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true, .help = "folder for phantom_000 ..."},
    {.key = "count", .type = CONFIG_INT, .offset = OFFSET(count), .text = "10", .min = 1, .max = 1e6,
     .help = "how many skulls"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 1e15,
     .help = "the population"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(phantom), .table = &phantom_table},
    {.key = "format", .type = CONFIG_ENUM, .offset = OFFSET(format), .text = "nii.gz", .names = format_names,
     .help = "file format"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

static enum status phantom_write(const struct phantom_options *options, int64_t i, struct arena *arena,
                                 struct error *error)
{
    struct volume skull = {0};
    char *name = arena_printf(arena, "phantom_%03" PRId64 "%s", i, volume_suffix((enum volume_format)options->format));
    char *path = name ? file_join(arena, options->out, name) : NULL;
    if (!path)
        return error_memory(error, strlen(options->out), "a path");
    enum status status = file_check_free(path, options->overwrite, error);
    if (!status)
        status = phantom_skull(&skull, &options->phantom, (uint64_t)options->seed, i, error);
    if (!status)
        status = volume_write(path, &skull, error);
    volume_done(&skull);
    return status;
}

static enum status phantom_run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct phantom_options *options = value;
    (void)n_inputs, (void)inputs;
    enum status status = file_make_folders(options->out, error);
    struct progress progress;
    progress_start(&progress, "phantoms", "skull", 0, options->count);
    for (int64_t i = 0; !status && i < options->count; i++) {
        struct arena arena = {0};
        status = phantom_write(options, i, &arena, error);
        arena_done(&arena);
        progress_show(&progress, i + 1, NULL);
    }
    progress_end(&progress);
    return status;
}

/* clang-format off */
const struct command command_phantom = {
    .name = "phantom",
    .arguments = "--out DIR [--count N] [--seed S] [--spacing-mm F] [--dims X,Y,Z] [--sutures] [--diploe]",
    .example = "calvaria phantom --out skulls --count 20 --seed 1 --spacing-mm 1.5",
    .options = {.help = "make procedural healthy skulls", .size = sizeof(struct phantom_options),
    .base = &command_base_table,
                .fields = phantom_fields},
    .run = phantom_run,
};
/* clang-format on */
