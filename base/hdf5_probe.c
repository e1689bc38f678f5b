/* hdf5_probe.c - A first look at an HDF5 file in a process of its own; see hdf5_probe.h.
 * Test: tests/base/test_hdf5_probe.c */
#define _GNU_SOURCE /* pipe2 */
#include "base/hdf5_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

/* --- in the child --- */

enum { MAX_DEPTH = 32 }; /* of groups: those of a circle have no end */

/* Numbers and strings of fixed length: what the project reads. */
static bool hdf5_probe_is_plain(hid_t type)
{
    const H5T_class_t class = H5Tget_class(type);
    return class == H5T_INTEGER || class == H5T_FLOAT || (class == H5T_STRING && H5Tis_variable_str(type) == 0);
}

/* Room for n values of a type out of the bytes left, or NULL where that is too much, or nothing. */
static void *hdf5_probe_room(hssize_t n, hid_t type, size_t *left)
{
    const size_t size = H5Tget_size(type);
    const bool fits = n > 0 && size > 0 && (size_t)n <= *left / size;
    if (!fits)
        return NULL;
    *left -= (size_t)n * size;
    return memory_alloc((size_t)n, size);
}

static herr_t hdf5_probe_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    void *values =
        hdf5_probe_is_plain(type) ? hdf5_probe_room(H5Sget_simple_extent_npoints(space), type, context) : NULL;
    (void)info;

    if (values)
        H5Aread(attribute, type, values);
    memory_free(values);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

static void hdf5_probe_dataset(hid_t dataset, size_t *left)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset), create = H5Dget_create_plist(dataset);
    const bool here = H5Pget_external_count(create) == 0 && H5Pget_layout(create) != H5D_VIRTUAL;
    void *values =
        here && hdf5_probe_is_plain(type) ? hdf5_probe_room(H5Sget_simple_extent_npoints(space), type, left) : NULL;

    H5Dget_storage_size(dataset); /* walks the index of chunks */
    if (values)
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    memory_free(values);
    H5Pclose(create);
    H5Sclose(space);
    H5Tclose(type);
}

static void hdf5_probe_group(hid_t group, size_t *left, int depth);

static void hdf5_probe_object(hid_t group, const char *name, size_t *left, int depth)
{
    H5L_info_t link;
    if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
        return;
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0)
        return;

    if (H5Iget_type(object) == H5I_DATASET)
        hdf5_probe_dataset(object, left);
    if (H5Iget_type(object) == H5I_GROUP && depth < MAX_DEPTH)
        hdf5_probe_group(object, left, depth + 1);
    H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, hdf5_probe_attribute, left);
    H5Oclose(object);
}

/* Names one by one, as hdf5_list reads them. H5Lvisit would end at the first object that cannot be read, and leave out
 * those behind it. */
static void hdf5_probe_group(hid_t group, size_t *left, int depth)
{
    H5G_info_t info;
    for (hsize_t i = 0; H5Gget_info(group, &info) >= 0 && i < info.nlinks; i++) {
        const ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
        char *name = length < 0 ? NULL : memory_alloc((size_t)length + 1, 1);
        const bool read = name && H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name,
                                                     (size_t)length + 1, H5P_DEFAULT) >= 0;
        if (read)
            hdf5_probe_object(group, name, left, depth);
        memory_free(name);
        if (!read)
            return;
    }
}

/* Errors of the library are no finding: this process meets the same ones later and reports them. */
static void hdf5_probe_child(hdf5_probe_open open, const void *context, size_t bytes)
{
    const rlim_t seconds = 10 + (rlim_t)bytes / 20000000; /* whole files take well under a second for each 100 MB */

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);

    /* What the library frees without having set it shows here as well: no memory is recycled, none is zero. */
    H5set_free_list_limits(0, 0, 0, 0, 0, 0);
    mallopt(M_PERTURB, 0xa5);

    const hid_t file = open(context);
    size_t left = HDF5_PROBE_MAX_BYTES;
    if (file >= 0) {
        H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, hdf5_probe_attribute, &left);
        hdf5_probe_group(file, &left, 0);
        H5Fclose(file);
    }
}

/* --- in this process --- */

static const char *hdf5_probe_verdict(int how)
{
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return NULL;
    const bool slow = WIFSIGNALED(how) && (WTERMSIG(how) == SIGXCPU || WTERMSIG(how) == SIGKILL);
    return slow ? "reading it takes too long: it is damaged, or made to do harm"
                : "it crashes the HDF5 library: it is damaged, or made to do harm";
}

/* A host of the library may ignore SIGCHLD or wait for any child: then nobody says how this one ended, but it has
 * ended, and what it wrote last says whether it came through. */
static const char *hdf5_probe_wait(pid_t child, int verdict)
{
    int how = 0;
    char came_through;
    while (waitpid(child, &how, 0) < 0)
        if (errno != EINTR)
            return read(verdict, &came_through, 1) == 1
                       ? NULL
                       : "the process that looked at it first is lost: the file is damaged, or made to do harm";
    return hdf5_probe_verdict(how);
}

const char *hdf5_probe(hdf5_probe_open open, const void *context, size_t bytes)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return "no pipe to the process that looks at it first (too many open files?)";
    const pid_t child = fork();

    if (child == 0) {
        hdf5_probe_child(open, context, bytes);
        _Exit(write(ends[1], "", 1) == 1 ? 0 : 1);
    }
    const char *why =
        child < 0 ? "no process to look at it first (too many of them, or no memory)" : hdf5_probe_wait(child, ends[0]);
    close(ends[0]);
    close(ends[1]);
    return why;
}
