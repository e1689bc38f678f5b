/* sample.h - a small recipe with a row of every type, for the tests of binding and dumping. */
#ifndef CALVARIA_TESTS_BASE_SAMPLE_H
#define CALVARIA_TESTS_BASE_SAMPLE_H

#include "base/config.h"

struct sample_layer {
    const char *name;
    struct config_strings from;
};

struct sample_conv {
    struct sample_layer base;
    int64_t out, kernel;
};

struct sample_rule {
    int64_t open;
    double volume_ml;
    bool fill;
};

struct sample_train {
    int64_t steps, batch;
    double lr;
    int schedule;
};

struct sample {
    const char *name, *note, *set;
    int64_t seed, patch_vox[3];
    double spacing_mm[3], range[2];
    bool verbose;
    struct config_strings freeze;
    struct sample_train train;
    struct config_list layers, rules;
    struct config_item optimizer;
};

extern const struct config_table sample_table;

#endif
