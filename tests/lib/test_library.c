/* test_library.c - the library gives the bits that `calvaria infer` gives of a file, follows its caller's wishes, and
 * leaves the process as it was. */
#include "lib/calvaria.h"

#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parallel.h"
#include "data/phantom/phantom.h"
#include "data/volume/array.h"
#include "data/volume/formats.h"
#include "infer/batch.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

#define PHANTOM_MODEL "models/phantom.h5"
#define SHAPE_MODEL "models/default.h5"

extern char **environ;

/* ---- a skull as a file and as an array ---- */

struct skull {
    struct volume volume;
    uint8_t *values; /* in the file's order */
    struct calvaria_array array;
};

static void skull_shell(struct volume *ret)
{
    *ret = fixture_volume(88, 92, 80, 2, 2, 2);
    fixture_skull(ret, 12);
    fixture_box(ret, (struct box){{2, 30, 46}, {32, 60, 80}}, 0);
}

/* A whole head, as a shape model needs one; its hole is a ball about its upper left. */
static void skull_phantom(struct volume *ret)
{
    struct error error = {0};
    const struct phantom_config config = {.spacing_mm = {2.5, 2.5, 2.5}};
    CHECK_OK(phantom_skull(ret, &config, 15, 3, &error), &error);
    const int64_t *dim = ret->grid.dim;
    for (int64_t i = 0; i < grid_voxels(&ret->grid); i++) {
        const double at[3] = {(double)(i % dim[0]) - 0.8 * (double)dim[0],
                              (double)(i / dim[0] % dim[1]) - 0.5 * (double)dim[1],
                              (double)(i / dim[0] / dim[1]) - 0.85 * (double)dim[2]};
        if (at[0] * at[0] + at[1] * at[1] + at[2] * at[2] < 12 * 12)
            ((uint8_t *)ret->data)[i] = 0;
    }
}

/* In a file whose axes are not the patient's: S, R, A. */
static void skull_make(struct skull *ret, void (*make)(struct volume *ret))
{
    struct error error = {0};
    struct volume skull;
    make(&skull);
    skull.storage = (struct storage){
        .format = VOLUME_NRRD, .axis = {2, 0, 1}, .flip = {false, true, true}, .space = "left-posterior-superior"};
    CHECK_OK(volume_write(check_path("head_defective.nrrd"), &skull, &error), &error);
    volume_done(&skull);
    CHECK_OK(volume_read(&ret->volume, check_path("head_defective.nrrd"), &error), &error);

    /* As a caller has it: the file's values and its affine, RAS. */
    const struct grid *grid = &ret->volume.storage.grid;
    ret->values = memory_alloc((size_t)grid_voxels(grid), 1);
    ret->array = (struct calvaria_array){.values = ret->values, .type = CALVARIA_UINT8};
    struct voxel_array array = {.values = ret->values, .type = DISK_U8};
    memcpy(array.dim, grid->dim, sizeof array.dim);
    memcpy(ret->array.dims, grid->dim, sizeof ret->array.dims);
    volume_to_array(&array, &ret->volume);
    for (int k = 0; k < 3; k++) {
        for (int a = 0; a < 3; a++)
            ret->array.affine[k][a] = (k < 2 ? -1 : 1) * grid->axis[a][k];
        ret->array.affine[k][3] = (k < 2 ? -1 : 1) * grid->origin[k];
    }
    ret->array.affine[3][3] = 1;
}

static void skull_done(struct skull *skull)
{
    volume_done(&skull->volume);
    memory_free(skull->values);
}

static bool ok(int status, const struct calvaria_error *error)
{
    if (status)
        fprintf(stderr, "    %s\n", error->message);
    return CHECK_INT(status, CALVARIA_OK);
}

/* ---- the same bits as from a file ---- */

/* The volume that the program wrote, in the file's order (memory_free). */
static uint8_t *written_mask(const char *out, const char *name)
{
    struct error error = {0};
    struct volume volume = {0};
    struct arena arena = {0};
    if (!CHECK_OK(volume_read(&volume, file_join(&arena, out, name), &error), &error))
        return NULL;
    struct voxel_array array = {.type = DISK_U8};
    memcpy(array.dim, volume.storage.grid.dim, sizeof array.dim);
    uint8_t *values = array.values = memory_alloc((size_t)grid_voxels(&volume.grid), 1);
    volume_to_array(&array, &volume);
    volume_done(&volume);
    arena_done(&arena);
    return values;
}

static void check_mask(const struct calvaria_result *result, int mask, const char *out, const char *name)
{
    struct calvaria_error error;
    int64_t dims[3];
    calvaria_result_dims(result, dims);
    const size_t n = (size_t)(dims[0] * dims[1] * dims[2]);
    uint8_t *expected = written_mask(out, name), *got = memory_alloc(n, 1), *turned = memory_alloc(n, 1);
    if (expected && ok(calvaria_result_mask(result, mask, got, NULL, &error), &error)) {
        CHECK(memchr(got, 1, n) != NULL); /* an empty mask would prove nothing */
        CHECK_INT(memcmp(got, expected, n), 0);
    }

    /* In C order, the last axis fastest, the same values stand elsewhere. */
    const int64_t strides[3] = {dims[1] * dims[2], dims[2], 1};
    ok(calvaria_result_mask(result, mask, turned, strides, &error), &error);
    int64_t wrong = 0;
    for (int64_t i = 0; i < (int64_t)n; i++)
        wrong +=
            got[i] != turned[i % dims[0] * strides[0] + i / dims[0] % dims[1] * strides[1] + i / dims[0] / dims[1]];
    CHECK_INT(wrong, 0);
    memory_free(expected);
    memory_free(got);
    memory_free(turned);
}

/* A binary STL's corners are the mesh's as float32. */
static void check_mesh(const struct calvaria_result *result, const char *path)
{
    enum { HEAD = 84, TRIANGLE = 50, NORMAL = 12 };
    struct error file_error = {0};
    struct calvaria_error error;
    struct calvaria_mesh mesh;
    char *stl;
    size_t bytes;
    if (!ok(calvaria_result_mesh(result, &mesh, &error), &error) ||
        !CHECK_OK(file_read(&stl, &bytes, path, 1 << 28, &file_error), &file_error))
        return;
    CHECK(mesh.n_faces > 100);
    CHECK_INT((int64_t)bytes, HEAD + TRIANGLE * mesh.n_faces);
    int64_t wrong = 0;
    for (int64_t t = 0; t < mesh.n_faces && (int64_t)bytes == HEAD + TRIANGLE * mesh.n_faces; t++)
        for (int i = 0; i < 9; i++) {
            float written;
            memcpy(&written, stl + HEAD + TRIANGLE * t + NORMAL + 4 * i, sizeof written);
            wrong += written != (float)mesh.vertices[3 * mesh.faces[3 * t + i / 3] + i % 3];
        }
    CHECK_INT(wrong, 0);
    memory_free(stl);
}

/* The part of a report from one key to another. */
static void report_part(char *out, size_t size, const char *report, const char *from, const char *to)
{
    const char *begin = strstr(report, from), *end = begin ? strstr(begin, to) : NULL;
    snprintf(out, size, "%.*s", end ? (int)(end - begin) : 0, begin ? begin : "");
}

static void check_report(const struct calvaria_result *result, const char *path)
{
    static const char *const parts[][2] = {{"\"input\"", "\"implant\":"}, {"\"implant\":", "\"times_s\""}};
    struct error error = {0};
    char *expected, a[1 << 14], b[1 << 14];
    size_t bytes;
    const char *report = calvaria_result_report(result, CALVARIA_JSON);
    if (!CHECK(report != NULL) || !CHECK_OK(file_read(&expected, &bytes, path, 1 << 20, &error), &error))
        return;
    for (int i = 0; i < 2; i++) {
        report_part(a, sizeof a, report, parts[i][0], parts[i][1]);
        report_part(b, sizeof b, expected, parts[i][0], parts[i][1]);
        CHECK(strlen(a) > 40);
        CHECK_TEXT(a, b);
    }
    CHECK_CONTAINS(calvaria_result_report(result, CALVARIA_HTML), "<h2>Implant</h2>");
    CHECK(calvaria_result_report(result, 2) == NULL);
    memory_free(expected);
}

/* The program's rules and the library's options say the same. */
static void check_like_file(const char *model_path, void (*make)(struct volume *ret), const char *out)
{
    struct skull skull;
    struct error error = {0};
    struct calvaria_error why;
    struct calvaria_model *model = NULL;
    struct calvaria_result *result = NULL;
    const char *const options[] = {"clearance_mm=1.5", "min-thickness-mm=4",       "insertable",
                                   "keep-raw",         "name=head_defective.nrrd", NULL};
    skull_make(&skull, make);
    const struct batch_config config = {
        .model = model_path,
        .out = out,
        .mesh_space = MESH_RAS,
        .keep_raw = true,
        .rules = {.clearance = {.gap_mm = 1.5}, .min_thickness_mm = 4, .insertable = true},
        .no_picture = true};
    char *const inputs[] = {(char *)(uintptr_t)check_path("head_defective.nrrd")};
    CHECK_OK(batch_run(&config, 1, inputs, stdout, &error), &error);

    if (ok(calvaria_model_open(&model, model_path, NULL, &why), &why) &&
        ok(calvaria_restore(&result, model, &skull.array, options, NULL, &why), &why)) {
        struct arena arena = {0};
        check_mask(result, CALVARIA_IMPLANT, out, "head_implant.nrrd");
        check_mask(result, CALVARIA_COMPLETED, out, "head_completed.nrrd");
        check_mask(result, CALVARIA_RAW, out, "head_raw.nrrd");
        check_mesh(result, file_join(&arena, out, "head_implant.stl"));
        check_report(result, file_join(&arena, out, "head_report.json"));
        arena_done(&arena);
    }
    calvaria_result_free(result);
    calvaria_model_free(model);
    skull_done(&skull);
}

static void test_same_bits_mirror(void)
{
    check_like_file("builtin:mirror", skull_shell, check_path("mirror"));
}

static void test_same_bits_network(void)
{
    check_like_file(PHANTOM_MODEL, skull_shell, check_path("network"));
}

static void test_same_bits_shape(void)
{
    check_like_file(SHAPE_MODEL, skull_phantom, check_path("shape"));
}

/* What a shape model alone has: intervals, and a field along its rays. */
static void test_shape(void)
{
    struct skull skull;
    struct calvaria_error why;
    struct calvaria_model *model = NULL;
    struct calvaria_result *result = NULL;
    struct calvaria_mesh mesh;
    skull_make(&skull, skull_phantom);
    const int64_t n = grid_voxels(&skull.volume.grid);
    uint8_t *implant = memory_alloc((size_t)n, 1);
    float *field = memory_alloc((size_t)n, sizeof *field);
    if (ok(calvaria_model_open(&model, SHAPE_MODEL, NULL, &why), &why) &&
        ok(calvaria_restore(&result, model, &skull.array, NULL, NULL, &why), &why) &&
        ok(calvaria_result_mask(result, CALVARIA_IMPLANT, implant, NULL, &why), &why) &&
        ok(calvaria_result_field(result, field, NULL, &why), &why) &&
        ok(calvaria_result_mesh(result, &mesh, &why), &why)) {
        int64_t voxels = 0, inside = 0, known = 0;
        for (int64_t i = 0; i < n; i++) {
            voxels += implant[i];
            inside += implant[i] && field[i] > 0;
        }
        for (int64_t i = 0; mesh.interval_mm && i < mesh.n_vertices; i++)
            known += mesh.interval_mm[i] > 0 && mesh.interval_mm[i] < 20;
        CHECK(voxels > 300);
        CHECK((double)inside > 0.9 * (double)voxels); /* a closing at the rim adds voxels of its own */
        CHECK(known > mesh.n_vertices / 2);
        CHECK(calvaria_model_text(model, "licence") != NULL);
    }
    calvaria_result_free(result);
    calvaria_model_free(model);
    memory_free(implant);
    memory_free(field);
    skull_done(&skull);
}

/* ---- models from bytes ---- */

static void test_bytes(void)
{
    struct skull skull;
    struct error error = {0};
    struct calvaria_error why;
    struct calvaria_model *model[2] = {NULL};
    struct calvaria_result *result[2] = {NULL};
    const char *const options[] = {"no-report", "no-mesh", NULL}, *const settings[] = {"threshold=0.4", NULL};
    char *bytes;
    size_t n;
    skull_make(&skull, skull_shell);
    CHECK_OK(file_read(&bytes, &n, PHANTOM_MODEL, 1 << 28, &error), &error);
    ok(calvaria_model_open_bytes(&model[0], bytes, n, "phantom.h5", settings, &why), &why);
    memset(bytes, 0, n); /* they are not needed afterwards */
    ok(calvaria_model_open(&model[1], PHANTOM_MODEL, settings, &why), &why);
    for (int i = 0; i < 2 && model[i]; i++)
        ok(calvaria_restore(&result[i], model[i], &skull.array, options, NULL, &why), &why);
    if (result[0] && result[1]) {
        const size_t voxels = (size_t)grid_voxels(&skull.volume.grid);
        uint8_t *a = memory_alloc(voxels, 1), *b = memory_alloc(voxels, 1);
        calvaria_result_mask(result[0], CALVARIA_IMPLANT, a, NULL, NULL);
        calvaria_result_mask(result[1], CALVARIA_IMPLANT, b, NULL, NULL);
        CHECK_INT(memcmp(a, b, voxels), 0);
        CHECK(memchr(a, 1, voxels) != NULL);
        CHECK(calvaria_result_report(result[0], CALVARIA_JSON) == NULL);
        struct calvaria_mesh mesh;
        CHECK_INT(calvaria_result_mesh(result[0], &mesh, &why), CALVARIA_USAGE);
        CHECK_CONTAINS(why.message, "no-mesh");
        memory_free(a);
        memory_free(b);
    }
    CHECK_TEXT(calvaria_model_text(model[0], "path"), "phantom.h5");
    CHECK(calvaria_model_text(model[0], "nonsense") == NULL);
    memory_free(bytes);
    for (int i = 0; i < 2; i++) {
        calvaria_result_free(result[i]);
        calvaria_model_free(model[i]);
    }
    skull_done(&skull);
}

/* ---- what fails ---- */

static void test_errors(void)
{
    struct skull skull;
    struct calvaria_error why = {.status = 77};
    struct calvaria_model *model = NULL, *kept = (struct calvaria_model *)&why;
    struct calvaria_result *result = (struct calvaria_result *)&why;
    const char *const wrong_setting[] = {"treshold=1", NULL}, *const wrong_option[] = {"clearence-mm=1", NULL},
                      *const wrong_value[] = {"clearance-mm=21", NULL};
    skull_make(&skull, skull_shell);

    CHECK_INT(calvaria_model_open(&kept, "/absent.h5", NULL, &why), CALVARIA_FAILED);
    CHECK(kept == (struct calvaria_model *)&why);
    CHECK_TEXT(why.message, "/absent.h5: no such file");
    CHECK_INT(why.status, CALVARIA_FAILED);
    CHECK_INT(calvaria_model_open(&model, "/absent.h5", NULL, NULL), CALVARIA_FAILED);
    CHECK_INT(calvaria_model_open(&model, PHANTOM_MODEL, wrong_setting, &why), CALVARIA_USAGE);
    CHECK_CONTAINS(why.message, "did you mean 'threshold'");
    CHECK_INT(calvaria_model_open_bytes(&model, "no HDF5", 7, "mine", NULL, &why), CALVARIA_FAILED);
    CHECK_CONTAINS(why.message, "mine: not a readable HDF5 file");
    CHECK_INT(calvaria_model_open_bytes(&model, NULL, 7, NULL, NULL, &why), CALVARIA_FAILED);

    ok(calvaria_model_open(&model, "builtin:mirror", NULL, &why), &why);
    CHECK_INT(calvaria_restore(&result, model, &skull.array, wrong_option, NULL, &why), CALVARIA_USAGE);
    CHECK_CONTAINS(why.message, "did you mean '--clearance-mm'");
    CHECK_INT(calvaria_restore(&result, model, &skull.array, wrong_value, NULL, &why), CALVARIA_USAGE);
    struct calvaria_array bad = skull.array;
    bad.type = 99;
    CHECK_INT(calvaria_restore(&result, model, &bad, NULL, NULL, &why), CALVARIA_USAGE);
    bad = skull.array;
    bad.values = NULL;
    CHECK_INT(calvaria_restore(&result, model, &bad, NULL, NULL, &why), CALVARIA_USAGE);
    bad = skull.array;
    bad.affine[3][3] = 2;
    CHECK_INT(calvaria_restore(&result, model, &bad, NULL, NULL, &why), CALVARIA_USAGE);
    bad = skull.array;
    bad.dims[0] = 0;
    CHECK_INT(calvaria_restore(&result, model, &bad, NULL, NULL, &why), CALVARIA_FAILED);
    memset(skull.values, 0, (size_t)grid_voxels(&skull.volume.grid));
    CHECK_INT(calvaria_restore(&result, model, &skull.array, NULL, NULL, &why), CALVARIA_FAILED);
    CHECK_CONTAINS(why.message, "skull: ");
    CHECK(why.message[strlen(why.message) - 1] != '\n');
    CHECK(result == (struct calvaria_result *)&why);
    calvaria_model_free(model);
    calvaria_model_free(NULL);
    calvaria_result_free(NULL);
    skull_done(&skull);
}

struct failing {
    struct calvaria_model *model;
    const struct calvaria_array *skull;
};

static enum status restore_once(void *context, struct error *error)
{
    const struct failing *failing = context;
    struct calvaria_error why;
    struct calvaria_result *result = NULL;
    const char *const options[] = {"no-report", "no-mesh", NULL}; /* those have loops of their own */
    const int status = calvaria_restore(&result, failing->model, failing->skull, options, NULL, &why);
    calvaria_result_free(result);
    return status ? error_set(error, (enum status)status, "%s", why.message) : STATUS_OK;
}

static enum status open_once(void *context, struct error *error)
{
    struct calvaria_error why;
    struct calvaria_model *model = NULL;
    const int status = calvaria_model_open(&model, context, NULL, &why);
    calvaria_model_free(model);
    return status ? error_set(error, (enum status)status, "%s", why.message) : STATUS_OK;
}

static void test_memory(void)
{
    struct skull skull;
    struct failing failing = {NULL, &skull.array};
    char path[] = "builtin:mirror";
    skull_make(&skull, skull_shell);
    check_allocation_failures(open_once, path, 3);
    if (!calvaria_model_open(&failing.model, path, NULL, NULL))
        check_allocation_failures(restore_once, &failing, 20);
    calvaria_model_free(failing.model);
    skull_done(&skull);
}

/* ---- progress, wishes, silence ---- */

struct seen {
    double last;
    int n_progress, n_checks, stop_at, n_lines;
    bool fell;
    char stages[256];
};

static void seen_progress(void *context, const char *stage, double done_frac)
{
    struct seen *seen = context;
    seen->fell |= done_frac < seen->last;
    seen->last = done_frac;
    seen->n_progress++;
    if (!strstr(seen->stages, stage)) {
        strncat(seen->stages, stage, sizeof seen->stages - strlen(seen->stages) - 1);
        strncat(seen->stages, " ", sizeof seen->stages - strlen(seen->stages) - 1);
    }
}

static int seen_is_cancelled(void *context)
{
    struct seen *seen = context;
    return ++seen->n_checks == seen->stop_at;
}

static void seen_log(void *context, int is_warning, const char *line)
{
    struct seen *seen = context;
    seen->n_lines += is_warning && *line;
}

static void test_watch(void)
{
    struct skull skull;
    struct calvaria_error why;
    struct calvaria_model *model = NULL;
    struct calvaria_result *result = NULL;
    struct seen seen = {.stop_at = 0};
    const struct calvaria_watch watch = {&seen, seen_progress, seen_is_cancelled, seen_log};
    skull_make(&skull, skull_shell);
    ok(calvaria_model_open(&model, PHANTOM_MODEL, NULL, &why), &why);

    /* Everything there is to say goes to the watcher, nothing to the streams. */
    fflush(NULL);
    const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    FILE *file = fopen(check_path("said"), "w");
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    const int watched = calvaria_restore(&result, model, &skull.array, NULL, &watch, &why);
    calvaria_result_free(result);
    result = NULL;
    const int alone = calvaria_restore(&result, model, &skull.array, NULL, NULL, &why);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    fseek(file, 0, SEEK_END);
    CHECK_INT(ftell(file), 0);
    fclose(file);
    ok(watched, &why);
    ok(alone, &why);

    CHECK(!seen.fell);
    CHECK_NEAR(seen.last, 1, 0);
    CHECK_TEXT(seen.stages, "reading restoring surface measuring ");
    CHECK(seen.n_lines > 0); /* a phantom's warnings */
    calvaria_result_free(result);

    /* Stopped at every place where it can be. */
    const int n = seen.n_checks;
    CHECK(n >= 6);
    for (int k = 1; k <= n; k++) {
        seen = (struct seen){.stop_at = k};
        result = NULL;
        CHECK_INT(calvaria_restore(&result, model, &skull.array, NULL, &watch, &why), CALVARIA_STOPPED);
        CHECK_CONTAINS(why.message, "stopped on request");
        CHECK(result == NULL);
    }
    calvaria_model_free(model);
    skull_done(&skull);
}

/* ---- threads ---- */

struct worker {
    struct calvaria_model *model; /* NULL: one of its own */
    const struct calvaria_array *skull;
    uint8_t *implant;
    int status;
};

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct calvaria_model *own = NULL;
    struct calvaria_result *result = NULL;
    const char *const options[] = {"threads=2", NULL};
    worker->status = worker->model ? 0 : calvaria_model_open(&own, PHANTOM_MODEL, NULL, NULL);
    if (!worker->status)
        worker->status =
            calvaria_restore(&result, worker->model ? worker->model : own, worker->skull, options, NULL, NULL);
    if (!worker->status)
        worker->status = calvaria_result_mask(result, CALVARIA_IMPLANT, worker->implant, NULL, NULL);
    calvaria_result_free(result);
    calvaria_model_free(own);
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 4 }; /* two with a model each, two that share one */
    struct skull skull;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct calvaria_model *shared = NULL;
    skull_make(&skull, skull_shell);
    const size_t n = (size_t)grid_voxels(&skull.volume.grid);
    CHECK_INT(calvaria_model_open(&shared, PHANTOM_MODEL, NULL, NULL), CALVARIA_OK);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i < 2 ? NULL : shared, &skull.array, memory_zalloc(n, 1), -1};
        pthread_create(&threads[i], NULL, worker_run, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(workers[i].status, CALVARIA_OK);
        CHECK(memchr(workers[i].implant, 1, n) != NULL);
        CHECK_INT(memcmp(workers[i].implant, workers[0].implant, n), 0);
    }
    for (int i = 0; i < THREADS; i++)
        memory_free(workers[i].implant);
    calvaria_model_free(shared);
    skull_done(&skull);
}

/* ---- the process ---- */

/* A process with an odd rounding mode, a locale of its own, handlers, few threads: all as before, the bits too. */
static void test_process_stays(void)
{
    struct skull skull;
    struct calvaria_model *model = NULL;
    struct calvaria_result *result[2] = {NULL};
    struct sigaction before[32], after;
    const char *const options[] = {"threads=2", NULL};
    skull_make(&skull, skull_shell);
    const size_t n = (size_t)grid_voxels(&skull.volume.grid);
    uint8_t *a = memory_alloc(n, 1), *b = memory_alloc(n, 1);
    CHECK_INT(calvaria_model_open(&model, PHANTOM_MODEL, NULL, NULL), CALVARIA_OK);
    CHECK_INT(calvaria_restore(&result[0], model, &skull.array, NULL, NULL, NULL), CALVARIA_OK);
    calvaria_model_free(model);

    int n_variables = 0, n_after = 0;
    while (environ[n_variables])
        n_variables++;
    for (int i = 1; i < 32; i++)
        sigaction(i, NULL, &before[i]);
    const int threads = parallel_threads();
    parallel_set_threads(3);
    const bool comma = setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "de_DE");
    const struct lconv *conventions = localeconv();
    fesetround(FE_UPWARD);

    CHECK_INT(calvaria_model_open(&model, PHANTOM_MODEL, NULL, NULL), CALVARIA_OK);
    CHECK_INT(calvaria_restore(&result[1], model, &skull.array, options, NULL, NULL), CALVARIA_OK);

    CHECK_INT(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    CHECK_INT(conventions->decimal_point[0], comma ? ',' : '.');
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    setlocale(LC_ALL, "C");
    CHECK_INT(parallel_threads(), 3);
    parallel_set_threads(threads);
    while (environ[n_after])
        n_after++;
    CHECK_INT(n_after, n_variables);
    for (int i = 1; i < 32; i++)
        if (sigaction(i, NULL, &after) == 0)
            CHECK(after.sa_handler == before[i].sa_handler);

    calvaria_result_mask(result[0], CALVARIA_IMPLANT, a, NULL, NULL);
    calvaria_result_mask(result[1], CALVARIA_IMPLANT, b, NULL, NULL);
    CHECK_INT(memcmp(a, b, n), 0);
    CHECK_CONTAINS(calvaria_result_report(result[1], CALVARIA_JSON), "\"volume_ml\":\t");
    memory_free(a);
    memory_free(b);
    calvaria_result_free(result[0]);
    calvaria_result_free(result[1]);
    calvaria_model_free(model);
    skull_done(&skull);
}

/* ---- the layout of what crosses the border ---- */

/* Programs compiled before rely on it: a change here raises CALVARIA_SOVERSION. */
static void test_layout(void)
{
    CHECK_INT(sizeof(struct calvaria_error), 4096);
    CHECK_INT(offsetof(struct calvaria_error, message), 4);
    CHECK_INT(sizeof(struct calvaria_array), 192);
    CHECK_INT(offsetof(struct calvaria_array, type), 8);
    CHECK_INT(offsetof(struct calvaria_array, dims), 16);
    CHECK_INT(offsetof(struct calvaria_array, strides), 40);
    CHECK_INT(offsetof(struct calvaria_array, affine), 64);
    CHECK_INT(sizeof(struct calvaria_watch), 32);
    CHECK_INT(offsetof(struct calvaria_watch, progress), 8);
    CHECK_INT(offsetof(struct calvaria_watch, is_cancelled), 16);
    CHECK_INT(offsetof(struct calvaria_watch, log), 24);
    CHECK_INT(sizeof(struct calvaria_mesh), 40);
    CHECK_INT(offsetof(struct calvaria_mesh, interval_mm), 32);
    CHECK_INT(CALVARIA_FLOAT64, 9);
    CHECK_INT(CALVARIA_RAW, 3);
    CHECK_INT(CALVARIA_STOPPED, 3);
    CHECK_INT(CALVARIA_HTML, 1);
}

/* ---- the field ---- */

/* Positive where the implant is, negative beside it, and of the size of a distance. */
static void test_field(void)
{
    struct skull skull;
    struct calvaria_error why;
    struct calvaria_model *model = NULL;
    struct calvaria_result *result = NULL;
    skull_make(&skull, skull_shell);
    const int64_t n = grid_voxels(&skull.volume.grid);
    uint8_t *implant = memory_alloc((size_t)n, 1);
    float *field = memory_alloc((size_t)n, sizeof *field);
    ok(calvaria_model_open(&model, "builtin:mirror", NULL, &why), &why);
    if (ok(calvaria_restore(&result, model, &skull.array, NULL, NULL, &why), &why) &&
        ok(calvaria_result_mask(result, CALVARIA_IMPLANT, implant, NULL, &why), &why) &&
        ok(calvaria_result_field(result, field, NULL, &why), &why)) {
        int64_t wrong = 0, near = 0;
        for (int64_t i = 0; i < n; i++) {
            wrong += implant[i] ? !(field[i] >= 1) : field[i] > -1; /* NaN where it is not implant: fine */
            near += fabsf(field[i]) < 1.1F;
        }
        CHECK_INT(wrong, 0);
        CHECK(near > 100);
    }
    calvaria_result_free(result);
    calvaria_model_free(model);
    memory_free(implant);
    memory_free(field);
    skull_done(&skull);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"same_bits_mirror", test_same_bits_mirror},
                                       {"same_bits_network", test_same_bits_network},
                                       {"same_bits_shape", test_same_bits_shape},
                                       {"shape", test_shape},
                                       {"bytes", test_bytes},
                                       {"errors", test_errors},
                                       {"memory", test_memory},
                                       {"watch", test_watch},
                                       {"threads", test_threads},
                                       {"process_stays", test_process_stays},
                                       {"layout", test_layout},
                                       {"field", test_field},
                                       {0}};
    return check_main(argc, argv, tests);
}
