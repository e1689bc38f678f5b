/* optimizer.c - the list of optimizers, and what they share. Test: tests/nn/test_optimizer.c */
#include "nn/optimizer.h"

extern const struct optimizer_ops optimizer_sgd, optimizer_adam, optimizer_adamw;

static const struct optimizer_ops *const optimizer_types[] = {&optimizer_adam, &optimizer_adamw, &optimizer_sgd, NULL};

/* clang-format off */
static const struct config_field optimizer_base_fields[] = {
    {.key = "lr", .type = CONFIG_DOUBLE, .offset = offsetof(struct optimizer_config, lr), .text = "1e-3", .min = 0,
     .max = 100, .help = "learning rate"},
    {0}};
/* clang-format on */

const struct config_table optimizer_base_table = {.size = sizeof(struct optimizer_config),
                                                  .fields = optimizer_base_fields};

const struct config_table *optimizer_table_at(int index)
{
    return optimizer_types[index] ? &optimizer_types[index]->config : NULL;
}

enum status optimizer_init(struct optimizer *optimizer, const struct config_item *item, const struct params *params,
                           struct error *error)
{
    *optimizer = (struct optimizer){.config = item->value, .n_floats = params->n_trainable};
    for (int i = 0; optimizer_types[i]; i++)
        if (&optimizer_types[i]->config == item->table)
            optimizer->ops = optimizer_types[i];
    for (int i = 0; i < optimizer->ops->n_slots; i++) {
        optimizer->slots[i] = memory_zalloc((size_t)optimizer->n_floats, sizeof(float));
        if (!optimizer->slots[i]) {
            optimizer_done(optimizer);
            return error_memory(error, (size_t)params->n_trainable * sizeof(float), "optimizer state");
        }
    }
    return STATUS_OK;
}

void optimizer_step(struct optimizer *optimizer, struct params *params, double lr)
{
    optimizer->n_steps++;
    optimizer->ops->step(optimizer->config, params, optimizer->slots, lr, optimizer->n_steps);
}

double optimizer_lr(const struct optimizer *optimizer)
{
    return ((const struct optimizer_config *)optimizer->config)->lr;
}

void optimizer_done(struct optimizer *optimizer)
{
    for (size_t i = 0; i < sizeof optimizer->slots / sizeof *optimizer->slots; i++)
        memory_free(optimizer->slots[i]);
    *optimizer = (struct optimizer){0};
}
