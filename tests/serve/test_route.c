/* test_route.c - the API's table and docs/openapi.yaml say the same: every documented path, method and status is in the
 * table, and every row of the table is documented. Tests run in the sources' folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "serve/http.h"
#include "tests/check.h"

static const char *const methods[] = {"get", "post", "delete", "put", "patch", "head", "options"};

static const struct route *find_route(const char *path, const char *method)
{
    for (int i = 0; i < n_routes; i++)
        if (strcmp(routes[i].path, path) == 0 && strlen(routes[i].method) == strlen(method)) {
            bool same = true;
            for (const char *a = routes[i].method, *b = method; *a; a++, b++)
                same = same && (*a | 0x20) == *b;
            if (same)
                return &routes[i];
        }
    return NULL;
}

static bool route_says(const struct route *route, long status)
{
    for (int i = 0; i < ROUTE_STATUSES; i++)
        if (route->statuses[i] == status)
            return true;
    return false;
}

static int count_statuses(const struct route *route)
{
    int n = 0;
    while (n < ROUTE_STATUSES && route->statuses[n])
        n++;
    return n;
}

static void check_operation(const char *path, const char *method, const struct yaml_node *operation)
{
    const struct route *route = find_route(path, method);
    const struct yaml_node *responses = yaml_get(operation, "responses");
    printf("  %s %s\n", method, path);
    if (!CHECK(route != NULL) || !CHECK(responses != NULL))
        return;
    CHECK_INT(responses->n_items, count_statuses(route));
    for (int i = 0; i < responses->n_items; i++)
        if (!CHECK(route_says(route, strtol(responses->keys[i]->text, NULL, 10))))
            printf("    %s is documented and not in the table\n", responses->keys[i]->text);
    /* Open to all there and here. */
    const struct yaml_node *security = yaml_get(operation, "security");
    CHECK(route->open == (security && security->n_items == 0));
}

static void test_same(void)
{
    struct arena arena = {0};
    struct error error = {0};
    struct yaml_node *root = NULL;
    int n = 0;
    if (CHECK_OK(yaml_read_file(&root, "docs/openapi.yaml", &arena, &error), &error)) {
        const struct yaml_node *paths = yaml_get(root, "paths");
        for (int p = 0; p < paths->n_items; p++)
            for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
                const struct yaml_node *operation = yaml_get(paths->items[p], methods[m]);
                if (!operation)
                    continue;
                check_operation(paths->keys[p]->text, methods[m], operation);
                n++;
            }
        CHECK_INT(n, n_routes); /* each row was met once, so none is undocumented */
    }
    arena_done(&arena);
}

/* The names of files, too. */
static void test_files(void)
{
    struct arena arena = {0};
    struct error error = {0};
    struct yaml_node *root = NULL;
    if (!CHECK_OK(yaml_read_file(&root, "docs/openapi.yaml", &arena, &error), &error))
        return;
    const struct yaml_node *parameters =
        yaml_get(yaml_get(yaml_get(root, "paths"), "/api/jobs/{id}/{file}"), "parameters");
    const struct yaml_node *names = yaml_get(yaml_get(parameters->items[1], "schema"), "enum");
    if (CHECK(names != NULL)) {
        for (int i = 0; i < names->n_items; i++)
            CHECK(artefact_find(names->items[i]->text, NULL) >= 0);
        for (int i = 0; i < ARTEFACTS; i++) {
            bool there = false;
            for (int k = 0; k < names->n_items; k++)
                there = there || strcmp(names->items[k]->text, artefacts[i].name) == 0;
            CHECK(there);
        }
    }
    arena_done(&arena);
}

static int match(const char *method, const char *path, const char **ret_route)
{
    struct request request = {.method = method, .path = path, .artefact = -1};
    route_match(&request);
    *ret_route = request.route ? request.route->path : "";
    return request.refusal;
}

#define ID "0123456789abcdef0123456789abcdef"

static void test_match(void)
{
    static const struct {
        const char *method, *path, *route;
        int refusal;
    } cases[] = {
        {"GET", "/healthz", "/healthz", 0},
        {"HEAD", "/healthz", "/healthz", 0},
        {"GET", "/healthz/", "", 404},
        {"GET", "//healthz", "", 404},
        {"POST", "/healthz", "", 405},
        {"GET", "/api/jobs/" ID, "/api/jobs/{id}", 0},
        {"DELETE", "/api/jobs/" ID, "/api/jobs/{id}", 0},
        {"PUT", "/api/jobs/" ID, "", 405},
        {"GET", "/api/jobs", "", 405},
        {"GET", "/api/jobs/" ID "0", "", 404},
        {"GET", "/api/jobs/0123456789ABCDEF0123456789ABCDEF", "", 404},
        {"GET", "/api/jobs/" ID "/events", "/api/jobs/{id}/events", 0},
        {"GET", "/api/jobs/" ID "/implant", "/api/jobs/{id}/{file}", 0},
        {"GET", "/api/jobs/" ID "/implant.stl", "/api/jobs/{id}/{file}", 0},
        {"GET", "/api/jobs/" ID "/job.json", "", 404},
        {"GET", "/api/jobs/" ID "/out/skull.ply", "", 404},
        {"GET", "/api/jobs/" ID "/../lock", "", 404},
        {"GET", "/api/jobs/../../etc/passwd", "", 404},
        {"GET", "/api/jobs/" ID "/implant/", "", 404},
        {"GET", "", "", 404},
        {"GET", "*", "", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *route;
        if (!CHECK_INT(match(cases[i].method, cases[i].path, &route), cases[i].refusal) ||
            !CHECK_TEXT(route, cases[i].route))
            printf("    %s %s\n", cases[i].method, cases[i].path);
    }
}

static void test_names(void)
{
    static const struct {
        const char *name, *shown, *saved;
    } cases[] = {
        {"patient 7", "patient 7", "patient_7_implant.stl"},
        {"../../etc/passwd", "../../etc/passwd", "etc_passwd_implant.stl"},
        {"a\r\nSet-Cookie: x", "a Set-Cookie: x", "a_Set-Cookie_x_implant.stl"},
        {"Sch\xc3\xa4"
         "del",
         "Sch\xc3\xa4"
         "del",
         "Sch_del_implant.stl"},
        {"\xff\xfe<b>\"", "<b>\"", "b_implant.stl"},
        {"\xe2\x80\xaegpj.exe", "gpj.exe", "gpj.exe_implant.stl"},
        {"000_defective.nii.gz", "000_defective.nii.gz", "000_defective_implant.stl"},
        {"000_complete.NRRD", "000_complete.NRRD", "000_complete_implant.stl"},
        {".hidden", ".hidden", "hidden_implant.stl"},
        {"\xe9\xa0\xad\xe8\x93\x8b", "\xe9\xa0\xad\xe8\x93\x8b", "skull_implant.stl"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct job job = {0};
        char saved[128];
        CHECK(job_name_set(&job, cases[i].name));
        CHECK_TEXT(job.name, cases[i].shown);
        job_download_name(saved, sizeof saved, &job, artefact_find("implant.stl", NULL));
        CHECK_TEXT(saved, cases[i].saved);
    }
    struct job job = {0};
    CHECK(!job_name_set(&job, ""));
    CHECK(!job_name_set(&job, "\x01\x7f\xc0\x80 "));
    char longest[2000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(job_name_set(&job, longest));
    CHECK_INT((int64_t)strlen(job.name), JOB_NAME_CHARS);
}

static void test_ids(void)
{
    char a[JOB_ID_LENGTH + 1], b[JOB_ID_LENGTH + 1];
    struct error error = {0};
    CHECK_OK(job_id_make(a, &error), &error);
    CHECK_OK(job_id_make(b, &error), &error);
    CHECK(job_id_valid(a) && job_id_valid(b) && strcmp(a, b) != 0);
    CHECK(!job_id_valid("") && !job_id_valid("../../../../../../../../etc/passw"));
}

static void test_equal(void)
{
    CHECK(guard_equal("secret", "secret"));
    CHECK(!guard_equal("secre", "secret"));
    CHECK(!guard_equal("secrets", "secret"));
    CHECK(!guard_equal("", "secret"));
    CHECK(!guard_equal("Secret", "secret"));
}

static void test_tags(void)
{
    CHECK(http_tag_matches("\"a-1\"", "\"a-1\""));
    CHECK(http_tag_matches("\"b\", W/\"a-1\"", "\"a-1\""));
    CHECK(http_tag_matches("*", "\"a-1\""));
    CHECK(!http_tag_matches(NULL, "\"a-1\""));
    CHECK(!http_tag_matches("\"a-1", "\"a-1\""));
    CHECK(!http_tag_matches("\"a-10\", \"\", a-1", "\"a-1\""));
}

static void test_ranges(void)
{
    static const struct {
        const char *header;
        int status;
        int64_t first, last;
    } cases[] = {
        {"bytes=0-0", 206, 0, 0},      {"bytes=0-", 206, 0, 99},   {"bytes=10-19", 206, 10, 19},
        {"bytes=90-500", 206, 90, 99}, {"bytes=-10", 206, 90, 99}, {"bytes=-500", 206, 0, 99},
        {"bytes=100-", 416, 0, 0},     {"bytes=-0", 416, 0, 0},    {"bytes=5-4", 0, 0, 0},
        {"bytes=-", 0, 0, 0},          {"bytes=0-1,5-6", 0, 0, 0}, {"lines=0-1", 0, 0, 0},
        {"bytes=x-1", 0, 0, 0},        {"bytes=0-1x", 0, 0, 0},    {"bytes=99999999999999999999-", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t first = 0, last = 0;
        if (!CHECK_INT(http_range(cases[i].header, 100, &first, &last), cases[i].status) ||
            !CHECK_INT(first, cases[i].first) || !CHECK_INT(last, cases[i].last))
            printf("    %s\n", cases[i].header);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"same", test_same},   {"files", test_files},   {"match", test_match},
                                       {"names", test_names}, {"ids", test_ids},       {"equal", test_equal},
                                       {"tags", test_tags},   {"ranges", test_ranges}, {0}};
    return check_main(argc, argv, tests);
}
