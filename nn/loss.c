/* loss.c - the list of losses, and their weighted sum. Test: tests/nn/test_loss.c */
#include "nn/loss.h"

#include <string.h>

extern const struct loss_ops loss_mse, loss_dice, loss_bce, loss_focal, loss_boundary;

static const struct loss_ops *const loss_types[] = {&loss_mse,   &loss_dice,     &loss_bce,
                                                    &loss_focal, &loss_boundary, NULL};

/* clang-format off */
static const struct config_field loss_point_fields[] = {
    {.key = "step", .type = CONFIG_INT, .offset = offsetof(struct loss_point, step), .min = 1, .max = 1e9,
     .required = true, .help = "of the run, counted from 1"},
    {.key = "factor", .type = CONFIG_DOUBLE, .offset = offsetof(struct loss_point, factor), .min = -1e6, .max = 1e6,
     .required = true, .help = "of the weight, at this step"},
    {0}};
/* clang-format on */

static const struct config_table loss_point_table = {.help = "A point of a weight's course over the run.",
                                                     .size = sizeof(struct loss_point),
                                                     .fields = loss_point_fields};

static const struct config_table *loss_point_variant(int index)
{
    return index == 0 ? &loss_point_table : NULL;
}

/* clang-format off */
static const struct config_field loss_base_fields[] = {
    {.key = "weight", .type = CONFIG_DOUBLE, .offset = offsetof(struct loss_config, weight), .text = "1",
     .min = -1e12, .max = 1e12, .help = "factor of this term in the sum"},
    {.key = "ramp", .type = CONFIG_LIST, .offset = offsetof(struct loss_config, ramp), .variant = loss_point_variant,
     .help = "the weight's course over the run, as [ { step: 1, factor: 0 }, { step: 1000, factor: 1 } ]: linear "
             "between, constant outside"},
    {0}};
/* clang-format on */

const struct config_table loss_base_table = {.size = sizeof(struct loss_config), .fields = loss_base_fields};

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

int loss_needs(const struct config_list *losses)
{
    int needs = LOSS_NEEDS_NOTHING;
    for (int64_t i = 0; i < losses->n; i++)
        needs |= loss_ops_of(losses->items[i].table)->needs;
    return needs;
}

static const struct loss_point *loss_point(const struct loss_config *config, int64_t i)
{
    return config->ramp.items[i].value;
}

double loss_weight(const struct config_item *loss, int64_t step)
{
    const struct loss_config *config = loss->value;
    int64_t n = config->ramp.n, after = 0;
    if (n == 0)
        return config->weight;
    while (after < n && loss_point(config, after)->step <= step)
        after++;
    if (after == 0 || after == n)
        return config->weight * loss_point(config, after == 0 ? 0 : n - 1)->factor;
    const struct loss_point *a = loss_point(config, after - 1), *b = loss_point(config, after);
    double r = (double)(step - a->step) / (double)(b->step - a->step);
    return config->weight * (a->factor + r * (b->factor - a->factor));
}

double loss_sum(const struct config_list *losses, const struct loss_batch *batch, float *d_p, double *values)
{
    double sum = 0;
    for (int64_t i = 0; i < losses->n; i++) {
        const struct config_item *item = &losses->items[i];
        double weight = loss_weight(item, batch->step),
               value = loss_ops_of(item->table)->run(item->value, batch, weight, d_p, i > 0);
        sum += weight * value;
        if (values)
            values[i] = value;
    }
    return sum;
}
