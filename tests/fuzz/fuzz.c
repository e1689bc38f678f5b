/* fuzz.c - one reader on one made-up file; compiled once for each reader, with FUZZ_READER as its name.
 *
 *     cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_nifti          (Clang; ASan and UBSan)
 *     build/fuzz/tests/fuzz/fuzz_nifti -max_total_time=3600 NEW tests/fuzz/corpus/nifti
 *     tests/fuzz/hdf5.sh build/fuzz/tests/fuzz/fuzz_model 3600 NEW tests/fuzz/corpus/model         (what reads HDF5)
 *
 * Elsewhere main replays the files named on the command line: ctest does so with the corpus. A file that crashed a
 * reader goes there and stays. A reader may refuse a file; it must not crash, hang, leak, or read outside its buffers;
 * and what it accepts is written and read once more, unchanged (readers.h). One file of a corpus is accepted at least.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "tests/fuzz/hdf5_here.h"
#include "tests/fuzz/hdf5_repair.h"
#include "tests/fuzz/readers.h"
#include "tests/hdf5_leaks.h"

static const struct fuzz_reader *fuzz_reader(void)
{
    const struct fuzz_reader *reader = fuzz_readers;
    while (reader->name && strcmp(reader->name, FUZZ_READER) != 0)
        reader++;
    if (!reader->name)
        abort();
    return reader;
}

/* In memory where the system has such a folder: what is written once more is synced, which takes a disk milliseconds.
 */
static const char *fuzz_folder(void)
{
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static bool fuzz_one(const uint8_t *data, size_t n)
{
    char path[64];
    const struct fuzz_reader *reader = fuzz_reader();
    snprintf(path, sizeof path, "%s/calvaria_fuzz_%ld%s", fuzz_folder(), (long)getpid(), reader->suffix);
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    const bool written = n == 0 || fwrite(data, n, 1, file) == 1;
    fclose(file);
    const bool accepted = written && reader->read(path);
    unlink(path);
    return accepted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_one(data, n);
    return 0;
}

#ifdef FUZZ_LIBFUZZER
static bool fuzz_makes_hdf5(void)
{
    return strcmp(fuzz_reader()->suffix, ".h5") == 0;
}

/* A file named on the command line is read as a command reads it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    bool here = fuzz_makes_hdf5();
    for (int i = 1; i < *argc; i++)
        here = here && ((*argv)[i][0] == '-' || file_is_folder((*argv)[i]));
    hdf5_read_here(here);
    parallel_set_threads(1); /* others would look for work longer than a small file takes */
    return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

/* HDF5 refuses a wrong checksum before it reads further: they are made right after each mutation. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    (void)seed;
    n = LLVMFuzzerMutate(data, n, max);
    if (fuzz_makes_hdf5())
        hdf5_repair(data, n);
    return n;
}
#else
int main(int argc, char **argv)
{
    int n_accepted = 0;
    for (int i = 1; i < argc; i++) {
        struct error error = {0};
        char *data;
        size_t n;
        if (file_read(&data, &n, argv[i], (size_t)1 << 24, &error)) {
            error_print(stderr, &error);
            return 1;
        }
        n_accepted += fuzz_one((const uint8_t *)data, n);
        memory_free(data);
    }
    /* A corpus whose every file is refused tests little. */
    printf("    %d of %d files accepted\n", n_accepted, argc - 1);
    printf("%d passed, %d failed, 0 skipped\n", argc - 1, n_accepted == 0);
    return n_accepted > 0 ? 0 : 1;
}
#endif
