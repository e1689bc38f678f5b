/* readers.h - every reader of what comes from outside, each as a function of a file. Private to tests/fuzz/. */
#ifndef CALVARIA_TESTS_FUZZ_READERS_H
#define CALVARIA_TESTS_FUZZ_READERS_H

#include <stdbool.h>

/* Whether the file was accepted. Where there is a writer, what was accepted is written and read once more; the program
 * aborts where it is not the same. */
struct fuzz_reader {
    const char *name, *suffix;
    bool (*read)(const char *path);
};
extern const struct fuzz_reader fuzz_readers[]; /* ends with a name of NULL */

#endif
