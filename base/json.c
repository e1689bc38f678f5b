/* json.c - JSON that is built and read by cJSON; see json.h. Test: tests/base/test_json.c */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

static cJSON *json_take(struct json *json, cJSON *added)
{
    json->failed |= !added;
    return added;
}

cJSON *json_root(struct json *json)
{
    if (!json->root)
        json->root = json_take(json, cJSON_CreateObject());
    return json->root;
}

cJSON *json_object(struct json *json, cJSON *parent, const char *key)
{
    return json_take(json, cJSON_AddObjectToObject(parent, key));
}

cJSON *json_list(struct json *json, cJSON *parent, const char *key)
{
    return json_take(json, cJSON_AddArrayToObject(parent, key));
}

/* A list takes an item over, unless memory for either was out. */
static cJSON *json_append(struct json *json, cJSON *list, cJSON *item)
{
    if (json_take(json, item) && cJSON_AddItemToArray(list, item))
        return item;
    cJSON_Delete(item);
    return json_take(json, NULL);
}

cJSON *json_item(struct json *json, cJSON *list)
{
    return json_append(json, list, cJSON_CreateObject());
}

static cJSON *json_create(const struct json *json, double value)
{
    char text[400]; /* the largest double has 309 digits before the point */
    if (value == floor(value))
        snprintf(text, sizeof text, "%.0f", value);
    else
        snprintf(text, sizeof text, "%.*g", json->digits, value);
    return isfinite(value) ? cJSON_CreateRaw(text) : cJSON_CreateNull();
}

void json_number(struct json *json, cJSON *parent, const char *key, double value)
{
    cJSON *item = json_take(json, json_create(json, value));
    if (item && cJSON_AddItemToObject(parent, key, item))
        return;
    cJSON_Delete(item);
    json->failed = true;
}

void json_text(struct json *json, cJSON *parent, const char *key, const char *value)
{
    json_take(json, cJSON_AddStringToObject(parent, key, value));
}

void json_bool(struct json *json, cJSON *parent, const char *key, bool value)
{
    json_take(json, cJSON_AddBoolToObject(parent, key, value));
}

void json_null(struct json *json, cJSON *parent, const char *key)
{
    json_take(json, cJSON_AddNullToObject(parent, key));
}

void json_triple(struct json *json, cJSON *parent, const char *key, const double value[3])
{
    cJSON *list = json_list(json, parent, key);
    for (int a = 0; a < 3; a++)
        json_append(json, list, json_create(json, value[a]));
}

void json_list_text(struct json *json, cJSON *list, const char *value)
{
    json_append(json, list, cJSON_CreateString(value));
}

enum status json_end(char **ret, struct json *json, struct error *error)
{
    char *text = json->failed ? NULL : cJSON_Print(json->root), *copy = text ? memory_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(json->root);
    json->root = NULL;
    if (!copy)
        return error_memory(error, 0, "the JSON");
    *ret = copy;
    return STATUS_OK;
}

enum status json_print(FILE *file, struct json *json, struct error *error)
{
    char *text = NULL;
    if (json_end(&text, json, error))
        return error->status;
    fprintf(file, "%s\n", text);
    memory_free(text);
    return STATUS_OK;
}

enum status json_parse(cJSON **ret, const char *text, const char *path, struct error *error)
{
    errno = 0;
    *ret = cJSON_Parse(text);
    if (*ret)
        return STATUS_OK;
    if (errno == ENOMEM) /* cJSON itself does not say why */
        return error_memory(error, strlen(text), "the JSON");
    return error_set(error, STATUS_FAILED, "%s: no JSON (a damaged file)", path);
}
