/* test_hdf5_probe.c - files that crash the HDF5 library end a child process, not this one. */
#include "base/hdf5_probe.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"

static hid_t open_path(const void *path)
{
    return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
}

static hid_t open_dies(const void *number)
{
    raise(*(const int *)number);
    return -1;
}

/* A file with a group, a dataset and attributes of every kind that the project writes. */
static const char *probe_file(void)
{
    const char *path = check_path("good.h5");
    struct error error = {0};
    const int64_t dim = 3, number = 7;
    const float floats[] = {1, 2, 3};
    const struct hdf5_array array = {.name = "values", .n_dims = 1, .dim = &dim, .floats = floats};
    hdf5_lock();
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), group = hdf5_make_group(file, "group");
    CHECK_OK(hdf5_put_array(group, &array, path, &error), &error);
    CHECK_OK(hdf5_put_text(group, "text", "a text", path, &error), &error);
    CHECK_OK(hdf5_put_numbers(group, "number", H5T_NATIVE_INT64, 0, NULL, &number, path, &error), &error);
    H5Gclose(group);
    H5Fclose(file);
    hdf5_unlock();
    return path;
}

static void test_finds(void)
{
    const char *path = probe_file();
    const int crash = SIGSEGV, slow = SIGXCPU;
    hdf5_lock();
    CHECK(hdf5_probe(open_path, path, 1000) == NULL);
    CHECK(hdf5_probe(open_path, "no such file", 0) == NULL); /* an error of the library is no finding */
    CHECK_CONTAINS(hdf5_probe(open_dies, &crash, 0), "crashes the HDF5 library");
    CHECK_CONTAINS(hdf5_probe(open_dies, &slow, 0), "takes too long");
    hdf5_unlock();
}

/* The reason is that of the call that failed, whatever was closed since. */
static void test_reason(void)
{
    struct error error = {0};
    hdf5_lock();
    const hid_t create = H5Pcreate(H5P_FILE_CREATE);
    CHECK(H5Fcreate("/nowhere/at/all.h5", H5F_ACC_TRUNC, create, H5P_DEFAULT) < 0);
    H5Pclose(create);
    hdf5_error(&error, "all.h5", "cannot be created");
    hdf5_unlock();
    CHECK_CONTAINS(error.text, "all.h5: cannot be created: unable to open file: No such file or directory");

    error = (struct error){0};
    hdf5_lock(); /* nothing failed since */
    hdf5_error(&error, "all.h5", "cannot be created");
    hdf5_unlock();
    CHECK_CONTAINS(error.text, "HDF5 gives no reason");
}

static void test_opens(void)
{
    const char *path = probe_file(), *pipe = check_path("pipe.h5");
    hdf5_lock();
    for (int i = 0; i < 2; i++) { /* the second time without a child */
        const hid_t file = hdf5_open_file(path);
        CHECK(file >= 0 && H5Fclose(file) >= 0);
    }
    CHECK_INT(mkfifo(pipe, 0600), 0);
    CHECK(hdf5_open_file(pipe) < 0); /* refused, not waited for */
    hdf5_unlock();
}

/* A host of the library that waits for no child, or for all of them itself. */
static void test_ignored_children(void)
{
    const char *path = probe_file();
    const int crash = SIGSEGV;
    signal(SIGCHLD, SIG_IGN);
    hdf5_lock();
    CHECK(hdf5_probe(open_path, path, 1000) == NULL);
    CHECK_CONTAINS(hdf5_probe(open_dies, &crash, 0), "is lost: the file is damaged");
    hdf5_unlock();
    signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"finds", test_finds},
                                       {"reason", test_reason},
                                       {"opens", test_opens},
                                       {"ignored_children", test_ignored_children},
                                       {0}};
    return check_main(argc, argv, tests);
}
