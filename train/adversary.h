/* adversary.h - a discriminator that learns to separate predictions from targets, and whose output is a term of the
 * generator's loss (Goodfellow et al. 2014), in the order of the published code (EncoderDecoderGAN3D.py of
 * Jianningli/MIA): one step of the discriminator on the targets, one on predictions of the network as it is deployed,
 * then one of the network, the discriminator's weights and statistics left as they are.
 *
 *     adversary_new(&adversary, &config, network_dst_shape(network), seed, &error);
 *     adversary_keep(adversary);
 *     adversary_learn(adversary, target, p, lr_factor, step, &result, &error);     // its two steps
 *     adversary_judge(adversary, p, d_p, step, &result.fooled, &error);
 *       // adds weight * d fooled / dp to d_p */
#ifndef CALVARIA_TRAIN_ADVERSARY_H
#define CALVARIA_TRAIN_ADVERSARY_H

#include "nn/network/network.h"
#include "nn/optimizer.h"

struct adversary_config {
    struct network_config network;
    double weight; /* of its term in the generator's loss */
    struct config_item optimizer;
};
const struct config_table *adversary_table_at(int index); /* the choices of a recipe: there is one */

/* Binary cross entropies: of the discriminator on targets, on predictions; of the generator, that wants predictions to
 * pass for targets. */
struct adversary_result {
    double real, fake, fooled;
};

struct adversary {
    const struct adversary_config *config;
    struct params params;
    struct network *network;
    struct optimizer optimizer;
    struct config_list loss; /* binary cross entropy, in arena */
    struct arena arena;
    uint64_t seed;
    float *label, *d_output; /* one per output value of the network */
    float *d_src;            /* gradient by its source */
    float *kept;             /* values and optimizer slots as before the step, should it fail */
    double *partials;        /* of the gradient's norm */
    int64_t kept_steps;
};

/* src: the generator's output. Weights are drawn from seed. */
enum status adversary_new(struct adversary **ret, const struct adversary_config *config, struct shape src,
                          uint64_t seed, struct error *error);
/* Two updates, on real and on fake, both of shape src, at lr_factor times its optimizer's rate. A loss or gradient that
 * is not finite is STATUS_FAILED; the message names its source. step: of the run, counted from 1. */
enum status adversary_learn(struct adversary *adversary, const float *real, const float *fake, double lr_factor,
                            int64_t step, struct adversary_result *ret, struct error *error);
/* The binary cross entropy of its output for p against `real`; d_p += weight times its gradient. Fails as
 * adversary_learn does. */
enum status adversary_judge(struct adversary *adversary, const float *p, float *d_p, int64_t step, double *ret_fooled,
                            struct error *error);
/* At the start of a step, and when it failed: all that it learned since is taken back. */
void adversary_keep(struct adversary *adversary);
void adversary_undo(struct adversary *adversary);
void adversary_free(struct adversary *adversary);

#endif
