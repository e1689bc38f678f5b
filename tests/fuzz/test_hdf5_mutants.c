/* test_hdf5_mutants.c - damaged HDF5 files whose checksums are right, against all that reads HDF5: models, shape
 * models, datasets and Keras files. Each ends with a result or an error; nothing crashes, nothing runs on.
 *
 *     test_hdf5_mutants COUNT [SEED]      COUNT mutants of each seed file; those of one SEED are always the same
 *
 * Each mutant is read in a process of its own, as a command would. The library may crash in its child (hdf5_probe.h);
 * a crash of the reading process itself fails the test, and the file is kept: it belongs into tests/fuzz/corpus. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "data/dataset/dataset.h"
#include "infer/exchange/keras.h"
#include "infer/restore.h"
#include "shape/model.h"
#include "tests/check.h"
#include "tests/fuzz/hdf5_repair.h"

enum { SECONDS = 60, MAX_FILE = 1 << 20, STRUCTURE = 4096 };

static int64_t count = 100;
static uint64_t seed = 1;

/* ---- readers: what the commands do ---- */

/* info, infer, export, serve, train --init: reading; a restorer; and passing on what was read. */
static enum status read_model(const char *path, struct error *error)
{
    struct model model = {0};
    struct restorer *restorer = NULL;
    enum status status = model_read(&model, path, true, error);
    if (!status)
        status = model_write(check_path("again.h5"), &model, error);
    model_done(&model);
    if (!status)
        status = restorer_open(&restorer, path, NULL, error);
    restorer_free(restorer);
    return status;
}

static enum status read_shape(const char *path, struct error *error)
{
    struct shape_model model = {0};
    if (!shape_model_is(path))
        return error_set(error, STATUS_FAILED, "%s: no shape model", path);
    enum status status = shape_model_read(&model, path, error);
    if (!status)
        status = shape_model_write(check_path("again.h5"), &model, error);
    shape_model_done(&model);
    return status;
}

/* check, unpack, train: every case and its implants. */
static enum status read_dataset(const char *path, struct error *error)
{
    struct check_report report = {0};
    struct dataset *set = NULL;
    enum status status = dataset_check(path, &report, error);
    if (!status)
        status = dataset_open(&set, path, error);
    for (int64_t i = 0; !status && i < dataset_n_cases(set); i++) {
        struct volume skull = {0};
        status = dataset_read_skull(&skull, set, i, error);
        volume_done(&skull);
    }
    dataset_close(set);
    return status;
}

static enum status read_keras(const char *path, struct error *error)
{
    struct model model = {0};
    const enum status status = keras_import(&model, path, &(struct keras_options){0}, error);
    model_done(&model);
    return status;
}

/* ---- mutants ---- */

static uint64_t below(struct rng *rng, uint64_t n)
{
    return n ? rng_u32(rng) % n : 0;
}

/* One to three damages, four of five of them in the structure; then the checksums. */
static void mutate(uint8_t *data, size_t n, struct rng *rng)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff};
    for (uint64_t k = 1 + below(rng, 3); k > 0; k--) {
        const size_t at = (size_t)below(rng, below(rng, 5) && n > STRUCTURE ? STRUCTURE : n);
        const size_t length = 1 + (size_t)below(rng, n - at < 8 ? n - at : 8);
        switch (below(rng, 5)) {
        case 0:
            data[at] ^= (uint8_t)(1u << below(rng, 8));
            break;
        case 1:
            data[at] = odd[below(rng, sizeof odd)];
            break;
        case 2:
            memset(data + at, odd[below(rng, sizeof odd)], length);
            break;
        case 3:
            data[at] = (uint8_t)(data[at] + 1 - 2 * below(rng, 2));
            break;
        default:
            memmove(data + at, data + below(rng, n - length), length);
        }
    }
    hdf5_repair(data, n);
}

/* Reads the file in a child; 0, or how it died: 128 + signal. *ret_accepted counts results. */
static int run_reader(enum status (*read)(const char *, struct error *), const char *path, int64_t *accepted)
{
    int how = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        alarm(20 * SECONDS); /* of waiting; a busy machine is no fault */
        setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
#if !defined(__SANITIZE_ADDRESS__)
        setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)4 << 30, (rlim_t)4 << 30});
#endif
        const enum status status = read(path, &error);
        _Exit(status == STATUS_OK ? 0 : error.length > 8 ? 1 : 2);
    }
    if (child < 0 || waitpid(child, &how, 0) != child)
        abort();
    *accepted += WIFEXITED(how) && WEXITSTATUS(how) == 0;
    return WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how) > 1;
}

static void test_seed(const char *path, enum status (*read)(const char *, struct error *), int checksums)
{
    struct error error = {0};
    char *data, *mutant = memory_alloc(MAX_FILE, 1);
    size_t n;
    int64_t accepted = 0, crashed = 0;
    const char *place = check_path("mutant.h5");
    if (!CHECK_OK(file_read(&data, &n, path, MAX_FILE, &error), &error))
        return;

    /* A file that is whole stays as it is: our checksums are those of HDF5. Sets and Keras files have none. */
    memcpy(mutant, data, n);
    CHECK(hdf5_repair((uint8_t *)mutant, n) >= checksums);
    CHECK(memcmp(mutant, data, n) == 0);

    for (int64_t i = 0; i < count; i++) {
        struct rng rng = rng_make(seed, (uint64_t)i + 1);
        memcpy(mutant, data, n);
        mutate((uint8_t *)mutant, n, &rng);
        FILE *file = fopen(place, "wb"); /* not file_write: thousands of fsyncs would be all that this does */
        if (!file || fwrite(mutant, 1, n, file) != n || fclose(file) != 0)
            abort();
        const int how = run_reader(read, place, &accepted);
        if (CHECK_INT(how, 0))
            continue;
        char kept[64];
        snprintf(kept, sizeof kept, "crash_%" PRIu64 "_%" PRId64 ".h5", seed, i);
        CHECK(rename(place, check_path(kept)) == 0);
        fprintf(stderr, "%s: mutant %" PRId64 " of seed %" PRIu64 ": kept as %s\n", path, i, seed, check_path(kept));
        crashed++;
    }
    printf("    %-34s %" PRId64 " mutants, %" PRId64 " accepted, %" PRId64 " crashes\n", path, count, accepted,
           crashed);
    memory_free(mutant);
    memory_free(data);
}

static void test_model(void)
{
    test_seed("tests/fuzz/corpus/model/best.h5", read_model, 5);
}

static void test_shape(void)
{
    test_seed("tests/fuzz/corpus/shape/heads.h5", read_shape, 5);
}

static void test_dataset(void)
{
    test_seed("tests/fuzz/corpus/dataset/set.h5", read_dataset, 0);
}

static void test_keras(void)
{
    test_seed("tests/infer/keras/k3_tail.h5", read_keras, 0);
    test_seed("tests/infer/keras/k2_tail.h5", read_keras, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"model", test_model}, {"shape", test_shape}, {"dataset", test_dataset}, {"keras", test_keras}, {0}};
    if (argc > 1)
        count = strtoll(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return check_main(argc > 3 ? argc - 2 : 1, argv + (argc > 3 ? 2 : 0), tests);
}
