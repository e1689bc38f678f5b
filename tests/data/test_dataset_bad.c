/* Datasets that are not what they should be: each ends with one clear error, before anything of a claimed size is
 * allocated. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <hdf5.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/dataset/dataset.h"
#include "skulls.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"

static const int64_t dim[3] = {70, 66, 65};
static const double mm[3] = {2, 2, 2};

/* A good dataset of two cases with an implant each. */
static const char *good_set(void)
{
    struct error error = {0};
    const struct pack_config config = {.split_frac = {1, 0, 0}};
    const char *path = check_path("good.h5");
    const int64_t lo[3] = {20, 20, 40}, hi[3] = {50, 45, 65};

    if (file_exists(path))
        return path;

    for (int kind = 0; kind < 2; kind++) {
        struct volume skull, implant;
        skull_make(&skull, dim, mm, kind);
        implant_make(&implant, &skull, lo, hi);
        volume_put("good", kind ? "b_complete.nrrd" : "a_complete.nrrd", &skull);
        volume_put("good", kind ? "b_implant.nrrd" : "a_implant.nrrd", &implant);
        volume_done(&skull);
        volume_done(&implant);
    }

    CHECK_OK(dataset_pack(check_path("good"), path, &config, &error), &error);
    return path;
}

/* A copy of the good dataset to spoil. */
static const char *copy_set(void)
{
    struct error error = {0};
    char *data;
    size_t bytes;
    const char *path = check_path("spoiled.h5");
    CHECK_OK(file_read(&data, &bytes, good_set(), 1 << 24, &error), &error);
    CHECK_OK(file_write(path, data, bytes, &error), &error);
    memory_free(data);
    return path;
}

static void refuse(const char *path, const char *message)
{
    struct error error = {0};
    struct dataset *set = NULL;
    CHECK_FAILS(dataset_open(&set, path, &error), &error, STATUS_FAILED, message);
    CHECK_CONTAINS(error.text, path);
    CHECK(set == NULL);
}

static void test_foreign(void)
{
    refuse(check_path("absent.h5"), "no such file");
    refuse(check_folder(), "a folder");
    text_put(check_path("text.h5"), "this is no HDF5 file\n");
    refuse(check_path("text.h5"), "no readable HDF5 file");
    text_put(check_path("empty.h5"), "");
    refuse(check_path("empty.h5"), "no readable HDF5 file");
    const hid_t file = H5Fcreate(check_path("foreign.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refuse(check_path("foreign.h5"), "no dataset of calvaria");
}

/* Every truncation is an error when opening or when reading, never a crash or a silent zero. */
static void test_truncated(void)
{
    struct error error = {0};
    char *data;
    size_t bytes;
    CHECK_OK(file_read(&data, &bytes, good_set(), 1 << 24, &error), &error);
    for (size_t part = 1; part < 24; part++) {
        struct dataset *set = NULL;
        const char *path = check_path("truncated.h5");
        error = (struct error){0};
        CHECK_OK(file_write(path, data, bytes * part / 24, &error), &error);
        CHECK(dataset_open(&set, path, &error) == STATUS_FAILED);
        dataset_close(set);
    }
    memory_free(data);
}

/* Flipped bytes: reading either fails with an error or gives masks; nothing else. Damage of compressed voxels is found.
 */
static void test_corrupt(void)
{
    struct error error = {0};
    char *data;
    size_t bytes;
    int failures = 0;

    CHECK_OK(file_read(&data, &bytes, good_set(), 1 << 24, &error), &error);

    for (int round = 0; round < 60; round++) {
        struct dataset *set = NULL;
        struct volume skull;
        const char *path = check_path("corrupt.h5");
        char *copy = memory_alloc(bytes, 1);
        memcpy(copy, data, bytes);
        for (size_t k = 0; k < 40; k++)
            copy[((size_t)round * 7919 + k * 104729 + k * k) % bytes] ^= (char)(1 << (k % 8));
        CHECK_OK(file_write(path, copy, bytes, &error), &error);
        memory_free(copy);
        error = (struct error){0};
        bool failed = dataset_open(&set, path, &error) != STATUS_OK;
        for (int64_t i = 0; !failed && i < dataset_n_cases(set); i++) {
            failed = dataset_read_skull(&skull, set, i, &error) != STATUS_OK;
            if (!failed)
                volume_done(&skull);
        }
        CHECK(!failed || error.length > 0);
        failures += failed;
        dataset_close(set);
    }

    CHECK(failures > 30);
    memory_free(data);
}

/* ---- well-formed HDF5 with senseless content ---- */

static hid_t open_edit(const char *path, const char *object, hid_t *ret_object)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    *ret_object = H5Oopen(file, object, H5P_DEFAULT);
    CHECK(file >= 0 && *ret_object >= 0);
    return file;
}

static void set_numbers(const char *object, const char *name, hid_t type, hsize_t n, const void *values,
                        const char *message)
{
    const char *path = copy_set();
    hid_t target, file = open_edit(path, object, &target);
    H5Adelete(target, name);
    const hid_t space = H5Screate_simple(1, &n, NULL),
                attribute = H5Acreate2(target, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, type, values) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Oclose(target);
    H5Fclose(file);
    refuse(path, message);
}

static void set_text(const char *object, const char *name, const char *text, const char *message)
{
    const char *path = copy_set();
    hid_t target, file = open_edit(path, object, &target);
    H5Adelete(target, name);
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    const hid_t attribute = H5Acreate2(target, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(target);
    H5Fclose(file);
    refuse(path, message);
}

static void test_attributes(void)
{
    const int64_t two = 2, out_of_it[6] = {0, 0, 0, 10, 10, 66}, inverted[6] = {5, 5, 5, 5, 9, 9}, axes[3] = {0, 1, 1};
    const double flat[9] = {1, 0, 0, 2, 0, 0, 0, 0, 1}, nan_origin[3] = {0, NAN, 0};
    set_numbers("/", "format_version", H5T_NATIVE_INT64, 1, &two, "format version 2");
    set_text("/", "format", "calvaria-model", "'calvaria-model'");
    set_text("/cases/a/complete", "split", "training", "split 'training'");
    set_text("/cases/a/complete", "format", ".dcm", "original file's layout");
    set_numbers("/cases/a/complete", "box", H5T_NATIVE_INT64, 6, out_of_it, "leaves the volume");
    set_numbers("/cases/b/implants/d00", "box", H5T_NATIVE_INT64, 6, inverted, "leaves the volume");
    set_numbers("/cases/a/complete", "box", H5T_NATIVE_INT64, 3, out_of_it, "another shape");
    set_numbers("/cases/a/complete", "origin", H5T_NATIVE_INT64, 3, axes, "another type");
    set_numbers("/cases/a/complete", "axis", H5T_NATIVE_DOUBLE, 9, flat, "singular");
    set_numbers("/cases/a/complete", "origin", H5T_NATIVE_DOUBLE, 3, nan_origin, "not finite");
    set_numbers("/cases/a/complete", "storage_axis", H5T_NATIVE_INT64, 3, axes, "original file's layout");
}

/* Replaces a mask by one of another size, type or layout; its attributes are gone too, but the size is looked at first.
 */
static void set_mask(const char *name, hid_t type, int rank, const hsize_t *size, const hsize_t *chunk,
                     const char *message)
{
    const char *path = copy_set();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Ldelete(file, name, H5P_DEFAULT);
    if (chunk)
        H5Pset_chunk(properties, rank, chunk);
    const hid_t space = H5Screate_simple(rank, size, NULL),
                mask = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    CHECK(mask >= 0);
    H5Dclose(mask);
    H5Sclose(space);
    H5Pclose(properties);
    H5Fclose(file);
    refuse(path, message);
}

static void test_masks(void)
{
    const hsize_t huge[3] = {1ULL << 40, 1ULL << 10, 4}, many[3] = {16000, 16000, 16000}, small[3] = {8, 8, 8},
                  chunk[3] = {4, 4, 4}, wide[3] = {1024, 1024, 4}, nothing[3] = {0, 8, 8};
    const char *skull = "/cases/a/complete", *implant = "/cases/a/implants/d00";

    set_mask(skull, H5T_STD_U8LE, 3, huge, chunk, "size is out of range");
    set_mask(skull, H5T_STD_U8LE, 3, many, chunk, "too many voxels");
    set_mask(skull, H5T_STD_U8LE, 3, nothing, chunk, "size is out of range");
    set_mask(skull, H5T_STD_U8LE, 2, small, chunk, "not 3D");
    set_mask(skull, H5T_STD_U8LE, 3, many, wide, "chunks are too large");
    set_mask(skull, H5T_STD_U8LE, 3, small, NULL, "not stored in chunks");
    set_mask(skull, H5T_STD_I8LE, 3, small, chunk, "no 8-bit masks");
    set_mask(skull, H5T_IEEE_F32LE, 3, small, chunk, "no 8-bit masks");
    set_mask(implant, H5T_STD_U8LE, 3, small, chunk, "size is not the skull's");
    set_mask(skull, H5T_STD_U8LE, 3, small, chunk, "attribute 'axis': missing");

    const char *path = copy_set();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "/cases/a", H5P_DEFAULT);
    H5Lcreate_external("/etc/hostname", "/", file, "/cases/a", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refuse(path, "a link, or a name with odd");
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "/cases/a", H5P_DEFAULT);
    H5Ldelete(file, "/cases/b", H5P_DEFAULT);
    H5Fclose(file);
    refuse(path, "holds no case");
}

/* A spoiled copy in which the object `name` is a link to the same one of the good set, or a soft one. */
static void link_instead(const char *name, bool soft)
{
    const char *path = copy_set();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (soft)
        CHECK(H5Lmove(file, name, file, "/kept", H5P_DEFAULT, H5P_DEFAULT) >= 0 &&
              H5Lcreate_soft("/kept", file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    else
        CHECK(H5Ldelete(file, name, H5P_DEFAULT) >= 0 &&
              H5Lcreate_external(good_set(), name, file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    refuse(path, soft ? "a soft link" : "a link out of the file");
}

static void test_opens_no_other_file(void)
{
    static const char *const names[] = {"/cases", "/cases/a/complete", "/cases/b/implants"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        link_instead(names[i], false);
        link_instead(names[i], true);
    }

    const char *path = copy_set();
    const hsize_t size[3] = {65, 66, 70};
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), properties = H5Pcreate(H5P_DATASET_CREATE),
                space = H5Screate_simple(3, size, NULL);
    H5Ldelete(file, "/cases/a/complete", H5P_DEFAULT);
    CHECK(H5Pset_virtual(properties, space, good_set(), "/cases/a/complete", space) >= 0);
    H5Dclose(H5Dcreate2(file, "/cases/a/complete", H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(properties);
    H5Fclose(file);
    refuse(path, "a virtual dataset");
}

/* Values other than 0 and 1 are found when read; a chunk that is not what it was by the check. */
static void test_values(void)
{
    struct error error = {0};
    struct dataset *set;
    struct volume skull;
    const char *path = copy_set();
    hid_t target, file = open_edit(path, "/cases/a/complete", &target);
    uint8_t *values = memory_zalloc((size_t)(dim[0] * dim[1] * dim[2]), 1);

    values[1000] = 7;
    CHECK(H5Dwrite(target, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Oclose(target);
    target = H5Oopen(file, "/cases/b/complete", H5P_DEFAULT);
    values[1000] = 1;
    CHECK(H5Dwrite(target, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Oclose(target);
    H5Fclose(file);
    memory_free(values);
    CHECK_OK(dataset_open(&set, path, &error), &error);
    CHECK_FAILS(dataset_read_skull(&skull, set, 0, &error), &error, STATUS_FAILED, "values other than 0 and 1");
    dataset_close(set);
    struct check_report report = {.out = fopen(check_path("report.txt"), "w")};
    CHECK_OK(dataset_check(path, &report, &error), &error);
    fclose(report.out);
    CHECK_INT(report.n_bad, 2);
    char *text;
    size_t bytes;
    CHECK_OK(file_read(&text, &bytes, check_path("report.txt"), 1 << 20, &error), &error);
    CHECK_CONTAINS(text, "content_hash");
    memory_free(text);
}

/* ---- memory ---- */

static enum status use_set(const char *path, struct error *error)
{
    struct dataset *set;
    struct volume skull;
    if (dataset_open(&set, path, error))
        return error->status;
    enum status status = dataset_read_skull(&skull, set, 1, error);
    if (!status) {
        volume_done(&skull);
        status = dataset_read_implant(&skull, set, 1, 0, error);
    }
    if (!status)
        volume_done(&skull);
    dataset_close(set);
    return status;
}

static enum status pack_set(const char *path, struct error *error)
{
    const struct pack_config config = {.split_frac = {1, 0, 0}};
    (void)path;
    return dataset_pack(check_path("good"), check_path("packed.h5"), &config, error);
}

static enum status check_set(const char *path, struct error *error)
{
    struct check_report report = {0};
    return dataset_check(path, &report, error);
}

/* The n-th allocation fails, for every n: an error each time, until there are no more allocations. */
static void test_no_memory(void)
{
    enum status (*const runs[])(const char *, struct error *) = {use_set, pack_set, check_set};
    const char *path = good_set();

    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        int64_t failed = 0;
        for (int64_t nth = 1; nth < 5000; nth++) {
            struct error error = {0};
            memory_fail_at(nth);
            const int64_t before = memory_alloc_count();
            const enum status status = runs[r](path, &error);
            const bool reached = memory_alloc_count() - before >= nth;
            memory_fail_at(0);
            if (status == STATUS_OK && !reached)
                break;
            failed += status != STATUS_OK;
            CHECK(status == STATUS_OK || error.length > 0);
        }
        CHECK(failed > 3);
        CHECK(!file_exists(check_path(".packed.h5.part")));
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"foreign", test_foreign},
                                       {"truncated", test_truncated},
                                       {"corrupt", test_corrupt},
                                       {"attributes", test_attributes},
                                       {"opens_no_other_file", test_opens_no_other_file},
                                       {"masks", test_masks},
                                       {"values", test_values},
                                       {"no_memory", test_no_memory},
                                       {0}};
    log_set_level(LOG_QUIET);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return check_main(argc, argv, tests);
}
