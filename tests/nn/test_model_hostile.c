/* Model files that mean harm: graphs with cycles, absurd sizes, weights that claim more than they store, texts without
 * end, old formats, cut anywhere. Each is one clear error, and none takes memory beyond reason. Bytes flipped:
 * test_model_file.c; in numbers: tests/infer/fuzz_models.c. */
#include <hdf5.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/nn/network_bench.h"

static const char LAYERS[] =
    "[ { name: a, type: conv, filters: 3 }, { type: tanh }, { name: head, type: conv, filters: 1, kernel: 1 } ]";

static const char *write_model(const char *name)
{
    struct network_bench bench = {0};
    struct error error = {0};
    struct model model = {0};
    const char *path = check_path(name);
    if (CHECK_OK(network_bench_config(&bench, LAYERS, 1, &error), &error) &&
        CHECK_OK(network_describe(&model.params, &bench.config, &error), &error) &&
        CHECK_OK(params_allocate(&model.params, false, &error), &error)) {
        model.network = bench.config;
        CHECK_OK(model_write(path, &model, &error), &error);
    }
    params_done(&model.params);
    arena_done(&bench.arena);
    return path;
}

static void check_refused(const char *path, const char *says)
{
    struct model model = {0};
    struct error error = {0};
    CHECK_FAILS(model_read(&model, path, true, &error), &error, STATUS_FAILED, says);
    CHECK_CONTAINS(error.text, path);
    CHECK(model.params.value == NULL);
}

static void put_text(hid_t file, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    H5Adelete(file, name);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(attribute >= 0 && H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* A whole file but for its network. */
static void check_network(const char *yaml, const char *says)
{
    const char *path = write_model("network.h5");
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, access);
    put_text(file, "network", yaml);
    H5Fclose(file);
    H5Pclose(access);
    check_refused(path, says);
}

static void test_networks(void)
{
    check_network("layers: [ { name: a, type: relu, from: b }, { name: b, type: relu, from: a } ]",
                  "no layer before it is called 'b'");
    check_network("layers: [ { name: a, type: add, from: [a, input] } ]", "no layer before it is called 'a'");
    check_network("layers: [ { name: a, type: conv, filters: 1000000000 } ]", "filters");
    check_network("input_channels: 1000000000\nlayers: [ { type: relu } ]", "input_channels");
    check_network("patch_vox: [1048576, 1048576, 1048576]\nlayers: [ { type: conv, filters: 65536 } ]",
                  "overflows 64 bits");
    check_network(
        "layers: [ { type: conv, filters: 65536, kernel: 15 }, { name: big, type: conv, filters: 65536, kernel: 15 } ]",
        "the network has no such parameter");
    check_network("layers: []", "no layers");
    check_network("layers: [ { type: conv, filters: 1, filters: 2 } ]", "filters");
    check_network("layers: [ { name: ../../etc, type: relu } ]", "name");
    check_network("&a [ *a ]", "network:1:1");
    check_network("layers: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "nest");
    check_network("layers: \xff\xfe", "network:");
    check_network("\x01", "network:");
}

static void test_huge_texts(void)
{
    size_t bytes = (size_t)17 << 20; /* more than a YAML may have */
    char *text = memory_alloc(bytes + 1, 1);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    check_network(text, "MiB");
    memset(text, '[', bytes);
    check_network(text, "network:");
    memory_free(text);
}

/* head.w as a chunked dataset of `edge`^5 values of which one chunk is stored, or none. */
static void check_claim(hsize_t edge, bool stored, const char *says)
{
    const char *path = write_model("claim.h5");
    const hsize_t dims[5] = {edge, edge, edge, edge, edge}, chunk[5] = {1, 1, 1, 1, 1}, at[5] = {0};
    const float value = 1;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), create = H5Pcreate(H5P_DATASET_CREATE);
    H5Ldelete(file, "weights/head.w", H5P_DEFAULT);
    H5Pset_chunk(create, 5, chunk);
    hid_t space = H5Screate_simple(5, dims, NULL),
          dataset = H5Dcreate2(file, "weights/head.w", H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (stored)
        CHECK(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, at, sizeof value, &value) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(create);
    H5Fclose(file);
    check_refused(path, says);
}

static void test_claims(void)
{
    check_claim(1 << 10, false, "declared but not stored");
    check_claim(1 << 10, true, "declared but not stored");
    check_claim(2, true, "shape 2x2x2x2x2");
}

static void test_links(void)
{
    const char *path = write_model("links.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "weights/head.b", H5P_DEFAULT);
    CHECK(H5Lcreate_soft("/weights/head.b", file, "weights/head.b", H5P_DEFAULT, H5P_DEFAULT) >=
          0); /* round and round */
    H5Fclose(file);
    check_refused(path, "head.b");
    path = write_model("group.h5");
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "weights/head.b", H5P_DEFAULT);
    CHECK(H5Lcreate_hard(file, "/", file, "weights/head.b", H5P_DEFAULT, H5P_DEFAULT) >=
          0); /* a group where values should be */
    H5Fclose(file);
    check_refused(path, "head.b");
}

/* As h5py writes by default: HDF5's first format. */
static void test_old_format(void)
{
    const char *path = check_path("old.h5");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_text(file, "format", "calvaria-model");
    H5Fclose(file);
    check_refused(path, "without checksums");
    check_refused("tests/infer/keras/k2_n1.h5", "import-keras");
}

static void test_cut_anywhere(void)
{
    struct error error = {0};
    char *data = NULL;
    size_t bytes = 0;
    const char *path = check_path("cut.h5");
    CHECK_OK(file_read(&data, &bytes, write_model("whole.h5"), 1 << 24, &error), &error);
    for (size_t left = 0; left < bytes; left += bytes / 97 + 1) {
        FILE *file = fopen(path, "wb");
        CHECK(file && fwrite(data, 1, left, file) == left && fclose(file) == 0);
        check_refused(path, "not a readable HDF5 file");
    }
    memory_free(data);
}

static void test_memory(void)
{
    CHECK(memory_peak_bytes() < (int64_t)400 << 20); /* of all the above */
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"networks", test_networks},     {"huge_texts", test_huge_texts},
                                       {"claims", test_claims},         {"links", test_links},
                                       {"old_format", test_old_format}, {"cut_anywhere", test_cut_anywhere},
                                       {"memory", test_memory},         {0}};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return check_main(argc, argv, tests);
}
