/* loss.h - losses between a prediction p and a target t, plain NCDHW of one shape; one descriptor per loss in nn/losses/.
 *
 * Every loss returns its value in double and writes d_p[i] = weight * dL/dp_i ('=' for the first term of a sum, '+=' after). */
#ifndef CALVARIA_NN_LOSS_H
#define CALVARIA_NN_LOSS_H

#include "base/config.h"
#include "nn/tensor.h"

/* The first member of every loss' config struct. */
struct loss_config {
    double weight;
};
extern const struct config_table loss_base_table;

struct loss_ops {
    struct config_table config; /* .type is the name in YAML, .base = &loss_base_table */
    /* d_p may be NULL (validation). accumulate: d_p += instead of =. */
    double (*run)(const void *config, struct shape shape, const float *p, const float *t, float *d_p, bool accumulate);
};

/* nn/registry.c style list, and the variant callback for recipes. NULL past the last. */
const struct loss_ops *loss_ops_at(int index);
const struct config_table *loss_table_at(int index);

/* The weighted sum of a configured list. values (may be NULL): each term, unweighted. */
double loss_sum(const struct config_list *losses, struct shape shape, const float *p, const float *t, float *d_p, double *values);

#endif
