/* optimizer.h - updates of the flat parameter block; one descriptor per optimizer in nn/optimizers/. */
#ifndef CALVARIA_NN_OPTIMIZER_H
#define CALVARIA_NN_OPTIMIZER_H

#include "base/config.h"
#include "nn/params.h"

/* The first member of every optimizer's config struct. */
struct optimizer_config {
    double lr;
};
extern const struct config_table optimizer_base_table;

struct optimizer_ops {
    struct config_table config; /* .type is the name in YAML, .base = &optimizer_base_table */
    int n_slots;                /* flat blocks of n_trainable floats it keeps (Adam: m and v) */
    /* One update of trainable, unfrozen entries. lr replaces the configured one (schedules); step counts from 1. */
    void (*step)(const void *config, struct params *params, float *const *slots, double lr, int64_t step);
};

struct optimizer {
    const struct optimizer_ops *ops;
    const void *config;
    float *slots[4]; /* cleared at start; saved in checkpoints */
    int64_t n_floats, n_steps;
};

const struct config_table *optimizer_table_at(int index);
/* item: the CONFIG_CHOICE of the recipe. */
enum status optimizer_init(struct optimizer *optimizer, const struct config_item *item, const struct params *params,
                           struct error *error);
void optimizer_step(struct optimizer *optimizer, struct params *params, double lr);
double optimizer_lr(const struct optimizer *optimizer); /* the configured one */
void optimizer_done(struct optimizer *optimizer);

#endif
