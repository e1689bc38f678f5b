/* model.c - see model.h. Test: tests/shape/test_model.c */
#include "shape/model.h"

#include <string.h>

#include "base/memory.h"

void shape_model_done(struct shape_model *model)
{
    population_done(&model->population);
    disc_done(&model->disc);
    disc_done(&model->template_disc);
    memory_free(model->template);
    memory_free(model->good);
    memory_free(model->missing);
    memory_free(model->heads.map);
    memory_free(model->heads.group);
    memory_free(model->heads.centre);
    memory_free(model->heads.spread);
    memory_free(model->heads.rough);
    memory_free(model->heads.scale);
    memory_free(model->heads.occupancy);
    arena_done(&model->arena);
    *model = (struct shape_model){0};
}

int64_t shape_model_find(const struct shape_model *model, const char *name, uint64_t content_hash)
{
    for (int64_t h = 0; h < model->heads.n; h++)
        if (model->head[h].content_hash == content_hash)
            return h;
    for (int64_t h = 0; name && h < model->heads.n; h++)
        if (strcmp(model->head[h].name, name) == 0)
            return h;
    return -1;
}

enum status shape_model_without(struct population *ret, const struct shape_model *model, const char *name,
                                uint64_t content_hash, struct error *error)
{
    const int64_t h = shape_model_find(model, name, content_hash);
    const int32_t group = h < 0 ? -1 : model->heads.group[h];
    if (population_new(ret, &model->disc, &model->heads, group, error))
        return error_while(error, "leaving '%s' out of the shape model", name);
    return STATUS_OK;
}
