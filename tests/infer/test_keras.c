/* test_keras.c - files that Keras wrote (scripts/golden/keras_files.py): imported, run on the skull that Keras was fed,
 * compared with its answer voxel by voxel, borders included; and what is refused. */
#include "infer/exchange/keras.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "data/volume/formats.h"
#include "infer/restore.h"
#include "tests/check.h"

#define FOLDER "tests/infer/keras/"
static const char *const AE = FOLDER "mia_ae.yaml";

/* Keras' answer, in its own order: X,Y,Z,C, or units. */
struct answer {
    int n_dims;
    int64_t dim[5];
    float *values;
};

static bool read_answer(struct answer *ret, const char *name)
{
    struct error error = {0};
    bool is_float = false;
    hdf5_lock();
    hid_t file = H5Fopen(FOLDER "answers.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    enum status status = hdf5_array_shape(file, name, &is_float, &ret->n_dims, ret->dim, 5, "answers.h5", &error);
    int64_t count = 1;
    for (int i = 0; !status && i < ret->n_dims; i++)
        count *= ret->dim[i];
    ret->values = memory_alloc((size_t)count, sizeof *ret->values);
    if (!status && ret->values)
        status = hdf5_get_array(file, name, true, ret->values, "answers.h5", &error);
    H5Fclose(file);
    hdf5_unlock();
    return CHECK_OK(status, &error) && CHECK(ret->values != NULL);
}

/* The network's values on the skull, NCDHW; free with memory_free. */
static float *run_network(struct model *model, struct shape *ret_shape)
{
    struct error error = {0};
    struct volume skull = {0};
    struct network *network = NULL;
    if (!CHECK_OK(volume_read(&skull, FOLDER "skull.nrrd", &error), &error))
        return NULL;
    const int64_t *dim = skull.grid.dim;
    const struct shape src = {1, 1, dim[2], dim[1], dim[0]};
    float *in = memory_alloc((size_t)shape_count(src), sizeof *in), *out = NULL;
    for (int64_t i = 0; in && i < shape_count(src); i++)
        in[i] = ((const uint8_t *)skull.data)[i];
    if (in && CHECK_OK(network_new(&network, &model->network, &model->params, src, NETWORK_INFER, &error), &error)) {
        *ret_shape = network_dst_shape(network);
        size_t bytes = (size_t)shape_count(*ret_shape) * sizeof *out;
        const float *dst = network_forward(network, in, &(struct pass){0});
        out = memory_alloc(bytes, 1);
        if (out)
            memcpy(out, dst, bytes);
    }
    network_free(network);
    memory_free(in);
    volume_done(&skull);
    return out;
}

static void compare_answers(const char *file, const float *got, struct shape shape, const struct answer *answer)
{
    const int64_t *dim = answer->dim;
    bool grid = answer->n_dims == 4;
    if (!CHECK(grid ? dim[0] == shape.w && dim[1] == shape.h && dim[2] == shape.d && dim[3] == shape.c
                    : dim[0] == shape.c && shape_voxels(shape) == 1))
        return;
    double worst = 0, low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < shape_count(shape); i++) {
        int64_t x = i % shape.w, y = i / shape.w % shape.h, z = i / shape.w / shape.h % shape.d,
                c = i / shape_voxels(shape);
        double keras = (double)answer->values[grid ? ((x * dim[1] + y) * dim[2] + z) * dim[3] + c : c];
        worst = fmax(worst, fabs((double)got[i] - keras));
        low = fmin(low, keras);
        high = fmax(high, keras);
    }
    CHECK(shape_count(shape) == 1 ? high > 0.01 && high < 0.99 : high - low > 0.05); /* an answer that says something */
    if (!CHECK(worst <= 1e-4))
        printf("    %s: %.3g\n", file, worst);
}

static void check_import(const char *name, const char *network, const char *answer_name)
{
    struct error error = {0};
    struct model model = {0};
    struct answer answer = {0};
    struct shape shape;
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (!CHECK_OK(keras_import(&model, path, &(struct keras_options){.network = network}, &error), &error)) {
        printf("    %s\n", path);
        return;
    }
    float *got = run_network(&model, &shape);
    if (got && read_answer(&answer, answer_name))
        compare_answers(name, got, shape, &answer);
    memory_free(answer.values);
    memory_free(got);
    model_done(&model);
}

static void test_auto_encoder(void)
{
    check_import("k2_ae_nested.h5", NULL, "ae");
    check_import("k2_ae_nested.h5", AE, "ae");
    check_import("k2_ae_plain.h5", NULL, "ae");
    check_import("k2_ae_nested_alone.h5", AE, "ae");
    check_import("k3_ae_nested.h5", NULL, "ae");
    check_import("k3_ae_nested.h5", AE, "ae");
    check_import("k3_ae.weights.h5", AE, "ae");
}

/* conv3d_8 ... conv3d_11: as texts they would sort otherwise. */
static void test_old_layout(void)
{
    check_import("old_ae.h5", NULL, "ae");
    check_import("old_ae.h5", AE, "ae");
    check_import("old_ae_alone.h5", AE, "ae");
}

static void test_other_networks(void)
{
    static const char *const names[] = {"discriminator", "n1", "joints", "tail"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int k = 2; k <= 3; k++) {
            char file[64];
            snprintf(file, sizeof file, "k%d_%s.h5", k, names[i]);
            check_import(file, NULL, names[i]);
        }
}

/* What is imported restores at once. */
static void test_restores(void)
{
    struct error error = {0};
    struct model model = {0};
    struct restorer *restorer = NULL;
    const char *path = check_path("imported.h5"), *sets[] = {"threshold=0", "postprocess=[{keep_largest: 2}]"};
    const struct keras_options options = {.restore = {2, sets}, .licence = "MIT"};
    if (!CHECK_OK(keras_import(&model, FOLDER "k2_ae_nested.h5", &options, &error), &error))
        return;
    CHECK_TEXT(model_text(&model, "source"), "k2_ae_nested.h5, written by Keras 2.21.0");
    CHECK_TEXT(model_text(&model, "licence"), "MIT");
    CHECK_OK(model_write(path, &model, &error), &error);
    model_done(&model);
    if (!CHECK_OK(restorer_open(&restorer, path, NULL, &error), &error))
        return;
    CHECK_NEAR(restorer_config(restorer)->threshold, 0, 0);
    CHECK_INT(restorer_config(restorer)->postprocess.n, 1);
    restorer_free(restorer);
}

static void check_refused(const char *name, const char *network, enum status status, const char *says)
{
    struct error error = {0};
    struct model model = {0};
    CHECK_FAILS(keras_import(&model, name, &(struct keras_options){.network = network}, &error), &error, status, says);
    CHECK(model.params.value == NULL);
    model_done(&model);
}

/* mia_ae.yaml with `from` replaced by `to`. */
static const char *edited(const char *name, const char *from, const char *to)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes = 0;
    const char *path = check_path(name);
    CHECK_OK(file_read(&text, &bytes, AE, 1 << 20, &error), &error);
    const char *at = strstr(text, from);
    if (!CHECK(at != NULL))
        return AE;
    char *changed = memory_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    CHECK_OK(file_write(path, changed, strlen(changed), &error), &error);
    memory_free(changed);
    memory_free(text);
    return path;
}

static void test_another_architecture(void)
{
    const char *whole = FOLDER "k2_ae_nested.h5", *alone = FOLDER "k2_ae_nested_alone.h5";
    check_refused(whole, edited("kernel.yaml", "filters: 3, kernel: 5, stride: 2", "filters: 3, kernel: 3, stride: 2"),
                  STATUS_FAILED,
                  "layer 4, 'conv3d_1': kernel: the file has [5, 5, 5], 'conv2' of the network [3, 3, 3]");
    check_refused(whole, edited("stride.yaml", "filters: 9, kernel: 1, stride: 2", "filters: 9, kernel: 1"),
                  STATUS_FAILED, "stride: the file has [2, 2, 2]");
    check_refused(whole, edited("type.yaml", "{ type: relu }", "{ type: sigmoid }"), STATUS_FAILED,
                  "type: the file has relu");
    check_refused(whole, edited("eps.yaml", "eps: 1.0e-3", "eps: 1.0e-5"), STATUS_FAILED, "eps: the file has 0.001");
    check_refused(whole, edited("long.yaml", "    - { name: deconv9", "    - { type: relu }\n    - { name: deconv9"),
                  STATUS_FAILED, "layer 29");
    check_refused(alone, NULL, STATUS_USAGE, "weights without an architecture");
    check_refused(alone, edited("wide.yaml", "conv2, type: conv, filters: 3", "conv2, type: conv, filters: 4"),
                  STATUS_FAILED, "kernel:0: shape 5x5x5x2x3, the network's conv2.w wants 5x5x5x2x4 (in Keras' order)");
    check_refused(alone,
                  edited("more.yaml", "    - { type: tanh }\n    - { name: bn8",
                         "    - { name: more, type: conv, filters: 1 }\n    - { name: bn8"),
                  STATUS_FAILED, "the file has no further conv3d layer");
    check_refused(alone,
                  edited("fewer.yaml", "    - { name: bn8, type: batch_norm, momentum: 0.8, eps: 1.0e-3 }\n", ""),
                  STATUS_FAILED, "no layer of the network takes it");
    check_refused(whole, FOLDER "skull.nrrd", STATUS_USAGE, "skull.nrrd");
}

static void test_no_keras_file(void)
{
    check_refused(check_path("absent.h5"), NULL, STATUS_FAILED, "no such file");
    check_refused(AE, NULL, STATUS_FAILED, "not a readable HDF5 file");
    check_refused(FOLDER "answers.h5", NULL, STATUS_FAILED, "a weight without a layer above it");
}

/* A copy of a file with one bias in place of its own. create < 0: a link to the untouched file. Closes create. */
static const char *with_bias(const char *name, hid_t create)
{
    static const char bias[] = "model_weights/conv3d_7/conv3d_7/bias:0";
    struct error error = {0};
    char *data = NULL, from[4096];
    size_t bytes = 0;
    const char *path = check_path(name);
    CHECK_OK(file_read(&data, &bytes, FOLDER "k2_n1.h5", 1 << 24, &error), &error);
    CHECK_OK(file_write(path, data, bytes, &error), &error);
    memory_free(data);
    hdf5_lock();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), own = H5Dopen2(file, bias, H5P_DEFAULT),
          space = H5Dget_space(own);
    H5Dclose(own);
    CHECK(H5Ldelete(file, bias, H5P_DEFAULT) >= 0);
    if (create < 0) {
        CHECK(realpath(FOLDER "k2_n1.h5", from) &&
              H5Lcreate_external(from, bias, file, bias, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    } else {
        const hid_t dataset = H5Dcreate2(file, bias, H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
        CHECK(dataset >= 0);
        H5Dclose(dataset);
        H5Pclose(create);
    }
    H5Sclose(space);
    H5Fclose(file);
    hdf5_unlock();
    return path;
}

static void test_opens_no_other_file(void)
{
    struct error error = {0};
    const float values[64] = {0};
    const char *raw = check_path("values.raw");
    CHECK_OK(file_write(raw, values, sizeof values, &error), &error);
    check_refused(with_bias("linked.h5", -1), NULL, STATUS_FAILED, "a link out of the file");
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    CHECK(H5Pset_external(create, raw, 0, sizeof values) >= 0);
    check_refused(with_bias("elsewhere.h5", create), NULL, STATUS_FAILED, "its values lie in another file");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"auto_encoder", test_auto_encoder},
                                       {"old_layout", test_old_layout},
                                       {"other_networks", test_other_networks},
                                       {"restores", test_restores},
                                       {"another_architecture", test_another_architecture},
                                       {"no_keras_file", test_no_keras_file},
                                       {"opens_no_other_file", test_opens_no_other_file},
                                       {0}};
    return check_main(argc, argv, tests);
}
