/* loss.h - losses between a prediction p and a target t, plain NCDHW of one shape; one descriptor per loss in
 * nn/losses/.
 *
 * Every loss returns its value in double and writes d_p[i] = weight * dL/dp_i ('=' for the first term of a sum, '+='
 * after). The weight may change over the run: its configured value times a factor that is linear between the points of
 * `ramp`. */
#ifndef CALVARIA_NN_LOSS_H
#define CALVARIA_NN_LOSS_H

#include "base/config.h"
#include "nn/tensor.h"

/* The first member of every loss' config struct. */
struct loss_config {
    double weight;
    struct config_list ramp; /* struct loss_point each, by rising step; empty: 1 throughout */
};
struct loss_point {
    int64_t step;
    double factor;
};
extern const struct config_table loss_base_table;

/* What a loss is taken of. */
struct loss_batch {
    struct shape shape;
    const float *p, *t;
    const float *distance; /* of each voxel from the surface of t, in voxels, negative inside; NULL unless loss_needs
                              asks for it */
    int64_t step;          /* of the run, counted from 1 */
};

enum loss_needs { LOSS_NEEDS_NOTHING = 0, LOSS_NEEDS_DISTANCE = 1 };

struct loss_ops {
    struct config_table config; /* .type is the name in YAML, .base = &loss_base_table */
    int needs;                  /* enum loss_needs, or'ed */
    /* d_p may be NULL (validation). accumulate: d_p += instead of =. */
    double (*run)(const void *config, const struct loss_batch *batch, double weight, float *d_p, bool accumulate);
};

/* nn/registry.c style list, and the variant callback for recipes. NULL past the last. */
const struct config_table *loss_table_at(int index);

/* What the losses of a list need beside p and t: enum loss_needs, or'ed. */
int loss_needs(const struct config_list *losses);
/* The weight of a term at a step. */
double loss_weight(const struct config_item *loss, int64_t step);
/* The weighted sum of a configured list. values (may be NULL): each term, unweighted. */
double loss_sum(const struct config_list *losses, const struct loss_batch *batch, float *d_p, double *values);

#endif
