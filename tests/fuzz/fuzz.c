/* fuzz.c - one reader on one made-up file; compiled once for each reader, with FUZZ_READER as its name.
 *
 *     cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_nifti          (Clang; ASan and UBSan)
 *     build/fuzz/tests/fuzz/fuzz_nifti -max_total_time=3600 NEW tests/fuzz/corpus/nifti
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

static bool fuzz_one(const uint8_t *data, size_t n)
{
    char path[64];
    const struct fuzz_reader *reader = fuzz_reader();
    snprintf(path, sizeof path, "/tmp/calvaria_fuzz_%ld%s", (long)getpid(), reader->suffix);
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
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

/* HDF5 refuses a wrong checksum before it reads further: they are made right after each mutation. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    (void)seed;
    n = LLVMFuzzerMutate(data, n, max);
    if (strcmp(fuzz_reader()->suffix, ".h5") == 0)
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
