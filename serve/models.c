/* models.c - see models.h. Test: tests/serve/test_server.sh */
#include "serve/models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "infer/restore.h"

/* Jobs work in folders of their own: a path relative to the server's folder must not change its meaning there. */
static enum status models_path(char **ret, const char *path, struct error *error)
{
    char *whole = NULL;
    if (path && strncmp(path, "builtin:", 8) != 0) {
        whole = realpath(path, NULL);
        if (!whole)
            return error_set(error, STATUS_FAILED, "--model %s: %s (a model file or a run folder)", path,
                             strerror(errno));
    }
    const char *text = whole ? whole : path;
    *ret = text ? memory_strdup(text) : NULL;
    const enum status status = !text || *ret ? STATUS_OK : error_memory(error, strlen(text), "the model's path");
    free(whole);
    return status;
}

/* The last part of a path without its ending; other characters than those of a file name become dashes. */
static void models_name(char name[JOB_MODEL_BYTES], const char *path)
{
    const char *base = file_base(path), *kind = strncmp(path, "builtin:", 8) == 0 ? path + 8 : base;
    size_t n = 0;
    for (; kind[n] && strcmp(kind + n, ".h5") != 0 && n + 1 < JOB_MODEL_BYTES; n++) {
        const char c = kind[n];
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
        name[n] = plain ? c : '-';
    }
    name[n] = '\0';
}

/* The part of /api/info that never changes. */
static enum status models_info(struct served_model *model, const struct config_strings *set, struct error *error)
{
    static const char *const texts[] = {"name", "licence", "metrics", "dataset_hash", "step"};
    struct restorer *restorer;
    if (restorer_open(&restorer, model->path, set, error))
        return error_while(error, "opening --model");

    const struct model *file = restorer_model(restorer);
    const char *path = restorer_path(restorer);
    if (!model->name[0])
        models_name(model->name, path);
    cJSON *object = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(object, "id", model->name) &&
              cJSON_AddStringToObject(object, "file", strncmp(path, "builtin:", 8) == 0 ? path : file_base(path)) &&
              cJSON_AddStringToObject(object, "task", task_names[restorer_config(restorer)->task]);
    if (file) {
        ok = ok && cJSON_AddStringToObject(object, "network", file->network.name ? file->network.name : "") &&
             cJSON_AddNumberToObject(object, "parameters", (double)file->params.n_floats);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            ok = ok &&
                 (!model_text(file, texts[i]) || cJSON_AddStringToObject(object, texts[i], model_text(file, texts[i])));
    }

    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    model->info = text ? memory_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(object);
    restorer_free(restorer);
    return model->info ? STATUS_OK : error_memory(error, 4096, "the model's card");
}

enum status models_open(struct served_models *ret, const struct config_strings *paths, const struct config_strings *set,
                        struct error *error)
{
    struct served_models models = {.n = paths->n > 0 ? (int)paths->n : 1};
    enum status status = STATUS_OK;
    if (paths->n > MODELS_MAX)
        return error_set(error, STATUS_USAGE, "--model: given %d times (%d models at most)", (int)paths->n, MODELS_MAX);

    for (int i = 0; !status && i < models.n; i++) {
        struct served_model *model = &models.item[i];
        const char *path = paths->n > 0 ? paths->items[i] : NULL;
        status = models_path(&model->path, path, error);
        if (!status && path)
            models_name(model->name, model->path);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a character stored in name makes the analyzer forget path */
        if (!status)
            status = models_info(model, set, error);
        for (int k = 0; !status && k < i; k++)
            if (strcmp(models.item[k].name, model->name) == 0)
                status = error_set(error, STATUS_USAGE,
                                   "--model %s: has the name '%s' of %s (copy or link it under another name)", path,
                                   model->name, paths->items[k]);
    }

    if (status)
        models_done(&models);
    else
        *ret = models;
    return status;
}

const struct served_model *models_find(const struct served_models *models, const char *name)
{
    for (int i = 0; i < models->n; i++)
        if (!name || !*name || strcmp(models->item[i].name, name) == 0)
            return &models->item[i];
    return NULL;
}

void models_done(struct served_models *models)
{
    for (int i = 0; i < models->n; i++) {
        memory_free(models->item[i].path);
        memory_free(models->item[i].info);
    }
    *models = (struct served_models){0};
}
