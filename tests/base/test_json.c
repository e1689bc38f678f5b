/* test_json.c - the text is what was built; an allocation of cJSON that fails is an error, in building and reading. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/check.h"

static int left = -1; /* allocations until one fails, and all after it; -1: none does */
static bool refused;

static void *short_malloc(size_t bytes)
{
    if (left != 0) {
        left -= left > 0;
        return malloc(bytes);
    }
    refused = true;
    errno = ENOMEM;
    return NULL;
}

static enum status build(char **ret, struct error *error)
{
    const double triple[3] = {1, -2.5, NAN};
    struct json json = {.digits = 6};
    cJSON *root = json_root(&json), *list = json_list(&json, root, "cases"), *names = json_list(&json, root, "names");
    json_text(&json, root, "who", "a \"b\"\n");
    for (int i = 0; i < 2; i++)
        json_number(&json, json_item(&json, list), "n", i + 1.0 / 3);
    json_list_text(&json, names, "one");
    json_triple(&json, json_object(&json, root, "inner"), "triple", triple);
    json_number(&json, root, "large", 1234567890123.0);
    json_number(&json, root, "far", -1e22);
    json_number(&json, root, "none", INFINITY);
    json_bool(&json, root, "yes", true);
    json_null(&json, root, "null");
    return json_end(ret, &json, error);
}

static void test_builds(void)
{
    struct error error = {0};
    char *text = NULL, bare[1024];
    size_t n = 0;
    if (!CHECK_OK(build(&text, &error), &error))
        return;
    for (const char *c = text; *c && n < sizeof bare - 1; c++)
        if (!strchr("\t\n ", *c))
            bare[n++] = *c;
    bare[n] = '\0';
    CHECK_TEXT(bare, "{\"cases\":[{\"n\":0.333333},{\"n\":1.33333}],\"names\":[\"one\"],\"who\":\"a\\\"b\\\"\\n\","
                     "\"inner\":{\"triple\":[1,-2.5,null]},\"large\":1234567890123,\"far\":-10000000000000000000000,"
                     "\"none\":null,\"yes\":true,\"null\":null}");
    memory_free(text);
}

static void test_memory_out(void)
{
    int failed = 0;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = short_malloc, .free_fn = free});
    for (int at = 0;; at++) {
        struct error error = {0};
        char *text = NULL;
        left = at, refused = false;
        const enum status status = build(&text, &error);
        left = -1;
        if (!refused)
            CHECK_OK(status, &error);
        memory_free(text);
        if (!refused)
            break;
        failed++;
        CHECK_FAILS(status, &error, STATUS_FAILED, "memory: the JSON");
        CHECK(error.no_memory && !text);
    }
    CHECK(failed > 20);

    failed = 0;
    for (int at = 0;; at++) {
        struct error error = {0};
        cJSON *root = NULL;
        left = at, refused = false;
        const enum status status = json_parse(&root, "{\"a\": [1, \"two\"], \"b\": null}", "x.json", &error);
        left = -1;
        if (!refused)
            CHECK_OK(status, &error);
        cJSON_Delete(root);
        if (!refused)
            break;
        failed++;
        CHECK_FAILS(status, &error, STATUS_FAILED, "memory: the JSON");
        CHECK(error.no_memory && !root);
    }
    CHECK(failed > 5);
    cJSON_InitHooks(NULL);
}

static void test_no_json(void)
{
    static const char *const texts[] = {"", "{", "{\"1\":1,", "[1e999999", "\"\\u12", "nul", "{\"a\" 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error error = {0};
        cJSON *root = NULL;
        CHECK_FAILS(json_parse(&root, texts[i], "x.json", &error), &error, STATUS_FAILED, "x.json: no JSON");
        CHECK(!error.no_memory && !root);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"builds", test_builds}, {"memory_out", test_memory_out}, {"no_json", test_no_json}, {0}};
    return check_main(argc, argv, tests);
}
