/* restore_config.c - the option rows of the restoration pipeline; see restore.h. Test: tests/infer/test_restore.c */
#include "infer/restore.h"

#include <string.h>

#include "base/memory.h"

static const struct config_table *restore_config_variant(int index)
{
    return index == 0 ? &postprocess_table : NULL;
}

static const char *const restore_precision_names[] = {"model", "float32", "bfloat16", NULL};

#define OFFSET(member) offsetof(struct restore_config, member)
/* clang-format off */
static const struct config_field restore_fields[] = {
    {.key = "task", .type = CONFIG_ENUM, .offset = OFFSET(task), .text = "completion", .names = task_names,
     .help = "what the network predicts: the completed skull, or the implant alone; in a recipe the outer task holds"},
    {.key = "scan", .type = CONFIG_ENUM, .offset = OFFSET(window.scan), .text = "grid", .names = scan_names,
     .help = "grid: tiles side by side, as published; overlap: blended; whole: the volume resized to one patch, "
             "or with working_spacing_mm a frame of patch_vox on the skull"},
    {.key = "overlap_frac", .type = CONFIG_DOUBLE, .offset = OFFSET(window.overlap_frac), .text = "0.5", .min = 0,
     .max = 0.75, .help = "scan overlap: the share of a patch that the next one covers too"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = OFFSET(window.patch_vox), .text = "0", .min = 0, .max = 4096,
     .unit = "voxels", .help = "the network's input, x, y, z; 0: the network's own patch_vox"},
    {.key = "top_vox", .type = CONFIG_INT, .offset = OFFSET(window.top_vox), .text = "0", .min = 0, .max = 1000000,
     .unit = "slices", .help = "only the top this many slices are scanned, below them the skull is left as it is; "
             "0: all"},
    {.key = "batch", .type = CONFIG_INT, .offset = OFFSET(window.batch), .text = "1", .min = 1, .max = 256,
     .unit = "patches", .help = "patches per forward pass"},
    {.key = "flip_average", .type = CONFIG_BOOL, .offset = OFFSET(window.flip_average), .text = "false",
     .help = "the mean of two predictions per patch, as it is and mirrored left to right: steadier, at twice the "
             "time"},
    {.key = "min_prior", .type = CONFIG_DOUBLE, .offset = OFFSET(window.min_prior), .text = "0.1", .min = 0, .max = 1,
     .help = "cascade: the fine network runs on a tile whose decisive voxels (at least 10 % of the blending "
             "weight) contain a coarse prediction above this"},
    {.key = "prior_weight", .type = CONFIG_DOUBLE, .offset = OFFSET(window.prior_weight), .text = "0", .min = 0,
     .max = 1, .help = "cascade: weight of the coarse prediction in the result; the rest is the fine one's"},
    {.key = "working_spacing_mm", .type = CONFIG_DOUBLE3, .offset = OFFSET(working_spacing_mm), .text = "0", .min = 0,
     .max = 20, .unit = "mm", .help = "spacing of the grid the network sees; 0: the skull's own"},
    {.key = "threshold", .type = CONFIG_DOUBLE, .offset = OFFSET(threshold), .text = "0.5", .min = -1e6, .max = 1e6,
     .help = "bone is where the network's prediction is above this"},
    {.key = "correction", .type = CONFIG_STRING, .offset = OFFSET(correction),
     .help = "the layer whose values, in mm, correct the depth that a shape model predicts; the implant is where their "
             "sum is above 0, and the layers behind it serve the loss alone. Not given: the last layer is the "
             "prediction"},
    {.key = "postprocess", .type = CONFIG_LIST, .offset = OFFSET(postprocess), .text = "[{open: 1}, {keep_largest: 1}]",
     .variant = restore_config_variant, .help = "steps of cleaning the implant, in order"},
    {.key = "pieces", .type = CONFIG_ENUM, .offset = OFFSET(pieces), .text = "by_size", .names = pieces_rule_names,
     .help = "by_size: keep_largest keeps further pieces too, of 0.5 ml and 5 % of the largest, that close a hole; "
             "by_rule: exactly as many as it states"},
    {.key = "precision", .type = CONFIG_ENUM, .offset = OFFSET(precision), .text = "model",
     .names = restore_precision_names, .help = "of the activations between layers; model: as it was trained; "
             "bfloat16: half their memory, rounded to 8 bits of mantissa"},
    {0},
};
/* clang-format on */

static enum status restore_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct restore_config *config = value;
    bool some = false, all = true;
    for (int a = 0; a < 3; a++) {
        some |= config->working_spacing_mm[a] > 0;
        all &= config->working_spacing_mm[a] > 0;
    }
    if (some && !all)
        return yaml_error(error, node,
                          "restore.working_spacing_mm: 0 along one axis alone (give three spacings above 0, or 0 for "
                          "the skull's own)");
    return STATUS_OK;
}

const struct config_table restore_table = {.help = "From a defective skull to its implant; stored in every model",
                                           .size = sizeof(struct restore_config),
                                           .fields = restore_fields,
                                           .check = restore_check};

enum status restore_config_read(struct restore_config *ret, const char *text, const char *where,
                                const struct config_strings *sets, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    enum status status = yaml_read_text(&root, text, where, arena, error);
    for (int64_t i = 0; !status && sets && i < sets->n; i++)
        status = yaml_set(root, sets->items[i], arena, error);
    return status ? status : config_bind(&restore_table, root, ret, arena, error);
}

enum status restore_config_cut(struct network_config *network, const struct restore_config *config, struct error *error)
{
    enum { NAMES = 256 };
    const char *names[NAMES + 1], *wanted = config->correction;
    int n = 0;
    if (!wanted)
        return STATUS_OK;
    if (config->task != TASK_IMPLANT)
        return error_set(error, STATUS_USAGE, "restore.correction: corrects what is missing (task: implant is needed)");

    for (int64_t i = 0; i < network->layers.n; i++) {
        const char *name = ((const struct layer_config *)network->layers.items[i].value)->name;
        if (name && strcmp(name, wanted) == 0) {
            network->layers.n = i + 1;
            return STATUS_OK;
        }
        if (name && n < NAMES)
            names[n++] = name;
    }
    names[n] = NULL;
    const char *near = config_nearest(wanted, names);
    return error_set(error, STATUS_USAGE, "restore.correction: no layer is called '%s' (%s%s%s)", wanted,
                     near ? "did you mean '" : "`calvaria info` lists them", near ? near : "", near ? "'?" : "");
}

enum status restore_config_text(const char **ret, const struct restore_config *config, struct arena *arena,
                                struct error *error)
{
    char *dump = config_dump_text(&restore_table, config);
    *ret = dump ? arena_strdup(arena, dump) : NULL;
    memory_free(dump);
    return *ret ? STATUS_OK : error_memory(error, 4096, "the text of a restoration");
}
