/* model.c - models as handles; see calvaria.h. Test: tests/lib/test_library.c */
#include <string.h>

#include "lib/call.h"
#include "lib/library.h"
#include "lib/options.h"
#include "shape/model.h"

const char *calvaria_version(void)
{
    return CALVARIA_VERSION;
}

/* Where the model comes from: a path, or bytes. */
struct model_source {
    const char *path;
    const void *bytes;
    size_t n_bytes;
    const char *const *settings;
};

static enum status model_open(struct calvaria_model *model, const struct model_source *source, struct error *error)
{
    struct arena arena = {0};
    struct config_strings settings;
    enum status status = library_settings(&settings, source->settings, &arena, error);
    if (!status && source->bytes)
        status = restorer_open_image(&model->restorer, source->bytes, source->n_bytes, source->path, &settings, error);
    else if (!status)
        status = restorer_open(&model->restorer, source->path, &settings, error);
    arena_done(&arena);
    return status;
}

static int model_new(struct calvaria_model **ret, const struct model_source *source, struct calvaria_error *ret_error)
{
    struct error error = {0};
    struct call call;
    struct calvaria_model *model = memory_zalloc(1, sizeof *model);
    if (!model) {
        error_memory(&error, sizeof *model, "a model");
        return call_refuse(&error, ret_error);
    }
    pthread_mutex_init(&model->mutex, NULL);
    if (call_begin(&call, NULL, &error)) {
        calvaria_model_free(model);
        return call_refuse(&error, ret_error);
    }

    const enum status status = model_open(model, source, &error);
    if (status)
        calvaria_model_free(model);
    else
        *ret = model;
    return call_end(&call, status, &error, ret_error);
}

int calvaria_model_open(struct calvaria_model **ret, const char *path, const char *const *settings,
                        struct calvaria_error *error)
{
    return model_new(ret, &(struct model_source){.path = path, .settings = settings}, error);
}

int calvaria_model_open_bytes(struct calvaria_model **ret, const void *bytes, size_t n_bytes, const char *name,
                              const char *const *settings, struct calvaria_error *error)
{
    const struct model_source source = {.path = name ? name : "model",
                                        .bytes = bytes ? bytes : "", /* no bytes: no HDF5 file */
                                        .n_bytes = bytes ? n_bytes : 0,
                                        .settings = settings};
    return model_new(ret, &source, error);
}

const char *calvaria_model_text(const struct calvaria_model *model, const char *key)
{
    const struct model *network = restorer_model(model->restorer);
    const struct shape_model *shape = restorer_shape(model->restorer);
    if (strcmp(key, "path") == 0)
        return restorer_path(model->restorer);
    const char *text = network ? model_text(network, key) : NULL;
    if (!text && shape && strcmp(key, "licence") == 0)
        text = shape->licence;
    if (!text && shape && strcmp(key, "dataset_hash") == 0)
        text = shape->set_hash;
    return text;
}

void calvaria_model_free(struct calvaria_model *model)
{
    if (!model)
        return;
    restorer_free(model->restorer);
    pthread_mutex_destroy(&model->mutex);
    memory_free(model);
}
