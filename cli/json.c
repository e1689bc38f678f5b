/* json.c - Numbers and output shared by the commands with --json; see json.h. Test: tests/cli/test_runs_command.sh */
#include "cli/json.h"

#include <math.h>
#include <stdio.h>

void json_add_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

enum status json_print(cJSON *root, struct error *error)
{
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text)
        return error_memory(error, 0, "the JSON");
    puts(text);
    cJSON_free(text);
    return STATUS_OK;
}
