/* diagnose.c - Finds where a value that is not finite began; see diagnose.h.
 * Test: tests/train/test_trainer.c */
#include "train/diagnose.h"

#include <inttypes.h>
#include <math.h>

#define DIAGNOSE_HINT "a smaller optimizer.lr or train.clip_norm: 1 often helps"

static bool diagnose_all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* The network cut off behind its first n layers, run on the batch; false when its output is not finite. */
static bool diagnose_prefix_finite(const struct diagnosis *diagnosis, int64_t n)
{
    struct error scratch = {0};
    struct network_config config = *diagnosis->config;
    struct network *network;
    struct params params = *diagnosis->params;
    struct pass alone = *diagnosis->pass; /* the other processes need not come this far */
    alone.replicas = NULL;
    config.layers.n = n;
    if (network_new(&network, &config, &params, network_src_shape(diagnosis->network), NETWORK_TRAIN, &scratch))
        return true; /* no memory for the check: no finding */
    const float *p = network_forward(network, diagnosis->src, &alone);
    bool finite = diagnose_all_finite(p, shape_count(network_dst_shape(network)));
    network_free(network);
    return finite;
}

enum status diagnose_loss(const struct diagnosis *diagnosis, double loss, struct error *error)
{
    const struct params *params = diagnosis->params;
    const char *whose = diagnosis->whose;
    int64_t step = diagnosis->step;

    if (!diagnose_all_finite(diagnosis->src, shape_count(network_src_shape(diagnosis->network))))
        return error_set(error, STATUS_FAILED, "step %" PRId64 ": %sloss is %g: the batch itself is not finite", step,
                         whose, loss);

    for (int64_t i = 0; i < params->n;
         i++) /* statistics were touched by the very pass that failed: they are no cause */
        if (params->items[i].trainable &&
            !diagnose_all_finite(params->value + params->items[i].offset, params->items[i].count))
            return error_set(error, STATUS_FAILED, "step %" PRId64 ": %sloss is %g: parameter %s is not finite (%s)",
                             step, whose, loss, params->items[i].name, DIAGNOSE_HINT);

    /* Weights and batch are finite: run longer and longer prefixes of the network. */
    for (int64_t n = 1; n <= diagnosis->config->layers.n; n++)
        if (!diagnose_prefix_finite(diagnosis, n))
            return error_set(error, STATUS_FAILED,
                             "step %" PRId64 ": %sloss is %g: layer '%s' is the first whose output is not finite (%s)",
                             step, whose, loss, network_layer(diagnosis->network, n - 1)->name, DIAGNOSE_HINT);

    return error_set(error, STATUS_FAILED,
                     "step %" PRId64 ": %sloss is %g although every layer's output is finite%s (%s)", step, whose, loss,
                     diagnosis->pass->replicas ? " in this process" : "", DIAGNOSE_HINT);
}

enum status diagnose_gradient(const struct diagnosis *diagnosis, struct error *error)
{
    const struct params *params = diagnosis->params;
    for (int64_t i = params->n - 1; i >= 0; i--) {
        const struct param *param = &params->items[i];
        if (param->trainable && !param->frozen && !diagnose_all_finite(params->grad + param->offset, param->count))
            return error_set(error, STATUS_FAILED,
                             "step %" PRId64 ": the gradient of %s%s, first in the backward pass, is not finite (%s)",
                             diagnosis->step, diagnosis->whose, param->name, DIAGNOSE_HINT);
    }
    return error_set(error, STATUS_FAILED, "step %" PRId64 ": the norm of %sgradient is not finite (%s)",
                     diagnosis->step, diagnosis->whose, DIAGNOSE_HINT);
}
