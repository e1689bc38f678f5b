/* hdf5_leaks.h - for the main file of a test whose HDF5 files are damaged or whose writes fail. HDF5 keeps memory when
 * it gives up a file, and asks for sizes that a damaged file states. The sanitizers read here that neither is a fault.
 * Their library must see the functions: the build hides what is not marked. */
#ifndef CALVARIA_TESTS_HDF5_LEAKS_H
#define CALVARIA_TESTS_HDF5_LEAKS_H

#if defined(__GNUC__)
#define HDF5_LEAKS_VISIBLE __attribute__((visibility("default")))
#else
#define HDF5_LEAKS_VISIBLE
#endif

HDF5_LEAKS_VISIBLE const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

HDF5_LEAKS_VISIBLE const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

#endif
