/* train_step.c - One optimizer step: batches, forward, loss, backward, clipping, update; see train_step.h.
 * Test: tests/train/test_schemes.c, tests/train/test_trainer.c */
#include "train/train_step.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "shape/prior.h"
#include "shape/warp.h"
#include "train/average.h"
#include "train/diagnose.h"
#include "train/gradient.h"
#include "train/stop.h"
#include "train/warm_start.h"

uint64_t train_step_seed(const struct recipe *recipe, enum train_step_stream stream)
{
    struct rng rng = rng_make((uint64_t)recipe->seed, (uint64_t)stream);
    uint64_t high = rng_u32(&rng);
    return high << 32 | rng_u32(&rng);
}

static enum status train_step_allocate(struct train_step *train_step, struct error *error)
{
    const struct params *params = &train_step->params;
    const struct train_config *train = &train_step->recipe->train;
    size_t floats = (size_t)shape_count(recipe_shape(train_step->recipe, train->batch));

    train_step->src = memory_zalloc(floats, sizeof(float));
    train_step->target = memory_zalloc(floats, sizeof(float));
    train_step->d_p = memory_zalloc(floats, sizeof(float));

    /* Optional buffers stay NULL; what is missing below tells them from those that failed. */
    bool distance = loss_needs(&train_step->recipe->loss) & LOSS_NEEDS_DISTANCE;
    train_step->distance = distance ? memory_zalloc(floats, sizeof(float)) : NULL;
    train_step->partials = memory_alloc(gradient_n_partials(params), sizeof(double));
    train_step->sum = train->accumulate > 1 ? memory_alloc((size_t)params->n_trainable, sizeof(float)) : NULL;
    train_step->average = train->ema > 0 ? memory_alloc((size_t)params->n_floats, sizeof(float)) : NULL;
    train_step->statistics = memory_alloc((size_t)(params->n_floats - params->n_trainable), sizeof(float));
    bool all =
        train_step->src && train_step->target && train_step->d_p && train_step->partials && train_step->statistics;
    all = all && (train_step->distance || !distance) && (train_step->sum || train->accumulate == 1) &&
          (train_step->average || train->ema == 0);
    if (!all)
        return error_memory(error, (distance ? 4 : 3) * floats * sizeof(float), "the training batch");

    /* The moving average begins at the first weights. */
    if (train_step->average)
        memcpy(train_step->average, params->value, (size_t)params->n_floats * sizeof(float));

    return STATUS_OK;
}

/* A loader's prior: the coarse stage, as in a deployed cascade. */
static enum status train_step_prior(void *context, const float *src, float *p, struct error *error)
{
    return restorer_predict(p, context, src, error);
}

/* The same from a shape model. A skull that the model was fitted on is predicted without itself, so that the network
 * sees priors as wrong as a new skull's. */
static enum status train_step_field(void *context, struct prior_field *ret, const struct dataset_case *item,
                                    const struct volume *defective, struct error *error)
{
    const struct train_step *train_step = context;
    const struct shape_model *model = restorer_shape(train_step->coarse);
    const struct shape_prior prior = {
        .model = model, .clip_mm = SHAPE_PRIOR_CLIP_MM, .with_sd = train_step->recipe->network.input_channels > 2};
    /* By name as well where the set is another packing of the skulls. Other splits' names may be another head's. */
    const int64_t head = shape_model_find(model, item->split == SPLIT_TRAIN ? item->name : NULL, item->content_hash);
    return shape_prior_predict(ret, &prior, defective, head, item->name, error);
}

/* A loader's warp. Names as in train_step_field: only skulls to train on are augmented. */
static enum status train_step_warp(void *context, struct augment_warp **ret, const struct dataset_case *item,
                                   double share, struct rng rng, struct error *error)
{
    const struct train_step *train_step = context;
    return shape_warp_draw(ret, &train_step->warp_model, &item->grid, item->name, item->content_hash, share, rng,
                           error);
}

void train_step_loader(struct loader_config *ret, const struct train_step *train_step)
{
    *ret = train_step->recipe->data;
    ret->distance = train_step->distance != NULL;
    if (train_step->warp_model.heads.n)
        ret->warp = (struct loader_warp){.draw = train_step_warp, .context = (void *)(uintptr_t)train_step};
    if (train_step->coarse && restorer_shape(train_step->coarse))
        ret->prior = (struct loader_prior){.field = train_step_field,
                                           .field_channels = train_step->recipe->network.input_channels - 1,
                                           .context = (void *)(uintptr_t)train_step}; /* only read */
    else if (train_step->coarse) {
        const struct restore_config *coarse = restorer_config(train_step->coarse);
        ret->prior = (struct loader_prior){
            .spacing_mm = coarse->working_spacing_mm[0], .predict = train_step_prior, .context = train_step->coarse};
        memcpy(ret->prior.patch_vox, coarse->window.patch_vox, sizeof ret->prior.patch_vox);
    }
}

enum status train_step_open(struct train_step *train_step, const struct recipe *recipe, bool fresh, struct error *error)
{
    struct params *params = &train_step->params;
    struct shape src = recipe_shape(recipe, recipe->train.batch);
    assert(recipe->loss.n <= TRAIN_STEP_MAX_LOSSES);

    /* Weights first: all that follows takes its sizes from their table. */
    *train_step = (struct train_step){.recipe = recipe};
    enum status status = network_describe(params, &recipe->network, error);
    if (!status)
        status = params_allocate(params, true, error);
    if (!status) {
        params_initialise(params, train_step_seed(recipe, STREAM_WEIGHTS));
        warm_start_freeze(params, &recipe->train.freeze);
    }
    if (!status && fresh && recipe->train.init)
        status = warm_start(params, recipe->train.init, &recipe->train.init_skip, error);

    /* The coarse stage of a cascade is fixed; it only predicts. */
    if (!status && recipe->coarse)
        status = restorer_open_coarse(&train_step->coarse, recipe->coarse, error);
    if (!status && recipe->coarse && !restorer_shape(train_step->coarse) && recipe->network.input_channels != 2)
        status = yaml_error(error, recipe_key(recipe, "network.input_channels"),
                            "network.input_channels: %" PRId64 ", but a coarse network's prediction is one channel "
                            "beside the skull (2 would fit; 3 need a shape model)",
                            recipe->network.input_channels);
    if (!status && recipe->data.augment.warp_shape > 0 &&
        (status = shape_model_read(&train_step->warp_model, recipe->data.augment.warp_model, error)))
        error_while(error, "opening data.augment.warp_model");
    if (!status)
        status = network_new(&train_step->network, &recipe->network, params, src, NETWORK_TRAIN, error);
    if (!status)
        status = optimizer_init(&train_step->optimizer, &recipe->optimizer, params, error);
    if (!status)
        status = train_step_allocate(train_step, error);

    /* The discriminator reads what the network writes, so its source has that shape. */
    if (!status && recipe_adversary(recipe))
        status = adversary_new(&train_step->adversary, recipe_adversary(recipe), network_dst_shape(train_step->network),
                               train_step_seed(recipe, STREAM_ADVERSARY), error);
    if (status)
        train_step_close(train_step);

    return status;
}

static void train_step_average(void *context, double *values, int64_t n)
{
    replicas_average_doubles(context, values, n);
}

enum status train_step_start(struct train_step *train_step, struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    struct replicas *replicas = train_step->replicas;
    struct loader_config config;

    train_step_loader(&config, train_step);

    /* Each process takes its share of one common sequence of samples. */
    if (replicas && replicas->n > 1) {
        bool synchronised = recipe->train.norm_statistics == NORM_SYNCHRONISED;
        if (train_step->adversary)
            return yaml_error(error, recipe_key(recipe, "adversary"),
                              "adversary: trains in one process alone (start it without mpirun)");
        config.share = replicas->rank;
        config.shares = replicas->n;
        train_step->pass_replicas = (struct pass_replicas){.rank = replicas->rank,
                                                           .n = replicas->n,
                                                           .context = replicas,
                                                           .average = synchronised ? train_step_average : NULL};
    }

    return loader_new(&train_step->loader, &config, (enum task)recipe->task, SPLIT_TRAIN,
                      train_step_seed(recipe, STREAM_SAMPLES), train_step->position, error);
}

double train_step_loss(const struct train_step *train_step, const float *p, int64_t step, float *d_p, double *terms)
{
    const struct loss_batch batch = {.shape = network_dst_shape(train_step->network),
                                     .p = p,
                                     .t = train_step->target,
                                     .distance = train_step->distance,
                                     .step = step};
    return loss_sum(&train_step->recipe->loss, &batch, d_p, terms);
}

static struct diagnosis train_step_diagnosis(const struct train_step *train_step)
{
    return (struct diagnosis){.whose = "",
                              .config = &train_step->recipe->network,
                              .params = &train_step->params,
                              .network = train_step->network,
                              .src = train_step->src,
                              .step = train_step->step + 1};
}

/* The discriminator's two steps, on the batch's targets and on what the network makes of it when it is deployed. */
static enum status train_step_adversary(struct train_step *train_step, struct train_step_result *result,
                                        struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    int64_t step = train_step->step + 1;
    double factor = schedule_factor(&recipe->schedule, step, recipe->train.steps);
    const float *fake = network_forward(train_step->network, train_step->src, &(struct pass){.training = false});
    return adversary_learn(train_step->adversary, train_step->target, fake, factor, step, &result->adversary, error);
}

/* --- several processes --- */

static bool train_step_shared(const struct train_step *train_step)
{
    return train_step->replicas && train_step->replicas->n > 1;
}

/* A batch's loss and its terms become means over all processes; a request to stop in one of them is known to all.
 * Returns the loss. */
static double train_step_share_loss(struct train_step *train_step, double loss, double *terms)
{
    double shared[TRAIN_STEP_MAX_LOSSES + 2] = {loss, stop_requested()};
    int64_t n = train_step->recipe->loss.n;
    memcpy(shared + 2, terms, (size_t)n * sizeof *shared);
    replicas_average_doubles(train_step->replicas, shared, n + 2);
    memcpy(terms, shared + 2, (size_t)n * sizeof *shared);
    train_step->stop = shared[1] > 0;
    return shared[0];
}

/* One flat reduction each: the gradient, and what does not learn (batch norm's moving statistics), so that one process'
 * state is that of all. */
static void train_step_share_gradient(struct train_step *train_step)
{
    struct params *params = &train_step->params;
    replicas_average(train_step->replicas, params->grad, params->n_trainable);
    replicas_average(train_step->replicas, params->value + params->n_trainable, params->n_floats - params->n_trainable);
}

/* What is not finite here is not finite in all processes: they end together. */
static enum status train_step_diverged(struct train_step *train_step, enum status status)
{
    if (train_step->replicas)
        train_step->replicas->together = true;
    return status;
}

/* --- a step --- */

/* Forward, loss, backward, on the batch in src and target, the k-th of the step. */
static enum status train_step_batch(struct train_step *train_step, int64_t k, struct train_step_result *result,
                                    struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    const struct train_config *train = &recipe->train;
    const struct pass pass = {.training = true,
                              .seed = train_step_seed(recipe, STREAM_DROPOUT),
                              .step = (uint64_t)train_step->step + 1,
                              .sample = k * train->batch,
                              .replicas = train_step_shared(train_step) ? &train_step->pass_replicas : NULL};
    double terms[TRAIN_STEP_MAX_LOSSES], n = (double)train->accumulate;

    /* The discriminator learns first, on the weights of before the step (Goodfellow et al. 2014, algorithm 1). */
    if (train_step->adversary && train_step_adversary(train_step, result, error))
        return error->status;
    const float *p = network_forward(train_step->network, train_step->src, &pass);
    double loss = train_step_loss(train_step, p, train_step->step + 1, train_step->d_p, terms);

    /* The generator's own term: how well its prediction passes for a target. */
    if (train_step->adversary && isfinite(loss)) {
        if (adversary_judge(train_step->adversary, p, train_step->d_p, train_step->step + 1, &result->adversary.fooled,
                            error))
            return error->status;
        loss += recipe_adversary(recipe)->weight * result->adversary.fooled;
    }

    if (train_step_shared(train_step))
        loss = train_step_share_loss(train_step, loss, terms);

    /* Before the backward pass: the cause is still in the activations. */
    if (!isfinite(loss)) {
        struct diagnosis diagnosis = train_step_diagnosis(train_step);
        diagnosis.pass = &pass;
        return train_step_diverged(train_step, diagnose_loss(&diagnosis, loss, error));
    }

    /* Losses are means over the batches of the step; gradients are summed and divided at its end. */
    network_backward(train_step->network, train_step->d_p, NULL, &pass);
    if (network_status(train_step->network, error))
        return error->status;
    result->loss += loss / n;
    for (int64_t i = 0; i < recipe->loss.n; i++)
        result->terms[i] += terms[i] / n;
    if (train_step->sum)
        gradient_gather(&train_step->params, train_step->sum, k == 0);

    return STATUS_OK;
}

/* The gradient of a whole step. */
static enum status train_step_gradient(struct train_step *train_step, struct loader_position *next,
                                       struct train_step_result *result, struct error *error)
{
    const struct train_config *train = &train_step->recipe->train;

    for (int64_t k = 0; k < train->accumulate; k++)
        if (loader_next(train_step->loader, train->batch, train_step->src, train_step->target, train_step->distance,
                        next, error) ||
            train_step_batch(train_step, k, result, error))
            return error->status;

    if (train_step->sum)
        gradient_take(&train_step->params, train_step->sum, 1.0F / (float)train->accumulate);
    if (train_step_shared(train_step))
        train_step_share_gradient(train_step);
    result->grad_norm = gradient_norm(&train_step->params, train_step->partials);
    if (isfinite(result->grad_norm))
        return STATUS_OK;
    const struct diagnosis diagnosis = train_step_diagnosis(train_step);

    return train_step_diverged(train_step, diagnose_gradient(&diagnosis, error));
}

enum status train_step_run(struct train_step *train_step, struct train_step_result *ret, struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    const struct train_config *train = &recipe->train;
    struct params *params = &train_step->params;
    size_t statistics_bytes = (size_t)(params->n_floats - params->n_trainable) * sizeof(float);
    struct train_step_result result = {0};
    struct loader_position next;
    double start_s = log_clock_s(), waited_s = loader_wait_s(train_step->loader);

    /* All that a failed step must restore is kept now. Weights need no copy: they change only at the end. */
    memcpy(train_step->statistics, params->value + params->n_trainable, statistics_bytes);
    if (train_step->adversary)
        adversary_keep(train_step->adversary);
    train_step->computing = true;
    enum status status = train_step_gradient(train_step, &next, &result, error);
    train_step->computing = false;

    /* A failed step leaves the state of before it. */
    if (status) {
        memcpy(params->value + params->n_trainable, train_step->statistics, statistics_bytes);
        if (train_step->adversary)
            adversary_undo(train_step->adversary);
        return status;
    }

    /* Clipping by the norm of the whole gradient (Pascanu, Mikolov and Bengio, ICML 2013), then the update. */
    if (train->clip_norm > 0 && result.grad_norm > train->clip_norm)
        gradient_scale(params, (float)(train->clip_norm / result.grad_norm));
    result.lr =
        optimizer_lr(&train_step->optimizer) * schedule_factor(&recipe->schedule, train_step->step + 1, train->steps);
    optimizer_step(&train_step->optimizer, params, result.lr);
    if (train_step->average)
        average_update(train_step->average, params, train->ema, train_step->step + 1);

    train_step->step++;
    train_step->position = next;
    result.wait_s = loader_wait_s(train_step->loader) - waited_s;
    result.step_s = log_clock_s() - start_s;

    *ret = result;
    return STATUS_OK;
}

void train_step_close(struct train_step *train_step)
{
    loader_free(train_step->loader);
    optimizer_done(&train_step->optimizer);
    network_free(train_step->network);
    restorer_free(train_step->coarse);
    shape_model_done(&train_step->warp_model);
    params_done(&train_step->params);
    memory_free(train_step->src);
    memory_free(train_step->target);
    memory_free(train_step->d_p);
    memory_free(train_step->distance);
    memory_free(train_step->sum);
    memory_free(train_step->average);
    adversary_free(train_step->adversary);
    memory_free(train_step->partials);
    memory_free(train_step->statistics);
    *train_step = (struct train_step){0};
}
