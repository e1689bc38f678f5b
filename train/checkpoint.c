/* checkpoint.c - The state of a run to and from a model file; see checkpoint.h.
 * Test: tests/train/test_trainer.c, tests/train/test_stop.c */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/engine/engine.h"
#include "nn/model/model_file.h"
#include "train/environment.h"

/* The numbers of a run under their names in /state, one int64 each; floating-point numbers go as their bits. */
enum {
    N_NUMBERS = 13,
    N_OLD_NUMBERS = 9,
    N_SLOTS_MAX = 4,
    N_BLOCKS_MAX = N_NUMBERS + 2 * N_SLOTS_MAX + 2,
    BLOCK_NAME = 32
};
static const char *const number_names[N_NUMBERS] = {
    "step",    "optimizer_steps", "loader_draw", "loader_patch",    "validated_step", "best_step",    "best_bits",
    "threads", "dataset_hash",    "waited",      "adversary_steps", "best_loss_bits", "best_is_empty"};

static void checkpoint_get_numbers(int64_t numbers[N_NUMBERS], const struct train_step *train_step,
                                   const struct run_state *state)
{
    int64_t best_bits, best_loss_bits;
    memcpy(&best_bits, &state->best, sizeof best_bits);
    memcpy(&best_loss_bits, &state->best_loss, sizeof best_loss_bits);
    const int64_t values[N_NUMBERS] = {train_step->step,
                                       train_step->optimizer.n_steps,
                                       train_step->position.sample,
                                       train_step->position.patch,
                                       state->validated_step,
                                       state->best_step,
                                       best_bits,
                                       state->threads,
                                       (int64_t)state->dataset_hash,
                                       state->waited,
                                       train_step->adversary ? train_step->adversary->optimizer.n_steps : 0,
                                       best_loss_bits,
                                       state->best_is_empty};
    memcpy(numbers, values, sizeof values);
}

static void checkpoint_put_numbers(struct train_step *train_step, struct run_state *state,
                                   const int64_t numbers[N_NUMBERS])
{
    train_step->step = numbers[0];
    train_step->optimizer.n_steps = numbers[1];
    train_step->position = (struct loader_position){.sample = numbers[2], .patch = numbers[3]};
    *state = (struct run_state){.validated_step = numbers[4],
                                .best_step = numbers[5],
                                .threads = numbers[7],
                                .dataset_hash = (uint64_t)numbers[8],
                                .waited = numbers[9],
                                .best_is_empty = numbers[12] != 0};
    if (train_step->adversary)
        train_step->adversary->optimizer.n_steps = numbers[10];
    memcpy(&state->best, &numbers[6], sizeof state->best);
    memcpy(&state->best_loss, &numbers[11], sizeof state->best_loss);
}

/* Every flat block of floats that a run's state has, in addition to the weights of the model. */
static int64_t checkpoint_floats(struct model_block *blocks, char names[][BLOCK_NAME],
                                 const struct train_step *train_step)
{
    const struct optimizer *optimizer = &train_step->optimizer;
    const struct adversary *adversary = train_step->adversary;
    int64_t n = 0;

    /* The optimizer's slots, as m and v of Adam. */
    for (int i = 0; i < optimizer->ops->n_slots; i++, n++) {
        snprintf(names[n], BLOCK_NAME, "optimizer_slot_%d", i);
        blocks[n] = (struct model_block){.name = names[n], .count = optimizer->n_floats, .floats = optimizer->slots[i]};
    }

    /* With an average the model's weights are the averaged ones; those that learn are kept here. */
    if (train_step->average)
        blocks[n++] = (struct model_block){
            .name = "value", .count = train_step->params.n_floats, .floats = train_step->params.value};

    if (adversary)
        blocks[n++] = (struct model_block){
            .name = "adversary_value", .count = adversary->params.n_floats, .floats = adversary->params.value};

    for (int i = 0; adversary && i < adversary->optimizer.ops->n_slots; i++, n++) {
        snprintf(names[n], BLOCK_NAME, "adversary_slot_%d", i);
        blocks[n] = (struct model_block){
            .name = names[n], .count = adversary->optimizer.n_floats, .floats = adversary->optimizer.slots[i]};
    }

    return n;
}

static int64_t checkpoint_texts(struct model_text *ret, const struct train_step *train_step,
                                const struct run_state *state, const struct checkpoint_texts *texts,
                                struct arena *arena, struct error *error)
{
    const struct recipe *recipe = train_step->recipe;
    char *restore = config_dump_text(&restore_table, &recipe->restore);
    char *whole = config_dump_portable(&recipe_table, recipe); /* models travel: no folders of this machine in them */
    const struct model_text all[] = {
        {"restore", restore ? arena_strdup(arena, restore) : NULL},
        {"recipe", whole ? arena_strdup(arena, whole) : NULL},
        {"name", recipe->name},
        {"seed", arena_printf(arena, "%" PRId64, recipe->seed)},
        {"step", arena_printf(arena, "%" PRId64, train_step->step)},
        {"dataset_hash", arena_printf(arena, "%016" PRIx64, state->dataset_hash)},
        {"versions", environment_versions(arena)},
        {"metrics", texts->metrics},
        {"defects", texts->defects},
        {"licence", recipe->licence},
    };

    /* The first seven are never missing but for memory; metrics, defects and licence may be. */
    memory_free(restore);
    memory_free(whole);
    int64_t n = 0;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].value)
            ret[n++] = all[i];
        else if (i < 7)
            return error_memory(error, 0, "the checkpoint's texts"), -1;
    }

    return n;
}

enum status checkpoint_write(const char *path, const struct train_step *train_step, const struct run_state *state,
                             const struct checkpoint_texts *texts, struct error *error)
{
    struct arena arena = {0};
    struct model_text model_texts[16];
    struct model_block blocks[N_BLOCKS_MAX];
    char names[N_BLOCKS_MAX][BLOCK_NAME];
    int64_t numbers[N_NUMBERS];

    checkpoint_get_numbers(numbers, train_step, state);
    struct model model = {
        .network = train_step->recipe->network, .params = train_step->params, .texts = model_texts, .blocks = blocks};
    if (train_step->coarse) {
        model.coarse = (struct model *)(uintptr_t)restorer_model(train_step->coarse); /* only written */
        model.shape = restorer_shape_file(train_step->coarse, &model.shape_bytes);
    }
    if (train_step->average)
        model.params.value = train_step->average;

    /* Numbers first, then the blocks of floats: checkpoint_take finds both by name. */
    for (int i = 0; i < N_NUMBERS; i++)
        blocks[i] = (struct model_block){.name = number_names[i], .count = 1, .ints = &numbers[i]};
    model.n_blocks = N_NUMBERS + checkpoint_floats(blocks + N_NUMBERS, names, train_step);
    model.n_texts = checkpoint_texts(model_texts, train_step, state, texts, &arena, error);
    enum status status = model.n_texts < 0 ? error->status : model_write(path, &model, error);
    if (status)
        error_while(error, "saving the state of step %" PRId64, train_step->step);

    arena_done(&arena);
    return status;
}

static enum status checkpoint_take(struct train_step *train_step, struct run_state *state, const struct model *model,
                                   const char *path, struct error *error)
{
    const char *versions = model_text(model, "versions");
    struct model_block own[N_BLOCKS_MAX];
    char names[N_BLOCKS_MAX][BLOCK_NAME];
    int64_t numbers[N_NUMBERS], n_copied;

    for (int i = 0; i < N_NUMBERS; i++) {
        const struct model_block *block = model_block(model, number_names[i]);
        numbers[i] = 0;
        if (!block && i >= N_OLD_NUMBERS) /* of a version that had no such thing */
            continue;
        if (!block || !block->ints || block->count != 1)
            return error_set(error, STATUS_FAILED, "%s: /state/%s is missing: no checkpoint of a training run", path,
                             number_names[i]);
        numbers[i] = block->ints[0];
    }

    int64_t n = checkpoint_floats(own, names, train_step);

    for (int64_t i = 0; i < n; i++) {
        const struct model_block *block = model_block(model, own[i].name);
        if (!block || !block->floats || block->count != own[i].count)
            return error_set(error, STATUS_FAILED,
                             "%s: /state/%s is missing or of another size: was the recipe another?", path, own[i].name);
        memcpy(own[i].floats, block->floats, (size_t)block->count * sizeof(float));
    }

    struct params shown = train_step->params; /* the weights of the model are those that are shown, averaged or not */
    if (train_step->average)
        shown.value = train_step->average;
    if (params_copy(&shown, &model->params, &n_copied, error))
        return error->status;

    if (n_copied != train_step->params.n)
        return error_set(error, STATUS_FAILED, "%s: has %" PRId64 " of the network's %" PRId64 " parameters", path,
                         n_copied, train_step->params.n);
    checkpoint_put_numbers(train_step, state, numbers);

    /* Library and instruction set: the same steps give other bits with others. */
    if (versions && !strstr(versions, engine_version()))
        log_warn("%s: written by %s, resumed with %s: the results will differ in the last bits", path, versions,
                 engine_version());
    return STATUS_OK;
}

enum status checkpoint_read(struct train_step *train_step, struct run_state *ret_state, const char *path,
                            struct error *error)
{
    struct model model = {0};
    if (model_read(&model, path, true, error))
        return error->status;
    enum status status = checkpoint_take(train_step, ret_state, &model, path, error);
    model_done(&model);
    return status;
}
