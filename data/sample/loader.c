/* loader.c - worker threads that prepare samples ahead, and the one order in which they are given. See loader.h.
 * Test: tests/data/test_loader.c. */
#include "data/sample/loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/parallel.h"
#include "data/sample/sample.h"
#include "data/sample/patch_sampler.h"

static const char *const sampler_names[] = {"grid", "random", "defect", "whole", NULL};

#define OFFSET(member) offsetof(struct loader_config, member)
/* clang-format off */
static const struct config_field loader_fields[] = {
    {.key = "set", .type = CONFIG_PATH, .offset = OFFSET(set), .required = true,
     .help = "the dataset, made by 'calvaria pack'"},
    {.key = "folds", .type = CONFIG_TABLE, .offset = OFFSET(fold), .table = &fold_table,
     .help = "cross-validation, as `calvaria train --folds` does"},
    {.key = "defects", .type = CONFIG_PATH, .offset = OFFSET(defects),
     .help = "generators of defects, a file of configs/defects; not given: the implants stored in the dataset"},
    {.key = "stored_frac", .type = CONFIG_DOUBLE, .offset = OFFSET(stored_frac), .text = "0", .min = 0, .max = 1,
     .help = "with defects: the share of drawn skulls that get an implant stored in the dataset instead, where "
             "they have one"},
    {.key = "healthy_frac", .type = CONFIG_DOUBLE, .offset = OFFSET(healthy_frac), .text = "0", .min = 0, .max = 1,
     .help = "share of drawn skulls that stay whole, so that the network also learns to leave them alone"},
    {.key = "sampler", .type = CONFIG_ENUM, .offset = OFFSET(sampler), .text = "grid", .names = sampler_names,
     .help = "grid: all tiles in order, as published; random: around the bone; defect: around the defect; whole: "
             "the whole volume, resampled to the patch where sizes differ; with spacing_mm: a crop of that size "
             "on the skull"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = OFFSET(patch_vox), .text = "[128, 128, 128]",
     .unit = "voxels", .min = 1, .max = 1024, .help = "size of a training patch"},
    {.key = "spacing_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(spacing_mm), .text = "0", .min = 0, .max = 20,
     .unit = "mm", .help = "spacing of the patches' voxels, each the share of bone in its box "
             "(restore.working_spacing_mm follows it); 0: the skull's own"},
    {.key = "patches_per_skull", .type = CONFIG_INT, .offset = OFFSET(patches_per_skull), .text = "4", .min = 1,
     .max = 1024, .help = "random, defect: patches cut from each drawn skull"},
    {.key = "defect_ratio", .type = CONFIG_DOUBLE, .offset = OFFSET(defect_ratio), .text = "0.5", .min = 0, .max = 1,
     .help = "defect: share of patches centred on missing bone"},
    {.key = "top_vox", .type = CONFIG_INT, .offset = OFFSET(top_vox), .text = "0", .unit = "slices", .min = 0,
     .max = 1000000, .help = "grid: only the top this many slices (128 as published); 0: all"},
    {.key = "workers", .type = CONFIG_INT, .offset = OFFSET(workers), .text = "1", .min = 1, .max = 256,
     .help = "threads that prepare patches; the batches are the same for any number"},
    {.key = "queue", .type = CONFIG_INT, .offset = OFFSET(queue), .text = "2", .unit = "skulls", .min = 1, .max = 1024,
     .help = "drawn skulls prepared ahead at most: bounds the memory"},
    {.key = "augment", .type = CONFIG_TABLE, .offset = OFFSET(augment), .table = &augment_table,
     .help = "training skulls changed at every draw"},
    {0}};
/* clang-format on */
const struct config_table loader_table = {
    .help = "training pairs", .size = sizeof(struct loader_config), .fields = loader_fields};

/* One prepared draw. */
struct slot {
    bool ready;
    enum status status;
    struct sample sample;
    struct error error;
};

/* Draws [head, head + queue) have slots, draw d in slot d % queue. Workers take draws in order, the consumer gives
 * slots free in order, so the sequence does not depend on who worked on what. */
struct loader {
    struct loader_config config;
    struct arena arena;
    struct defects_config defects;
    struct sample_source source;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    int64_t head, next_sample; /* the draw being consumed; the next one a worker takes */
    int64_t
        next_patch; /* patches of the sequence from the start to next_sample's first; negative inside the first draw */
    int64_t given;  /* patches of the sequence from the start to the next one */
    struct slot *slots;
    int64_t n_threads;
    pthread_t *threads;

    int64_t patch; /* of draw `head`, given next */
    float *prior;  /* the coarse prediction for sample `prior_sample` */
    int64_t prior_sample;
    double waited_s;
};

/* ---- workers ---- */

static int64_t loader_count(const struct loader *loader, int64_t number)
{
    const struct dataset_case *item = dataset_case(loader->source.set, sample_case(&loader->source, number));
    return sample_count(&loader->config, &item->grid);
}

/* One of patches first .. first + n - 1 of the sequence is this loader's; negative ones are given already. */
static bool loader_wants(const struct loader *loader, int64_t first, int64_t n)
{
    const int64_t shares = loader->config.shares, from = first < 0 ? 0 : first;
    return shares <= 1 || from + (loader->config.share - from % shares + shares) % shares < first + n;
}

static void *loader_work(void *context)
{
    struct loader *loader = context;

    parallel_set_threads(1); /* this thread's own loops: the cores belong to the training step */
    pthread_mutex_lock(&loader->lock);

    for (;;) {
        while (!loader->stop && loader->next_sample >= loader->head + loader->config.queue)
            pthread_cond_wait(&loader->changed, &loader->lock);
        if (loader->stop)
            break;
        /* Numbers are given out in order under the lock; the sample itself is made outside it */
        const int64_t number = loader->next_sample++, n_patches = loader_count(loader, number);
        const bool wanted = loader_wants(loader, loader->next_patch, n_patches);
        struct slot *slot = &loader->slots[number % loader->config.queue];
        loader->next_patch += n_patches;
        slot->error = (struct error){0};
        slot->status = STATUS_OK;
        slot->sample.n_patches = n_patches;

        if (wanted) {
            pthread_mutex_unlock(&loader->lock);
            slot->status = sample_make(&slot->sample, &loader->source, number, &slot->error);
            pthread_mutex_lock(&loader->lock);
        }

        slot->ready = true;
        pthread_cond_broadcast(&loader->changed);
    }

    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* Signals stay with the program's own threads. */
static enum status loader_start_threads(struct loader *loader, struct error *error)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (!failed && loader->n_threads < loader->config.workers)
        if (!(failed = pthread_create(&loader->threads[loader->n_threads], NULL, loader_work, loader)))
            loader->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_system(error, failed, "data.workers: thread %" PRId64 " cannot be started",
                                 loader->n_threads + 1)
                  : STATUS_OK;
}

/* ---- making ---- */

static enum status loader_find_cases(struct loader *loader, enum dataset_split split, struct error *error)
{
    struct dataset *set = loader->source.set;
    int64_t *cases = arena_alloc(&loader->arena, (size_t)dataset_n_cases(set), sizeof *cases);
    if (!cases)
        return error_memory(error, (size_t)dataset_n_cases(set) * sizeof *cases, "the list of cases");

    for (int64_t i = 0; i < dataset_n_cases(set); i++) {
        const struct dataset_case *item = dataset_case(set, i);
        if (item->split != split)
            continue;
        if (!loader->config.defects && item->n_implants == 0)
            return error_set(
                error, STATUS_FAILED,
                "%s: case '%s' holds no defect (name generators with data.defects: configs/defects/mixed.yaml)",
                loader->config.set, item->name);
        cases[loader->source.n_cases++] = i;
    }

    loader->source.cases = cases;
    if (loader->source.n_cases == 0)
        return error_set(error, STATUS_FAILED, "%s: the split '%s' holds no case", loader->config.set,
                         dataset_split_names[split]);
    return STATUS_OK;
}

static enum status loader_init(struct loader *loader, enum dataset_split split, struct loader_position start,
                               struct error *error)
{
    struct loader_config *config = &loader->config;
    if (dataset_open_fold(&loader->source.set, config->set, &config->fold, error))
        return error->status;
    if (config->defects && defects_read(&loader->defects, config->defects, &loader->arena, error))
        return error->status;

    if (split != SPLIT_TRAIN)
        config->augment = (struct augment_config){0};
    loader->source.config = config;
    loader->source.defects = config->defects ? &loader->defects : NULL;
    if (loader_find_cases(loader, split, error))
        return error->status;

    /* A resumed run may name a position that a changed dataset no longer has */
    if (start.sample < 0 || start.patch < 0 || start.patch >= loader_count(loader, start.sample))
        return error_set(error, STATUS_FAILED,
                         "%s: no position (draw %" PRId64 ", patch %" PRId64 "): the data or its sampler changed since",
                         config->set, start.sample, start.patch);

    loader->head = loader->next_sample = start.sample;
    loader->patch = start.patch;
    loader->prior_sample = -1;

    if (config->prior.predict) {
        const int64_t *crop = config->prior.patch_vox;
        loader->prior = arena_alloc(&loader->arena, (size_t)(crop[0] * crop[1] * crop[2]), sizeof *loader->prior);
        if (!loader->prior)
            return error_memory(error, (size_t)(crop[0] * crop[1] * crop[2]) * sizeof *loader->prior,
                                "the coarse prediction");
    }

    loader->next_patch = -start.patch;
    loader->slots = arena_alloc(&loader->arena, (size_t)config->queue, sizeof *loader->slots);
    loader->threads = arena_alloc(&loader->arena, (size_t)config->workers, sizeof *loader->threads);
    if (!loader->slots || !loader->threads)
        return error_memory(error, (size_t)config->queue * sizeof *loader->slots, "the loader's queue");
    return loader_start_threads(loader, error);
}

enum status loader_new(struct loader **ret, const struct loader_config *config, enum task task,
                       enum dataset_split split, uint64_t seed, struct loader_position start, struct error *error)
{
    struct loader *loader = memory_zalloc(1, sizeof *loader);
    if (!loader)
        return error_memory(error, sizeof *loader, "the loader");
    loader->config = *config;
    loader->source.task = task;
    loader->source.seed = seed;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->changed, NULL);
    if (loader_init(loader, split, start, error)) {
        loader_free(loader);
        return error->status;
    }
    *ret = loader;
    return STATUS_OK;
}

void loader_free(struct loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    for (int64_t t = 0; t < loader->n_threads; t++)
        pthread_join(loader->threads[t], NULL);
    for (int64_t s = 0; loader->slots && s < loader->config.queue; s++)
        sample_done(&loader->slots[s].sample);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    dataset_close(loader->source.set);
    arena_done(&loader->arena);
    memory_free(loader);
}

/* ---- giving ---- */

static struct slot *loader_wait(struct loader *loader)
{
    struct slot *slot = &loader->slots[loader->head % loader->config.queue];
    pthread_mutex_lock(&loader->lock);
    if (!slot->ready) {
        const double start_s = log_clock_s();
        while (!slot->ready)
            pthread_cond_wait(&loader->changed, &loader->lock);
        loader->waited_s += log_clock_s() - start_s;
    }
    pthread_mutex_unlock(&loader->lock);
    return slot;
}

/* The consumed draw's slot goes back to the workers. */
static void loader_advance(struct loader *loader, struct slot *slot)
{
    sample_done(&slot->sample);
    pthread_mutex_lock(&loader->lock);
    slot->ready = false;
    loader->head++;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    loader->patch = 0;
}

/* The current patch: the skull, and the coarse prediction as second channel. */
static enum status loader_give(struct loader *loader, const struct sample *sample, float *src, float *target,
                               struct error *error)
{
    const struct loader_config *config = &loader->config;
    const int64_t n = config->patch_vox[0] * config->patch_vox[1] * config->patch_vox[2];
    sample_fill(sample, loader->patch, n, loader->source.task, src, target);
    if (sample->prior)
        memcpy(src + n, sample->prior + loader->patch * n * config->prior.field_channels,
               (size_t)(n * config->prior.field_channels) * sizeof *src);
    if (!loader->prior)
        return STATUS_OK;
    if (loader->prior_sample != loader->head &&
        config->prior.predict(config->prior.context, sample->crop, loader->prior, error))
        return error->status;
    loader->prior_sample = loader->head;
    sample_prior(src + n, sample, loader->patch, config, loader->prior);
    return STATUS_OK;
}

enum status loader_next(struct loader *loader, int64_t batch, float *src, float *target, float *distance,
                        struct loader_position *ret_position, struct error *error)
{
    const int64_t *patch = loader->config.patch_vox, n = patch[0] * patch[1] * patch[2];
    const int64_t shares = loader->config.shares > 1 ? loader->config.shares : 1;
    const int64_t channels = 1 + loader_prior_channels(&loader->config.prior);
    for (int64_t k = 0, b = 0; k < batch * shares; k++) {
        struct slot *slot = loader_wait(loader);
        if (slot->status) {
            *error = slot->error;
            return slot->status;
        }
        if (loader->given++ % shares == loader->config.share) {
            if (loader_give(loader, &slot->sample, src + b * n * channels, target + b * n, error))
                return error->status;
            if (loader->config.distance)
                memcpy(distance + b * n, slot->sample.distance + loader->patch * n, (size_t)n * sizeof *distance);
            b++;
        }
        if (++loader->patch == slot->sample.n_patches)
            loader_advance(loader, slot);
    }
    *ret_position = (struct loader_position){loader->head, loader->patch};
    return STATUS_OK;
}

int64_t loader_prior_channels(const struct loader_prior *prior)
{
    return prior->field ? prior->field_channels : prior->predict != NULL;
}

double loader_wait_s(const struct loader *loader)
{
    return loader->waited_s;
}
