/* train_step.c - see train_step.h. */
#include "train/train_step.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "train/average.h"
#include "train/diagnose.h"
#include "train/gradient.h"
#include "train/stop.h"
#include "train/warm_start.h"

uint64_t training_seed(const struct recipe *recipe, enum training_stream stream)
{
    struct rng rng = rng_make((uint64_t)recipe->seed, (uint64_t)stream);
    uint64_t high = rng_u32(&rng);
    return high << 32 | rng_u32(&rng);
}

static enum status training_allocate(struct training *training, struct error *error)
{
    const struct params *params = &training->params;
    const struct train_config *train = &training->recipe->train;
    size_t floats = (size_t)shape_count(recipe_shape(training->recipe, train->batch));
    training->src = memory_zalloc(floats, sizeof(float));
    training->target = memory_zalloc(floats, sizeof(float));
    training->d_p = memory_zalloc(floats, sizeof(float));
    bool distance = loss_needs(&training->recipe->loss) & LOSS_NEEDS_DISTANCE;
    training->distance = distance ? memory_zalloc(floats, sizeof(float)) : NULL;
    training->partials = memory_alloc(gradient_n_partials(params), sizeof(double));
    training->sum = train->accumulate > 1 ? memory_alloc((size_t)params->n_trainable, sizeof(float)) : NULL;
    training->average = train->ema > 0 ? memory_alloc((size_t)params->n_floats, sizeof(float)) : NULL;
    training->statistics = memory_alloc((size_t)(params->n_floats - params->n_trainable), sizeof(float));
    bool all = training->src && training->target && training->d_p && training->partials && training->statistics;
    all = all && (training->distance || !distance) && (training->sum || train->accumulate == 1) &&
          (training->average || train->ema == 0);
    if (!all)
        return error_memory(error, (distance ? 4 : 3) * floats * sizeof(float), "the training batch");
    if (training->average)
        memcpy(training->average, params->value, (size_t)params->n_floats * sizeof(float));
    return STATUS_OK;
}

/* A loader's prior: the coarse stage, asked as a deployed one is. */
static enum status training_prior(void *context, const float *src, float *p, struct error *error)
{
    return restorer_answer(p, context, src, error);
}

void training_loader(struct loader_config *ret, const struct training *training)
{
    *ret = training->recipe->data;
    ret->distance = training->distance != NULL;
    if (training->coarse) {
        const struct restore_config *coarse = restorer_config(training->coarse);
        ret->prior = (struct loader_prior){
            .spacing_mm = coarse->working_spacing_mm[0], .answer = training_prior, .context = training->coarse};
        memcpy(ret->prior.patch_vox, coarse->window.patch_vox, sizeof ret->prior.patch_vox);
    }
}

enum status training_open(struct training *training, const struct recipe *recipe, bool fresh, struct error *error)
{
    struct params *params = &training->params;
    struct shape src = recipe_shape(recipe, recipe->train.batch);
    assert(recipe->loss.n <= TRAINING_MAX_LOSSES);
    *training = (struct training){.recipe = recipe};
    enum status status = network_describe(params, &recipe->network, error);
    if (!status)
        status = params_allocate(params, true, error);
    if (!status) {
        params_initialise(params, training_seed(recipe, STREAM_WEIGHTS));
        warm_start_freeze(params, &recipe->train.freeze);
    }
    if (!status && fresh && recipe->train.init)
        status = warm_start(params, recipe->train.init, &recipe->train.init_skip, error);
    if (!status && recipe->coarse)
        status = restorer_open_coarse(&training->coarse, recipe->coarse, error);
    if (!status)
        status = network_new(&training->network, &recipe->network, params, src, NETWORK_TRAIN, error);
    if (!status)
        status = optimizer_init(&training->optimizer, &recipe->optimizer, params, error);
    if (!status)
        status = training_allocate(training, error);
    if (!status && recipe_adversary(recipe))
        status = adversary_new(&training->adversary, recipe_adversary(recipe), network_dst_shape(training->network),
                               training_seed(recipe, STREAM_ADVERSARY), error);
    if (status)
        training_close(training);
    return status;
}

static void training_average(void *context, double *values, int64_t n)
{
    replicas_average_doubles(context, values, n);
}

enum status training_start(struct training *training, struct error *error)
{
    const struct recipe *recipe = training->recipe;
    struct replicas *replicas = training->replicas;
    struct loader_config config;
    training_loader(&config, training);
    if (replicas && replicas->n > 1) {
        bool synchronised = recipe->train.norm_statistics == NORM_SYNCHRONISED;
        if (training->adversary)
            return config_error(error, recipe_key(recipe, "adversary"),
                                "adversary: trains in one process alone (start it without mpirun)");
        config.share = replicas->rank;
        config.shares = replicas->n;
        training->pass_replicas = (struct pass_replicas){.rank = replicas->rank,
                                                         .n = replicas->n,
                                                         .context = replicas,
                                                         .average = synchronised ? training_average : NULL};
    }
    return loader_new(&training->loader, &config, (enum loader_task)recipe->task, SPLIT_TRAIN,
                      training_seed(recipe, STREAM_SAMPLES), training->position, error);
}

double training_loss(const struct training *training, const float *p, int64_t step, float *d_p, double *terms)
{
    const struct loss_batch batch = {.shape = network_dst_shape(training->network),
                                     .p = p,
                                     .t = training->target,
                                     .distance = training->distance,
                                     .step = step};
    return loss_sum(&training->recipe->loss, &batch, d_p, terms);
}

static struct diagnosis training_diagnosis(const struct training *training)
{
    return (struct diagnosis){.whose = "",
                              .config = &training->recipe->network,
                              .params = &training->params,
                              .network = training->network,
                              .src = training->src,
                              .step = training->step + 1};
}

/* The discriminator's two steps, on the batch's targets and on what the network makes of it when it is deployed. */
static enum status training_adversary(struct training *training, struct training_result *result, struct error *error)
{
    const struct recipe *recipe = training->recipe;
    int64_t step = training->step + 1;
    double factor = schedule_factor(&recipe->schedule, step, recipe->train.steps);
    const float *fake = network_forward(training->network, training->src, &(struct pass){.training = false});
    return adversary_learn(training->adversary, training->target, fake, factor, step, &result->adversary, error);
}

/* --- several processes --- */

static bool training_shared(const struct training *training)
{
    return training->replicas && training->replicas->n > 1;
}

/* A batch's loss and its terms become means over all processes; a request to stop in one of them is known to all.
 * Returns the loss. */
static double training_share_loss(struct training *training, double loss, double *terms)
{
    double shared[TRAINING_MAX_LOSSES + 2] = {loss, stop_requested()};
    int64_t n = training->recipe->loss.n;
    memcpy(shared + 2, terms, (size_t)n * sizeof *shared);
    replicas_average_doubles(training->replicas, shared, n + 2);
    memcpy(terms, shared + 2, (size_t)n * sizeof *shared);
    training->stop = shared[1] > 0;
    return shared[0];
}

/* One flat reduction each: the gradient, and what does not learn (batch norm's moving statistics), so that one process'
 * state is that of all. */
static void training_share_gradient(struct training *training)
{
    struct params *params = &training->params;
    replicas_average(training->replicas, params->grad, params->n_trainable);
    replicas_average(training->replicas, params->value + params->n_trainable, params->n_floats - params->n_trainable);
}

/* What is not finite here is not finite in all processes: they end together. */
static enum status training_diverged(struct training *training, enum status status)
{
    if (training->replicas)
        training->replicas->together = true;
    return status;
}

/* --- a step --- */

/* Forward, loss, backward, on the batch in src and target, the k-th of the step. */
static enum status training_batch(struct training *training, int64_t k, struct training_result *result,
                                  struct error *error)
{
    const struct recipe *recipe = training->recipe;
    const struct train_config *train = &recipe->train;
    const struct pass pass = {.training = true,
                              .seed = training_seed(recipe, STREAM_DROPOUT),
                              .step = (uint64_t)training->step + 1,
                              .sample = k * train->batch,
                              .replicas = training_shared(training) ? &training->pass_replicas : NULL};
    double terms[TRAINING_MAX_LOSSES], n = (double)train->accumulate;
    if (training->adversary && training_adversary(training, result, error))
        return error->status;
    const float *p = network_forward(training->network, training->src, &pass);
    double loss = training_loss(training, p, training->step + 1, training->d_p, terms);
    if (training->adversary && isfinite(loss)) {
        if (adversary_judge(training->adversary, p, training->d_p, training->step + 1, &result->adversary.fooled,
                            error))
            return error->status;
        loss += recipe_adversary(recipe)->weight * result->adversary.fooled;
    }
    if (training_shared(training))
        loss = training_share_loss(training, loss, terms);
    if (!isfinite(loss)) {
        struct diagnosis diagnosis = training_diagnosis(training);
        diagnosis.pass = &pass;
        return training_diverged(training, diagnose_loss(&diagnosis, loss, error));
    }
    network_backward(training->network, training->d_p, NULL, &pass);
    result->loss += loss / n;
    for (int64_t i = 0; i < recipe->loss.n; i++)
        result->terms[i] += terms[i] / n;
    if (training->sum)
        gradient_gather(&training->params, training->sum, k == 0);
    return STATUS_OK;
}

/* The gradient of a whole step. */
static enum status training_gradient(struct training *training, struct loader_position *next,
                                     struct training_result *result, struct error *error)
{
    const struct train_config *train = &training->recipe->train;
    for (int64_t k = 0; k < train->accumulate; k++)
        if (loader_next(training->loader, train->batch, training->src, training->target, training->distance, next,
                        error) ||
            training_batch(training, k, result, error))
            return error->status;
    if (training->sum)
        gradient_take(&training->params, training->sum, 1.0F / (float)train->accumulate);
    if (training_shared(training))
        training_share_gradient(training);
    result->grad_norm = gradient_norm(&training->params, training->partials);
    if (isfinite(result->grad_norm))
        return STATUS_OK;
    const struct diagnosis diagnosis = training_diagnosis(training);
    return training_diverged(training, diagnose_gradient(&diagnosis, error));
}

enum status training_step(struct training *training, struct training_result *ret, struct error *error)
{
    const struct recipe *recipe = training->recipe;
    const struct train_config *train = &recipe->train;
    struct params *params = &training->params;
    size_t statistics_bytes = (size_t)(params->n_floats - params->n_trainable) * sizeof(float);
    struct training_result result = {0};
    struct loader_position next;
    double start_s = log_clock_s(), waited_s = loader_wait_s(training->loader);

    memcpy(training->statistics, params->value + params->n_trainable, statistics_bytes);
    if (training->adversary)
        adversary_keep(training->adversary);
    training->computing = true;
    enum status status = training_gradient(training, &next, &result, error);
    training->computing = false;
    if (status) {
        memcpy(params->value + params->n_trainable, training->statistics, statistics_bytes);
        if (training->adversary)
            adversary_undo(training->adversary);
        return status;
    }
    if (train->clip_norm > 0 && result.grad_norm > train->clip_norm)
        gradient_scale(params, (float)(train->clip_norm / result.grad_norm));
    result.lr =
        optimizer_lr(&training->optimizer) * schedule_factor(&recipe->schedule, training->step + 1, train->steps);
    optimizer_step(&training->optimizer, params, result.lr);
    if (training->average)
        average_update(training->average, params, train->ema, training->step + 1);

    training->step++;
    training->position = next;
    result.wait_s = loader_wait_s(training->loader) - waited_s;
    result.step_s = log_clock_s() - start_s;
    *ret = result;
    return STATUS_OK;
}

void training_close(struct training *training)
{
    loader_free(training->loader);
    optimizer_done(&training->optimizer);
    network_free(training->network);
    restorer_free(training->coarse);
    params_done(&training->params);
    memory_free(training->src);
    memory_free(training->target);
    memory_free(training->d_p);
    memory_free(training->distance);
    memory_free(training->sum);
    memory_free(training->average);
    adversary_free(training->adversary);
    memory_free(training->partials);
    memory_free(training->statistics);
    *training = (struct training){0};
}
