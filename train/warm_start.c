/* warm_start.c - First weights from an earlier model, and layers that do not learn; see warm_start.h.
 * Test: tests/train/test_trainer.c */
#include "train/warm_start.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "infer/restore.h"
#include "nn/model/model_file.h"
#include "train/recipe.h"

char *param_layer_name(char name[LAYER_NAME_TEXT], const struct param *param)
{
    const char *dot = strrchr(param->name, '.');
    int length = dot ? (int)(dot - param->name) : (int)strlen(param->name);
    snprintf(name, LAYER_NAME_TEXT, "%.*s", length, param->name);
    return name;
}

void warm_start_freeze(struct params *params, const struct config_strings *patterns)
{
    char layer[LAYER_NAME_TEXT];
    int64_t frozen = 0;
    for (int64_t i = 0; i < params->n; i++) {
        params->items[i].frozen = recipe_matches(patterns, param_layer_name(layer, &params->items[i]));
        frozen += params->items[i].frozen && params->items[i].trainable ? params->items[i].count : 0;
    }
    if (frozen)
        log_info("frozen: %" PRId64 " of %" PRId64 " trainable parameters do not learn", frozen, params->n_trainable);
}

static enum status warm_start_copy(struct params *params, const struct params *src, const char *path,
                                   const struct config_strings *skip, struct error *error)
{
    char layer[LAYER_NAME_TEXT];
    int64_t n_copied = 0;

    for (int64_t i = 0; i < params->n; i++) {
        const struct param *to = &params->items[i], *from = params_find(src, to->name);
        if (recipe_matches(skip, param_layer_name(layer, to))) {
            log_info("init: %s: skipped, stays random", to->name);
        } else if (!from) {
            log_info("init: %s: not in the model, stays random", to->name);
        } else if (!param_same_shape(to, from->n_dims, from->dim)) {
            char has[PARAM_SHAPE_TEXT], wants[PARAM_SHAPE_TEXT];
            return error_set(error, STATUS_FAILED,
                             "%s: %s is %s there and %s here (train.init_skip: [%s] leaves it random)", path, to->name,
                             param_shape_text(has, from->n_dims, from->dim),
                             param_shape_text(wants, to->n_dims, to->dim), layer);
        } else {
            memcpy(params->value + to->offset, src->value + from->offset, (size_t)to->count * sizeof(float));
            n_copied++;
        }
    }

    /* What the model has and this network has not is logged, too. */
    for (int64_t i = 0; i < src->n; i++)
        if (!params_find(params, src->items[i].name))
            log_info("init: %s of the model has no place here", src->items[i].name);
    if (n_copied == 0)
        return error_set(error, STATUS_FAILED, "%s: none of its parameters has a name of this network", path);
    log_info("init: %" PRId64 " of %" PRId64 " parameters from %s", n_copied, params->n, path);

    return STATUS_OK;
}

enum status warm_start(struct params *params, const char *path, const struct config_strings *skip, struct error *error)
{
    struct model model = {0};
    struct arena arena = {0};
    const char *file;
    enum status status = restorer_find(&file, path, &arena, error); /* of a run folder its best state */

    if (!status)
        status = model_read(&model, file, false, error);
    if (!status) {
        status = warm_start_copy(params, &model.params, file, skip, error);
        model_done(&model);
    }

    if (status)
        error_while(error, "taking the first weights from %s", path);

    arena_done(&arena);
    return status;
}
