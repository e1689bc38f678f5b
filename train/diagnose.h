/* diagnose.h - after a step that was not finite: where it began. Slow, and run once. */
#ifndef CALVARIA_TRAIN_DIAGNOSE_H
#define CALVARIA_TRAIN_DIAGNOSE_H

#include "nn/network/network.h"

struct diagnosis {
    const char *whose; /* "", or "the adversary's " */
    const struct network_config *config;
    const struct params *params;
    struct network *network;
    const float *src; /* what it was given */
    const struct pass *pass;
    int64_t step;
};

/* The loss is NaN or infinite: names the batch, the parameter or the first layer, in the order of the network, that is
 * not finite. */
enum status diagnose_loss(const struct diagnosis *diagnosis, double loss, struct error *error);
/* A gradient is: names the first parameter, in the order of the backward pass. */
enum status diagnose_gradient(const struct diagnosis *diagnosis, struct error *error);

#endif
