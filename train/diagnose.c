/* diagnose.c - see diagnose.h. */
#include "train/diagnose.h"

#include <inttypes.h>
#include <math.h>

#define DIAGNOSE_HINT "a smaller optimizer.lr or train.clip_norm: 1 often helps"

static bool all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The network cut off behind its first n layers, run on the batch; false when its output is not finite. */
static bool prefix_finite(const struct training *training, const struct pass *pass, int64_t n)
{
    struct error scratch = {0};
    struct network_config config = training->recipe->network;
    struct network *network;
    struct params params = training->params;
    config.layers.n = n;
    if (network_new(&network, &config, &params, network_src_shape(training->network), NETWORK_TRAIN, &scratch))
        return true; /* no memory left to look: says nothing */
    const float *p = network_forward(network, training->src, pass);
    bool finite = all_finite(p, shape_count(network_dst_shape(network)));
    network_free(network);
    return finite;
}

enum status diagnose_loss(struct training *training, const struct pass *pass, double loss, struct error *error)
{
    const struct params *params = &training->params;
    int64_t step = training->step + 1;
    if (!all_finite(training->src, shape_count(network_src_shape(training->network))))
        return error_set(error, STATUS_FAILED, "step %" PRId64 ": loss is %g: the batch itself is not finite", step, loss);
    for (int64_t i = 0; i < params->n; i++)
        if (!all_finite(params->value + params->items[i].offset, params->items[i].count))
            return error_set(error, STATUS_FAILED, "step %" PRId64 ": loss is %g: parameter %s is not finite (%s)", step, loss,
                             params->items[i].name, DIAGNOSE_HINT);
    for (int64_t n = 1; n <= training->recipe->network.layers.n; n++)
        if (!prefix_finite(training, pass, n))
            return error_set(error, STATUS_FAILED, "step %" PRId64 ": loss is %g: layer '%s' is the first whose output is not finite (%s)", step,
                             loss, network_layer(training->network, n - 1)->name, DIAGNOSE_HINT);
    return error_set(error, STATUS_FAILED, "step %" PRId64 ": loss is %g although every layer's output is finite (%s)", step, loss,
                     DIAGNOSE_HINT);
}

enum status diagnose_gradient(const struct training *training, struct error *error)
{
    const struct params *params = &training->params;
    for (int64_t i = params->n - 1; i >= 0; i--) {
        const struct param *param = &params->items[i];
        if (param->trainable && !param->frozen && !all_finite(params->grad + param->offset, param->count))
            return error_set(error, STATUS_FAILED, "step %" PRId64 ": the gradient of %s, first in the backward pass, is not finite (%s)",
                             training->step + 1, param->name, DIAGNOSE_HINT);
    }
    return error_set(error, STATUS_FAILED, "step %" PRId64 ": the gradient's norm is not finite (%s)", training->step + 1, DIAGNOSE_HINT);
}
