/* loss.c - the list of losses, and their weighted sum. */
#include "nn/loss.h"

#include <string.h>

extern const struct loss_ops loss_mse, loss_dice, loss_bce, loss_focal;

static const struct loss_ops *const loss_types[] = {&loss_mse, &loss_dice, &loss_bce, &loss_focal, NULL};

static const struct config_field loss_base_fields[] = {
    {.key = "weight", .type = CONFIG_DOUBLE, .offset = offsetof(struct loss_config, weight), .text = "1", .min = -1e12, .max = 1e12,
     .help = "factor of this term in the sum"},
    {0}};

const struct config_table loss_base_table = {.size = sizeof(struct loss_config), .fields = loss_base_fields};

const struct loss_ops *loss_ops_at(int index)
{
    return loss_types[index];
}

const struct config_table *loss_table_at(int index)
{
    return loss_types[index] ? &loss_types[index]->config : NULL;
}

static const struct loss_ops *loss_ops_of(const struct config_table *table)
{
    for (int i = 0; loss_types[i]; i++)
        if (&loss_types[i]->config == table)
            return loss_types[i];
    return NULL; /* tables come from loss_table_at alone */
}

double loss_sum(const struct config_list *losses, struct shape shape, const float *p, const float *t, float *d_p, double *values)
{
    double sum = 0;
    for (int64_t i = 0; i < losses->n; i++) {
        const struct config_item *item = &losses->items[i];
        double value = loss_ops_of(item->table)->run(item->value, shape, p, t, d_p, i > 0);
        sum += ((const struct loss_config *)item->value)->weight * value;
        if (values)
            values[i] = value;
    }
    return sum;
}
