/* sample.c - see sample.h. */
#include "tests/base/sample.h"

/* clang-format off */
static const struct config_field layer_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct sample_layer, name), .help = "the layer's name"},
    {.key = "from", .type = CONFIG_STRINGS, .offset = offsetof(struct sample_layer, from), .help = "sources"},
    {0},
};
/* clang-format on */
static const struct config_table layer_base = {.size = sizeof(struct sample_layer), .fields = layer_fields};

/* clang-format off */
static const struct config_field conv_fields[] = {
    {.key = "out",
     .type = CONFIG_INT,
     .offset = offsetof(struct sample_conv, out),
     .min = 1,
     .max = 4096,
     .required = true,
     .help = "channels"},
    {.key = "kernel",
     .type = CONFIG_INT,
     .offset = offsetof(struct sample_conv, kernel),
     .text = "3",
     .min = 1,
     .max = 9,
     .unit = "voxels",
     .help = "edge | size"},
    {0},
};
/* clang-format on */

static enum status conv_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct sample_conv *conv = value;
    if (conv->kernel % 2 == 0)
        return yaml_error(error, yaml_get(node, "kernel"), "kernel: %d is even (3 or 5 would fit)", (int)conv->kernel);
    return STATUS_OK;
}

static const struct config_table conv = {.type = "conv",
                                         .help = "3D convolution",
                                         .size = sizeof(struct sample_conv),
                                         .base = &layer_base,
                                         .fields = conv_fields,
                                         .check = conv_check};
/* clang-format off */
static const struct config_table relu = {
    .type = "relu", .help = "max(x, 0)", .size = sizeof(struct sample_layer), .base = &layer_base};
/* clang-format on */

static const struct config_table *layer_at(int index)
{
    const struct config_table *const tables[] = {&conv, &relu, NULL};
    return tables[index];
}

/* clang-format off */
static const struct config_field rule_fields[] = {
    {.key = "open",
     .type = CONFIG_INT,
     .offset = offsetof(struct sample_rule, open),
     .text = "0",
     .min = 0,
     .max = 10,
     .help = "opening"},
    {.key = "min_volume_ml",
     .type = CONFIG_DOUBLE,
     .offset = offsetof(struct sample_rule, volume_ml),
     .text = "0",
     .min = 0,
     .max = 1e18},
    {.key = "fill", .type = CONFIG_BOOL, .offset = offsetof(struct sample_rule, fill), .text = "false"},
    {0},
};
/* clang-format on */
static const struct config_table rule = {.size = sizeof(struct sample_rule), .fields = rule_fields, .sparse = true};

static const struct config_table *rule_at(int index)
{
    return index == 0 ? &rule : NULL;
}

static const char *const schedules[] = {"constant", "cosine", "step", NULL};
/* clang-format off */
static const struct config_field train_fields[] = {
    {.key = "steps",
     .type = CONFIG_INT,
     .offset = offsetof(struct sample_train, steps),
     .text = "3000",
     .min = 1,
     .max = 1e18,
     .help = "steps"},
    {.key = "batch", .type = CONFIG_INT, .offset = offsetof(struct sample_train, batch), .text = "1", .min = 1,
     .max = 64},
    {.key = "lr",
     .type = CONFIG_DOUBLE,
     .offset = offsetof(struct sample_train, lr),
     .text = "2.0e-4",
     .min = 0,
     .max = 10,
     .unit = "per step"},
    {.key = "schedule",
     .type = CONFIG_ENUM,
     .offset = offsetof(struct sample_train, schedule),
     .text = "constant",
     .names = schedules},
    {0},
};
/* clang-format on */
static const struct config_table train = {
    .help = "The loop", .size = sizeof(struct sample_train), .fields = train_fields};

/* clang-format off */
static const struct config_field sample_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct sample, name), .text = "unnamed", .help = "name"},
    {.key = "note", .type = CONFIG_STRING, .offset = offsetof(struct sample, note), .help = "note"},
    {.key = "set", .type = CONFIG_PATH, .offset = offsetof(struct sample, set), .help = "data set"},
    {.key = "seed", .type = CONFIG_INT, .offset = offsetof(struct sample, seed), .text = "1"},
    {.key = "patch_vox",
     .old_key = "tile_vox",
     .type = CONFIG_INT3,
     .offset = offsetof(struct sample, patch_vox),
     .text = "[64, 64, 32]",
     .min = 1,
     .max = 512,
     .unit = "voxels"},
    {.key = "spacing_mm",
     .type = CONFIG_DOUBLE3,
     .offset = offsetof(struct sample, spacing_mm),
     .text = "0",
     .min = 0,
     .max = 10},
    {.key = "range", .type = CONFIG_RANGE, .offset = offsetof(struct sample, range), .text = "[0.5, 2]"},
    {.key = "verbose", .type = CONFIG_BOOL, .offset = offsetof(struct sample, verbose), .text = "false"},
    {.key = "freeze", .type = CONFIG_STRINGS, .offset = offsetof(struct sample, freeze)},
    {.key = "train", .type = CONFIG_TABLE, .offset = offsetof(struct sample, train), .table = &train,
     .help = "the loop"},
    {.key = "layers", .type = CONFIG_LIST, .offset = offsetof(struct sample, layers), .variant = layer_at},
    {.key = "rules", .type = CONFIG_LIST, .offset = offsetof(struct sample, rules), .text = "[{ open: 1 }]",
     .variant = rule_at},
    {.key = "optimizer",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct sample, optimizer),
     .text = "relu",
     .variant = layer_at},
    {0},
};
/* clang-format on */
const struct config_table sample_table = {.help = "A sample", .size = sizeof(struct sample), .fields = sample_fields};
