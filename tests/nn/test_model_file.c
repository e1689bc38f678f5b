/* model.h5: a round trip keeps every bit; damaged, foreign and misshapen files end with one clear error. */
#include <hdf5.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"
#include "tests/nn/network_bench.h"

static const char layers[] = "[ { name: a, type: conv, filters: 3 }, { name: n, type: batch_norm }, { type: tanh }, { "
                             "name: head, type: conv, filters: 1, kernel: 1 } ]";

static float floats[5] = {1.5F, -2, 3e-30F, 4, 5};
static int64_t ints[2] = {INT64_MAX, -7};

static bool make_model(struct model *model)
{
    static struct model_text texts[3] = {
        {"restore", "threshold: 0.5\n"}, {"licence", "MIT \xC3\xA9\n"}, {"metrics", ""}};
    static struct model_block blocks[2] = {{.name = "adam.m", .count = 5, .floats = floats},
                                           {.name = "sampler", .count = 2, .ints = ints}};
    struct network_bench bench = {0};
    struct error error = {0};
    *model = (struct model){.n_texts = 3, .texts = texts, .n_blocks = 2, .blocks = blocks};
    if (!CHECK_OK(network_bench_config(&bench, layers, 1, &error), &error) ||
        !CHECK_OK(network_describe(&model->params, &bench.config, &error), &error) ||
        !CHECK_OK(params_allocate(&model->params, true, &error), &error))
        return false;
    params_initialise(&model->params, 9);
    model->network = bench.config;
    model->arena = bench.arena;
    return true;
}

static const char *write_model(const char *name)
{
    struct model model;
    struct error error = {0};
    const char *path = check_path(name);
    if (make_model(&model))
        CHECK_OK(model_write(path, &model, &error), &error);
    params_done(&model.params);
    arena_done(&model.arena);
    return path;
}

static void test_round_trip(void)
{
    struct model model, read = {0};
    struct error error = {0};
    const char *path = check_path("round.h5"), *again = check_path("again.h5");
    if (!make_model(&model) || !CHECK_OK(model_write(path, &model, &error), &error) ||
        !CHECK_OK(model_read(&read, path, true, &error), &error))
        return;
    CHECK_INT(read.params.n, model.params.n);
    CHECK_INT(read.params.n_floats, model.params.n_floats);
    CHECK(memcmp(read.params.value, model.params.value, (size_t)model.params.n_floats * sizeof(float)) == 0);
    for (int64_t i = 0; i < model.params.n; i++) {
        CHECK_TEXT(read.params.items[i].name, model.params.items[i].name);
        CHECK_INT(read.params.items[i].trainable, model.params.items[i].trainable);
    }
    CHECK_TEXT(model_text(&read, "restore"), "threshold: 0.5\n");
    CHECK_TEXT(model_text(&read, "licence"), "MIT \xC3\xA9\n");
    CHECK_TEXT(model_text(&read, "metrics"), "");
    CHECK(model_text(&read, "absent") == NULL);
    const struct model_block *m = model_block(&read, "adam.m"), *sampler = model_block(&read, "sampler");
    CHECK(m && m->count == 5 && memcmp(m->floats, floats, sizeof floats) == 0 && !m->ints);
    CHECK(sampler && sampler->count == 2 && memcmp(sampler->ints, ints, sizeof ints) == 0 && !sampler->floats);
    char *before = config_dump_text(&network_table, &model.network),
         *after = config_dump_text(&network_table, &read.network);
    CHECK_TEXT(after, before);
    memory_free(before);
    memory_free(after);
    CHECK_OK(model_write(again, &read, &error), &error); /* what was read can be written, and read */
    model_done(&read);
    CHECK_OK(model_read(&read, again, false, &error), &error);
    CHECK_INT(read.n_blocks, 0); /* not asked for */
    CHECK_INT(read.n_texts, 5);  /* format, network and ours */
    model_done(&read);
    params_done(&model.params);
    arena_done(&model.arena);
}

/* A pair in one file: the coarse stage with its own weights and texts, without state; damage inside it is found. */
static void test_coarse_stage(void)
{
    struct model fine, coarse, read = {0};
    struct error error = {0}, damaged = {0};
    const char *path = check_path("pair.h5");
    if (!make_model(&fine) || !make_model(&coarse))
        return;
    params_initialise(&coarse.params, 10);
    fine.coarse = &coarse;
    CHECK_OK(model_write(path, &fine, &error), &error);
    if (CHECK_OK(model_read(&read, path, true, &error), &error) && CHECK(read.coarse != NULL)) {
        const size_t bytes = (size_t)fine.params.n_floats * sizeof(float);
        CHECK(memcmp(read.params.value, fine.params.value, bytes) == 0);
        CHECK(memcmp(read.coarse->params.value, coarse.params.value, bytes) == 0);
        CHECK(memcmp(read.params.value, read.coarse->params.value, bytes) != 0);
        CHECK_TEXT(model_text(read.coarse, "restore"), "threshold: 0.5\n");
        CHECK_INT(read.n_blocks, 2);
        CHECK_INT(read.coarse->n_blocks, 0);
        CHECK(read.coarse->coarse == NULL);
    }
    model_done(&read);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(H5Ldelete(file, "coarse/weights/head.w", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    CHECK_FAILS(model_read(&read, path, true, &damaged), &damaged, STATUS_FAILED, "head.w");
    CHECK_CONTAINS(damaged.text, "coarse stage");
    CHECK(read.params.value == NULL);
    params_done(&fine.params);
    arena_done(&fine.arena);
    params_done(&coarse.params);
    arena_done(&coarse.arena);
}

/* What is passed on says nothing of the folders it was trained in. */
static void test_portable(void)
{
    struct model model, coarse, out, read = {0};
    struct arena arena = {0};
    struct error error = {0};
    struct model_text texts[] = {{"recipe", "coarse: /home/who/runs/last.h5\ndata:\n  set: \"/data/a b/set.h5\"\n  "
                                            "size: [1, 2]\ntrain:\n  init: null\n  ratio: 1/2\n"},
                                 {"licence", "see /data/LICENCE\n"}};
    const char *path = check_path("portable.h5");
    if (!make_model(&model) || !make_model(&coarse))
        return;
    model.texts = coarse.texts = texts;
    model.n_texts = coarse.n_texts = 2;
    model.coarse = &coarse;
    CHECK_OK(model_portable(&out, &model, "MIT", &arena, &error), &error);
    CHECK_OK(model_write(path, &out, &error), &error);
    if (CHECK_OK(model_read(&read, path, true, &error), &error)) {
        const char *recipe =
            "coarse: last.h5\ndata:\n  set: \"set.h5\"\n  size: [1, 2]\ntrain:\n  init: null\n  ratio: 1/2\n";
        CHECK_TEXT(model_text(&read, "recipe"), recipe);
        CHECK_TEXT(model_text(read.coarse, "recipe"), recipe);
        CHECK_TEXT(model_text(&read, "licence"), "MIT");
        CHECK_TEXT(model_text(read.coarse, "licence"), "see /data/LICENCE\n");
        CHECK_INT(read.n_blocks, 0);
    }
    model_done(&read);
    arena_done(&arena);
    params_done(&model.params);
    arena_done(&model.arena);
    params_done(&coarse.params);
    arena_done(&coarse.arena);
}

static void check_refused(const char *path, const char *says)
{
    struct model model = {0};
    struct error error = {0};
    CHECK_FAILS(model_read(&model, path, true, &error), &error, STATUS_FAILED, says);
    CHECK_CONTAINS(error.text, path);
    CHECK(model.params.value == NULL && model.n_texts == 0);
}

/* A model whose file `damage` has changed through HDF5. */
static void check_damage(const char *name, void (*damage)(hid_t file), const char *says)
{
    const char *path = write_model(name);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (!CHECK(file >= 0))
        return;
    damage(file);
    H5Fclose(file);
    check_refused(path, says);
}

static void set_int(hid_t file, const char *name, int64_t value)
{
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
}

static void put_text(hid_t file, const char *name, size_t size, const void *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, size);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, type, text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void set_text(hid_t file, const char *name, const char *text)
{
    H5Adelete(file, name);
    put_text(file, name, strlen(text), text);
}

static void add_dataset(hid_t file, const char *name, hid_t type, int rank, hsize_t edge, const void *values)
{
    hsize_t dims[2] = {edge, edge};
    hid_t space = H5Screate_simple(rank, dims, NULL),
          dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (values)
        CHECK(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
}

static void newer(hid_t file)
{
    set_int(file, "format_version", 2);
}

static void foreign(hid_t file)
{
    set_text(file, "format", "somebody's");
}

static void variable_text(hid_t file)
{
    const char *text = "MIT";
    put_text(file, "more", H5T_VARIABLE, &text);
}

static void no_format(hid_t file)
{
    H5Adelete(file, "format");
}

static void no_network(hid_t file)
{
    H5Adelete(file, "network");
}

static void bad_network(hid_t file)
{
    set_text(file, "network", "layers: [ { type: convolution } ]");
}

static void no_weights(hid_t file)
{
    H5Ldelete(file, "weights", H5P_DEFAULT);
}

static void lost_weight(hid_t file)
{
    H5Ldelete(file, "weights/head.b", H5P_DEFAULT);
}

static void extra_weight(hid_t file)
{
    const float value = 1;
    add_dataset(file, "weights/more", H5T_NATIVE_FLOAT, 1, 1, &value);
}

static void misshapen(hid_t file)
{
    const float values[4] = {1, 2, 3, 4};
    lost_weight(file);
    add_dataset(file, "weights/head.b", H5T_NATIVE_FLOAT, 2, 2, values);
}

static void integers(hid_t file)
{
    const int value = 1;
    lost_weight(file);
    add_dataset(file, "weights/head.b", H5T_NATIVE_INT, 1, 1, &value);
}

static void not_a_number(hid_t file)
{
    const float value = NAN;
    lost_weight(file);
    add_dataset(file, "weights/head.b", H5T_NATIVE_FLOAT, 1, 1, &value);
}

static void never_stored(hid_t file)
{
    add_dataset(file, "state/huge", H5T_NATIVE_FLOAT, 1, (hsize_t)1 << 40, NULL);
}

static void test_damaged(void)
{
    check_damage("newer.h5", newer, "format_version: 2, this program reads 1 (a newer program would fit)");
    check_damage("foreign.h5", foreign, "format: 'somebody's', expected 'calvaria-model'");
    check_damage("variable.h5", variable_text, "attribute 'more': a text of variable length");
    check_damage("no_format.h5", no_format, "attribute 'format': missing");
    check_damage("no_network.h5", no_network, "attribute 'network': missing");
    check_damage("bad_network.h5", bad_network, "convolution");
    check_damage("no_weights.h5", no_weights, "weights: missing");
    check_damage("lost.h5", lost_weight, "head.b: missing");
    check_damage("extra.h5", extra_weight, "weights/more: the network has no such parameter");
    check_damage("misshapen.h5", misshapen, "weights/head.b: shape 2x2, the network has 1");
    check_damage("integers.h5", integers, "weights/head.b: integers");
    check_damage("nan.h5", not_a_number, "weights/head.b: value 0 is not finite");
    check_damage("never.h5", never_stored, "huge: declared but not stored");
}

/* Each of these would read as a good model, if its values were taken from where it points. */
static void linked_weight(hid_t file)
{
    lost_weight(file);
    CHECK(H5Lcreate_external(write_model("other.h5"), "/weights/head.b", file, "weights/head.b", H5P_DEFAULT,
                             H5P_DEFAULT) >= 0);
}

static void linked_group(hid_t file)
{
    no_weights(file);
    CHECK(H5Lcreate_external(write_model("other.h5"), "/weights", file, "weights", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void linked_coarse(hid_t file)
{
    CHECK(H5Lcreate_external(write_model("other.h5"), "/", file, "coarse", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void linked_state(hid_t file)
{
    H5Ldelete(file, "state", H5P_DEFAULT);
    CHECK(H5Lcreate_external(write_model("other.h5"), "/state", file, "state", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void soft_weight(hid_t file)
{
    CHECK(H5Lmove(file, "weights/head.b", file, "kept", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CHECK(H5Lcreate_soft("/kept", file, "weights/head.b", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void soft_cycle(hid_t file)
{
    no_weights(file);
    CHECK(H5Lcreate_soft("/state", file, "weights", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Ldelete(file, "state", H5P_DEFAULT);
    CHECK(H5Lcreate_soft("/weights", file, "state", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

/* head.b anew, with one value and the creation properties given, which are closed. */
static void replace_weight(hid_t file, hid_t create, bool write)
{
    const float value = 1;
    const hsize_t one = 1;
    lost_weight(file);
    hid_t space = H5Screate_simple(1, &one, NULL);
    hid_t dataset = H5Dcreate2(file, "weights/head.b", H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    CHECK(dataset >= 0 && (!write || H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0));
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(create);
}

static void stored_elsewhere(hid_t file)
{
    struct error error = {0};
    const float value = 1;
    const char *path = check_path("values.raw");
    CHECK_OK(file_write(path, &value, sizeof value, &error), &error);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    CHECK(H5Pset_external(create, path, 0, sizeof value) >= 0);
    replace_weight(file, create, false);
}

static void virtual_weight(hid_t file)
{
    const hsize_t one = 1;
    hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &one, NULL);
    CHECK(H5Pset_virtual(create, space, write_model("other.h5"), "/weights/head.b", space) >= 0);
    H5Sclose(space);
    replace_weight(file, create, false);
}

static size_t plain_filter(unsigned flags, size_t n_values, const unsigned *values, size_t n_bytes,
                           size_t *buffer_bytes, void **buffer)
{
    (void)flags, (void)n_values, (void)values, (void)buffer_bytes, (void)buffer;
    return n_bytes;
}

static void own_filter(hid_t file)
{
    const H5Z_class2_t filter = {.version = H5Z_CLASS_T_VERS,
                                 .id = 300,
                                 .encoder_present = 1,
                                 .decoder_present = 1,
                                 .name = "plain",
                                 .filter = plain_filter};
    const hsize_t one = 1;
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    CHECK(H5Zregister(&filter) >= 0);
    CHECK(H5Pset_chunk(create, 1, &one) >= 0 && H5Pset_filter(create, 300, 0, 0, NULL) >= 0);
    replace_weight(file, create, true);
}

static void packed_weight(hid_t file)
{
    const hsize_t one = 1;
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    CHECK(H5Pset_chunk(create, 1, &one) >= 0 && H5Pset_fletcher32(create) >= 0 && H5Pset_deflate(create, 4) >= 0);
    replace_weight(file, create, true);
}

static void test_opens_no_other_file(void)
{
    check_damage("linked_weight.h5", linked_weight, "a link out of the file");
    check_damage("linked_group.h5", linked_group, "a link out of the file");
    check_damage("linked_coarse.h5", linked_coarse, "a link out of the file");
    check_damage("linked_state.h5", linked_state, "a link out of the file");
    check_damage("soft_weight.h5", soft_weight, "a soft link");
    check_damage("soft_cycle.h5", soft_cycle, "a soft link");
    check_damage("elsewhere.h5", stored_elsewhere, "its values lie in another file");
    check_damage("virtual.h5", virtual_weight, "a virtual dataset");
    check_damage("filter.h5", own_filter, "compressed in an unknown way");
    struct model model = {0};
    struct error error = {0};
    const char *path = write_model("packed.h5"); /* packed again by others: fine */
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    packed_weight(file);
    H5Fclose(file);
    CHECK_OK(model_read(&model, path, true, &error), &error);
    model_done(&model);
}

static void test_not_a_model(void)
{
    struct error error = {0};
    char *data = NULL;
    size_t bytes = 0;
    check_refused(check_path("absent.h5"), "no such file");
    const char *text = check_path("text.h5");
    CHECK_OK(file_write(text, "not HDF5", 8, &error), &error);
    check_refused(text, "not a readable HDF5 file");
    CHECK_OK(file_read(&data, &bytes, write_model("whole.h5"), 1 << 24, &error), &error);
    const char *cut = check_path("cut.h5");
    CHECK_OK(file_write(cut, data, bytes * 2 / 3, &error), &error);
    check_refused(cut, "not a readable HDF5 file");
    memory_free(data);
}

/* Bytes flipped all over: an error or a model, never a crash. */
static void test_flipped_bytes(void)
{
    struct error error = {0};
    char *data = NULL;
    size_t bytes = 0;
    const char *path = check_path("flipped.h5");
    int refused = 0;
    CHECK_OK(file_read(&data, &bytes, write_model("intact.h5"), 1 << 24, &error), &error);
    for (size_t at = 0; data && at < bytes; at += 37) {
        struct model model = {0};
        char kept = data[at];
        data[at] = (char)~kept;
        CHECK_OK(file_write(path, data, bytes, &error), &error);
        error = (struct error){0};
        if (model_read(&model, path, true, &error))
            refused++;
        model_done(&model);
        data[at] = kept;
    }
    CHECK(refused > 20);
    memory_free(data);
}

static enum status read_and_free(void *path, struct error *error)
{
    struct model model = {0};
    const enum status status = model_read(&model, path, true, error);
    CHECK(!status || model.params.value == NULL);
    model_done(&model);
    return status;
}

static void test_memory_runs_out(void)
{
    check_allocation_failures(read_and_free, (void *)write_model("memory.h5"), 20);
}

static void test_cannot_be_written(void)
{
    struct model model;
    struct error error = {0};
    const char *path = check_path("no/such/folder/model.h5");
    if (make_model(&model)) {
        CHECK(model_write(path, &model, &error) == STATUS_FAILED);
        CHECK_CONTAINS(error.text, "no/such/folder");
    }
    params_done(&model.params);
    arena_done(&model.arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"round_trip", test_round_trip},
                                       {"coarse_stage", test_coarse_stage},
                                       {"portable", test_portable},
                                       {"damaged", test_damaged},
                                       {"opens_no_other_file", test_opens_no_other_file},
                                       {"not_a_model", test_not_a_model},
                                       {"flipped_bytes", test_flipped_bytes},
                                       {"memory_runs_out", test_memory_runs_out},
                                       {"cannot_be_written", test_cannot_be_written},
                                       {0}};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return check_main(argc, argv, tests);
}
