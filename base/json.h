/* json.h - JSON by cJSON: objects that are built step by step and texts that are read. Where a step finds no memory,
 * the next ones do nothing, and the end fails.
 *
 *     struct json json = {.digits = 9};
 *     cJSON *list = json_list(&json, json_root(&json), "cases");
 *     json_number(&json, json_item(&json, list), "volume_ml", 12.5);
 *     return json_end(&text, &json, error);             // or json_print */
#ifndef CALVARIA_BASE_JSON_H
#define CALVARIA_BASE_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/error.h"

struct json {
    cJSON *root;
    int digits;  /* of numbers that are not whole */
    bool failed; /* memory was out for some part */
};

cJSON *json_root(struct json *json); /* the outermost object, made with the first call */
/* Below `parent`, an object. NULL where memory is out; NULL may be passed on as a parent. */
cJSON *json_object(struct json *json, cJSON *parent, const char *key);
cJSON *json_list(struct json *json, cJSON *parent, const char *key);
cJSON *json_item(struct json *json, cJSON *list); /* one more object of a list */
/* A whole number with all its digits; null where it is not finite. */
void json_number(struct json *json, cJSON *parent, const char *key, double value);
void json_text(struct json *json, cJSON *parent, const char *key, const char *value);
void json_bool(struct json *json, cJSON *parent, const char *key, bool value);
void json_null(struct json *json, cJSON *parent, const char *key);
void json_triple(struct json *json, cJSON *parent, const char *key, const double value[3]);
void json_list_text(struct json *json, cJSON *list, const char *value);

/* The text, for memory_free. What was built is gone in any case. STATUS_FAILED: memory was out; *ret is untouched. */
enum status json_end(char **ret, struct json *json, struct error *error);
/* With a line end. */
enum status json_print(FILE *file, struct json *json, struct error *error);

/* For cJSON_Delete. STATUS_FAILED: no JSON, the error names `path`, which the text comes from; or memory is out. *ret
 * is NULL then. */
enum status json_parse(cJSON **ret, const char *text, const char *path, struct error *error);

#endif
