/* json.h - what the commands with --json share. */
#ifndef CALVARIA_CLI_JSON_H
#define CALVARIA_CLI_JSON_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* A number, or null where there is none (NaN, infinite). */
void json_add_number(cJSON *object, const char *key, double value);
/* Prints it on stdout, with a line end, and deletes it. root may be NULL: memory was out. */
enum status json_print(cJSON *root, struct error *error);

#endif
