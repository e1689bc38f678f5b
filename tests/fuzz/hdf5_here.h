/* hdf5_here.h - fuzzers read HDF5 files in their own process. Commands read them in another one first, which takes ten
 * times longer than all the rest. What crashes the library crashes the fuzzer then: hdf5.sh starts it again, and reads
 * the file as a command does. */
#ifndef CALVARIA_TESTS_FUZZ_HDF5_HERE_H
#define CALVARIA_TESTS_FUZZ_HDF5_HERE_H

#include <stdbool.h>

/* From now on. The linker puts this file's functions in place of hdf5_probe and keras_file_read. */
void hdf5_read_here(bool here);

#endif
