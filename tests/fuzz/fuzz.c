/* fuzz.c - one reader on one made-up file; compiled once for each reader, with FUZZ_READER as its name.
 *
 *     cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_nifti          (Clang; ASan and UBSan)
 *     build/fuzz/tests/fuzz/fuzz_nifti -max_total_time=3600 NEW tests/fuzz/corpus/nifti
 *
 * Elsewhere main replays the files named on the command line: ctest does so with the corpus. A file that crashed a
 * reader goes there and stays. A reader may refuse a file; it must not crash, hang, leak, or read outside its buffers.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/yaml.h"
#include "data/dataset/dataset.h"
#include "data/volume/formats.h"
#include "data/volume/volume.h"
#include "infer/exchange/keras.h"
#include "infer/exchange/keras_config.h"
#include "nn/model/model_file.h"
#include "shape/model.h"
#include "tests/fuzz/hdf5_repair.h"

enum reader { nifti, nrrd, yaml, model, dataset, shape, keras, json };
static const char *const fuzz_suffixes[] = {".nii", ".nrrd", ".yaml", ".h5", ".h5", ".h5", ".h5", ".json"};

/* An architecture as Keras stores it. */
static void fuzz_read_json(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct keras_network network;
    char *text;
    size_t n;
    if (file_read(&text, &n, path, (size_t)1 << 24, &error))
        return;
    (void)keras_network_derive(&network, text, "2.2.4", (const int64_t[3]){16, 16, 16}, path, &arena, &error);
    memory_free(text);
    arena_done(&arena);
}

static void fuzz_read(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct volume volume = {0};
    struct yaml_node *root;
    struct model read = {0};
    struct shape_model heads;
    struct dataset *set;

    switch ((enum reader)FUZZ_READER) {
    case nifti:
    case nrrd:
        if (!volume_read_mask(&volume, path, &error))
            volume_done(&volume);
        break;
    case yaml:
        (void)yaml_read_file(&root, path, &arena, &error);
        break;
    case model:
        if (!model_read(&read, path, true, &error))
            model_done(&read);
        break;
    case dataset:
        if (!dataset_open(&set, path, &error)) {
            for (int64_t i = 0; i < dataset_n_cases(set); i++)
                if (!dataset_read_skull(&volume, set, i, &error))
                    volume_done(&volume);
            dataset_close(set);
        }
        break;
    case shape:
        if (!shape_model_read(&heads, path, &error))
            shape_model_done(&heads);
        break;
    case keras:
        if (!keras_import(&read, path, &(struct keras_options){0}, &error))
            model_done(&read);
        break;
    case json:
        fuzz_read_json(path);
        break;
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/calvaria_fuzz_%ld%s", (long)getpid(), fuzz_suffixes[FUZZ_READER]);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 0;
    const int written = n == 0 || fwrite(data, n, 1, file) == 1;
    fclose(file);
    if (written)
        fuzz_read(path);
    unlink(path);
    return 0;
}

#ifdef FUZZ_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

/* HDF5 refuses a wrong checksum before it reads further: they are made right after each mutation. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    (void)seed;
    n = LLVMFuzzerMutate(data, n, max);
    if (strcmp(fuzz_suffixes[FUZZ_READER], ".h5") == 0)
        hdf5_repair(data, n);
    return n;
}
#else
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct error error = {0};
        char *data;
        size_t n;
        if (file_read(&data, &n, argv[i], (size_t)1 << 24, &error)) {
            error_print(stderr, &error);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, n);
        memory_free(data);
    }
    printf("%d passed, 0 failed, 0 skipped\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
#endif

/* HDF5 does not free all when it gives up a damaged file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}
