/* adversary.c - The discriminator of a GAN: its two updates in each step, and its term in the generator's loss; see
 * adversary.h. Test: tests/train/test_schemes.c */
#include "train/adversary.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/loss.h"
#include "train/diagnose.h"
#include "train/gradient.h"

/* clang-format off */
static const struct config_field adversary_fields[] = {
    {.key = "network", .type = CONFIG_TABLE, .offset = offsetof(struct adversary_config, network),
     .table = &network_table, .help = "the discriminator, usually by `extends: "
             "../networks/mia_discriminator.yaml` in this section; its source has the size of a patch, its "
             "outputs are probabilities of being a true target"},
    {.key = "weight", .type = CONFIG_DOUBLE, .offset = offsetof(struct adversary_config, weight), .text = "0.1",
     .min = 0, .max = 1e6, .help = "of the generator's binary cross entropy, added to the losses"},
    {.key = "optimizer", .type = CONFIG_CHOICE, .offset = offsetof(struct adversary_config, optimizer),
     .variant = optimizer_table_at, .help = "the discriminator's update rule; not given: the recipe's"},
    {0}};
/* clang-format on */

static const struct config_table adversary_gan = {
    .type = "gan",
    .help = "a discriminator that learns to separate predictions from targets (Goodfellow et al. 2014)",
    .size = sizeof(struct adversary_config),
    .fields = adversary_fields};

const struct config_table *adversary_table_at(int index)
{
    return index == 0 ? &adversary_gan : NULL;
}

enum adversary_batch { ADVERSARY_REAL, ADVERSARY_FAKE, ADVERSARY_JUDGE, ADVERSARY_BATCHES };

static enum status adversary_make_loss(struct adversary *adversary, struct error *error)
{
    struct config_item *item = arena_alloc(&adversary->arena, 1, sizeof *item);
    for (int i = 0; item && loss_table_at(i); i++)
        if (strcmp(loss_table_at(i)->type, "bce") == 0)
            item->table = loss_table_at(i);
    void *value = item ? arena_alloc(&adversary->arena, 1, item->table->size) : NULL;
    if (!value)
        return error_memory(error, sizeof *item, "the adversary's loss");
    item->value = value;
    adversary->loss = (struct config_list){.n = 1, .items = item};
    return config_bind(item->table, NULL, value, &adversary->arena, error);
}

static size_t adversary_kept_floats(const struct adversary *adversary)
{
    return (size_t)adversary->params.n_floats +
           (size_t)adversary->optimizer.ops->n_slots * (size_t)adversary->optimizer.n_floats;
}

static enum status adversary_allocate(struct adversary *adversary, struct shape src, struct error *error)
{
    size_t outputs = (size_t)shape_count(network_dst_shape(adversary->network)),
           kept = adversary_kept_floats(adversary);
    adversary->label = memory_alloc(outputs, sizeof(float));
    adversary->d_output = memory_alloc(outputs, sizeof(float));
    adversary->d_src = memory_alloc((size_t)shape_count(src), sizeof(float));
    kept += (size_t)(adversary->params.n_floats -
                     adversary->params.n_trainable); /* once more the statistics, for adversary_judge */
    adversary->kept = memory_alloc(kept, sizeof(float));
    adversary->partials = memory_alloc(gradient_n_partials(&adversary->params), sizeof(double));
    if (adversary->label && adversary->d_output && adversary->d_src && adversary->kept && adversary->partials)
        return STATUS_OK;
    return error_memory(error, kept * sizeof(float), "the adversary");
}

enum status adversary_new(struct adversary **ret, const struct adversary_config *config, struct shape src,
                          uint64_t seed, struct error *error)
{
    struct adversary *adversary = memory_zalloc(1, sizeof *adversary);

    if (!adversary)
        return error_memory(error, sizeof *adversary, "the adversary");
    adversary->config = config;
    adversary->seed = seed;
    enum status status = network_describe(&adversary->params, &config->network, error);
    if (!status)
        status = params_allocate(&adversary->params, true, error);
    if (!status) {
        params_initialise(&adversary->params, seed);
        status = network_new(&adversary->network, &config->network, &adversary->params, src, NETWORK_TRAIN_SRC, error);
    }

    /* Its own optimizer and loss: two updates a step, in adversary_learn. */
    if (!status)
        status = optimizer_init(&adversary->optimizer, &config->optimizer, &adversary->params, error);
    if (!status)
        status = adversary_make_loss(adversary, error);
    if (!status)
        status = adversary_allocate(adversary, src, error);

    if (status) {
        adversary_free(adversary);
        return error_while(error, "making the adversary");
    }

    *ret = adversary;
    return STATUS_OK;
}

void adversary_free(struct adversary *adversary)
{
    if (!adversary)
        return;
    optimizer_done(&adversary->optimizer);
    network_free(adversary->network);
    params_done(&adversary->params);
    memory_free(adversary->label);
    memory_free(adversary->d_output);
    memory_free(adversary->d_src);
    memory_free(adversary->kept);
    memory_free(adversary->partials);
    arena_done(&adversary->arena);
    memory_free(adversary);
}

/* --- one step may have to be taken back --- */

/* Values, then slots, from or to `kept`. */
static void adversary_copy(struct adversary *adversary, bool keep)
{
    const struct optimizer *optimizer = &adversary->optimizer;
    float *kept = adversary->kept;
    for (int i = -1; i < optimizer->ops->n_slots; i++) {
        float *block = i < 0 ? adversary->params.value : optimizer->slots[i];
        size_t n = (size_t)(i < 0 ? adversary->params.n_floats : optimizer->n_floats);
        memcpy(keep ? kept : block, keep ? block : kept, n * sizeof(float));
        kept += n;
    }
}

void adversary_keep(struct adversary *adversary)
{
    adversary_copy(adversary, true);
    adversary->kept_steps = adversary->optimizer.n_steps;
}

void adversary_undo(struct adversary *adversary)
{
    adversary_copy(adversary, false);
    adversary->optimizer.n_steps = adversary->kept_steps;
}

/* --- learning and judging --- */

static struct pass adversary_pass(const struct adversary *adversary, int64_t step, enum adversary_batch batch)
{
    return (struct pass){
        .training = true, .seed = adversary->seed, .step = (uint64_t)(step * ADVERSARY_BATCHES + batch)};
}

/* The binary cross entropy of its output for src; its gradient into d_output. */
static double adversary_output_loss(struct adversary *adversary, const float *src, float label, const struct pass *pass)
{
    struct loss_batch batch = {.shape = network_dst_shape(adversary->network), .t = adversary->label, .step = 1};
    for (int64_t i = 0; i < shape_count(batch.shape); i++)
        adversary->label[i] = label;
    batch.p = network_forward(adversary->network, src, pass);
    return loss_sum(&adversary->loss, &batch, adversary->d_output, NULL);
}

static struct diagnosis adversary_diagnosis(const struct adversary *adversary, const float *src,
                                            const struct pass *pass, int64_t step)
{
    return (struct diagnosis){.whose = "the adversary's ",
                              .config = &adversary->config->network,
                              .params = &adversary->params,
                              .network = adversary->network,
                              .src = src,
                              .pass = pass,
                              .step = step};
}

static enum status adversary_update(struct adversary *adversary, const float *src, enum adversary_batch batch,
                                    double lr, int64_t step, double *ret_loss, struct error *error)
{
    const struct pass pass = adversary_pass(adversary, step, batch);
    const struct diagnosis diagnosis = adversary_diagnosis(adversary, src, &pass, step);
    double loss = adversary_output_loss(adversary, src, batch == ADVERSARY_REAL ? 1 : 0, &pass);
    if (!isfinite(loss))
        return diagnose_loss(&diagnosis, loss, error);
    network_backward(adversary->network, adversary->d_output, NULL, &pass);
    if (!isfinite(gradient_norm(&adversary->params, adversary->partials)))
        return diagnose_gradient(&diagnosis, error);
    optimizer_step(&adversary->optimizer, &adversary->params, lr);
    *ret_loss = loss;
    return STATUS_OK;
}

enum status adversary_learn(struct adversary *adversary, const float *real, const float *fake, double lr_factor,
                            int64_t step, struct adversary_result *ret, struct error *error)
{
    double lr = lr_factor * optimizer_lr(&adversary->optimizer);
    struct adversary_result result = {0};
    if (adversary_update(adversary, real, ADVERSARY_REAL, lr, step, &result.real, error) ||
        adversary_update(adversary, fake, ADVERSARY_FAKE, lr, step, &result.fake, error))
        return error->status;
    *ret = result;
    return STATUS_OK;
}

/* With the batch's statistics, the moving ones unchanged: Keras 2 treats batch norm so in a model that does not learn.
 */
enum status adversary_judge(struct adversary *adversary, const float *p, float *d_p, int64_t step, double *ret_fooled,
                            struct error *error)
{
    const struct pass pass = adversary_pass(adversary, step, ADVERSARY_JUDGE);
    const struct params *params = &adversary->params;
    int64_t n_statistics = params->n_floats - params->n_trainable,
            n = shape_count(network_src_shape(adversary->network));
    float *statistics = params->value + params->n_trainable, *kept = adversary->kept + adversary_kept_floats(adversary),
          *d_src = adversary->d_src;
    float weight = (float)adversary->config->weight;

    /* The pass changes the moving statistics; they are restored below. */
    memcpy(kept, statistics, (size_t)n_statistics * sizeof *kept);
    double fooled = adversary_output_loss(adversary, p, 1, &pass);

    if (!isfinite(fooled)) {
        const struct diagnosis diagnosis = adversary_diagnosis(adversary, p, &pass, step);
        return diagnose_loss(&diagnosis, fooled, error);
    }

    network_backward(adversary->network, adversary->d_output, d_src, &pass);
    memcpy(statistics, kept, (size_t)n_statistics * sizeof *kept);
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        d_p[i] += weight * d_src[i];

    *ret_fooled = fooled;
    return STATUS_OK;
}
