/* fuzz_models.c - damaged model files (one stage, and a pair), Keras files, network YAML, restoration YAML and Keras
 * architectures: each ends with a model or one clear error. What a model file accepts is opened as for a restoration.
 *   fuzz_models COUNT [SEED]       COUNT mutations of each kind; the same ones for the same seed
 * Prints what was accepted and refused, and the process' highest memory. Exit 1 when an error says nothing, or memory
 * exceeds LIMIT_MB; a crash is the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "base/rng.h"
#include "infer/exchange/keras.h"
#include "infer/exchange/keras_config.h"
#include "infer/restore.h"
#include "tests/check.h"
#include "tests/hdf5_leaks.h"

#ifdef __SANITIZE_ADDRESS__
enum { LIMIT_MB = 2000 }; /* freed memory stays with the sanitizer for a while */
#else
enum { LIMIT_MB = 200 };
#endif

static const char YAML[] = "name: seed\ninput_channels: 1\npatch_vox: [16, 16, 16]\nlayers:\n  - { name: a, type: "
                           "conv, filters: 4, kernel: 3, stride: 2 }\n"
                           "  - { type: batch_norm, eps: 1.0e-3 }\n  - { name: b, type: conv_transpose, filters: 4, "
                           "kernel: [2, 2, 2], stride: 2 }\n  - { type: relu, from: b }\n"
                           "  - { name: c, type: add, from: [b, relu_3] }\n  - { type: upsample, factor: 2 }\n  - { "
                           "type: max_pool, kernel: 2 }\n  - { type: flatten }\n"
                           "  - { type: dense, units: 3 }\n  - { type: softmax }\n";
static const char RESTORE[] = "task: completion\nthreshold: 0.5\npostprocess: [{open: 1}, {keep_largest: 1}]\n";
static const char COARSE_YAML[] = "name: coarse\ninput_channels: 1\npatch_vox: [8, 8, 8]\nlayers: [{ type: conv, "
                                  "filters: 2 }, { type: instance_norm }, "
                                  "{ type: conv, filters: 1, kernel: 1 }, { type: sigmoid }]\n";
static const char COARSE_RESTORE[] =
    "task: implant\nscan: whole\nworking_spacing_mm: [3, 3, 3]\nthreshold: 0.5\npostprocess: [{keep_largest: 1}]\n";
static const char FINE_YAML[] =
    "name: fine\ninput_channels: 2\npatch_vox: [8, 8, 8]\nlayers: [{ type: conv, filters: 2 }, { type: leaky_relu }, "
    "{ type: conv, filters: 1, kernel: 1 }, { type: sigmoid }]\n";
static const char FINE_RESTORE[] =
    "task: implant\nscan: overlap\noverlap_frac: 0.5\nflip_average: true\nmin_prior: 0.1\nworking_spacing_mm: [1.25, "
    "1.25, 1.25]\n"
    "top_vox: 0\nbatch: 1\npatch_vox: [8, 8, 8]\npostprocess: [{open: 1}, {clearance_mm: 0.5}, {fill_holes: true}]\n";

struct seed_file {
    char *data;
    size_t bytes;
};

struct fuzz {
    struct rng rng;
    int64_t accepted, refused, silent;
};

/* ---- mutations ---- */

static int64_t below(struct fuzz *fuzz, int64_t n)
{
    return n > 0 ? (int64_t)(rng_u32(&fuzz->rng) % (uint32_t)n) : 0;
}

/* Numbers and words that parsers stumble on. */
static const char *const tokens[] = {"1000000000",
                                     "-1",
                                     "0",
                                     "99999999999999999999",
                                     "1e308",
                                     "nan",
                                     ".inf",
                                     "[]",
                                     "{}",
                                     "null",
                                     "~",
                                     "",
                                     "\"",
                                     "input",
                                     "a",
                                     "- ",
                                     ": ",
                                     "type: conv",
                                     "&x",
                                     "*x",
                                     "\t",
                                     "{\"class_name\":",
                                     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                                     "true",
                                     "4096",
                                     "65536"};

/* One to four damages; returns the new size (never more than `room`). */
static size_t damage(struct fuzz *fuzz, char *data, size_t bytes, size_t room, bool text)
{
    for (int64_t n = 1 + below(fuzz, 4); n > 0 && bytes > 0; n--) {
        size_t at = (size_t)below(fuzz, (int64_t)bytes), length = 1 + (size_t)below(fuzz, 32);
        length = length < bytes - at ? length : bytes - at;
        const char *token = tokens[below(fuzz, (int64_t)(sizeof tokens / sizeof *tokens))];
        switch (below(fuzz, text ? 6 : 5)) {
        case 0:
            data[at] = (char)(data[at] ^ (1 << below(fuzz, 8)));
            break;
        case 1:
            memset(data + at, below(fuzz, 2) ? 0xff : 0, length);
            break;
        case 2:
            bytes = below(fuzz, 4) ? bytes : at;
            break;
        case 3:
            memmove(data + at, data + below(fuzz, (int64_t)(bytes - length + 1)), length);
            break;
        case 4:
            memmove(data + at, data + at + length, bytes - at - length);
            bytes -= length;
            break;
        default:
            if (bytes + strlen(token) < room) {
                memmove(data + at + strlen(token), data + at, bytes - at);
                memcpy(data + at, token, strlen(token));
                bytes += strlen(token);
            }
        }
    }
    return bytes;
}

static void verdict(struct fuzz *fuzz, enum status status, const struct error *error)
{
    if (!status)
        fuzz->accepted++;
    else if (error->length > 8 && strchr(error->text, ':'))
        fuzz->refused++;
    else
        fuzz->silent++;
}

/* ---- the kinds ---- */

static enum status try_yaml(const char *text, struct error *error)
{
    struct arena arena = {0};
    struct network_config config;
    struct params params = {0};
    struct yaml_node *root;
    enum status status = yaml_read_text(&root, text, "fuzz.yaml", &arena, error);
    if (!status)
        status = config_bind(&network_table, root, &config, &arena, error);
    if (!status)
        status = network_describe(&params, &config, error);
    params_done(&params);
    arena_done(&arena);
    return status;
}

static enum status try_json(const char *text, struct error *error)
{
    struct arena arena = {0};
    struct keras_network network;
    const int64_t patch[3] = {16, 16, 16};
    enum status status = keras_network_derive(&network, text, "2.2.4", patch, "fuzz.h5", &arena, error);
    if (!status)
        status = try_yaml(network.yaml, error);
    arena_done(&arena);
    return status;
}

static enum status try_model(const char *path, struct error *error)
{
    struct model model = {0};
    struct restorer *restorer = NULL;
    enum status status = model_read(&model, path, true, error);
    model_done(&model);
    if (!status)
        status = restorer_open(&restorer, path, NULL, error);
    restorer_free(restorer);
    return status;
}

/* The text by which a model restores, with patches small enough to be built at once. */
static enum status try_restore(const char *text, struct error *error)
{
    struct arena arena = {0};
    struct restore_config config;
    struct network_config network;
    struct params params = {0};
    struct restorer *restorer = NULL;
    struct yaml_node *root;
    enum status status = yaml_read_text(&root, COARSE_YAML, "coarse.yaml", &arena, error);
    if (!status)
        status = config_bind(&network_table, root, &network, &arena, error);
    if (!status && !network_describe(&params, &network, error))
        status = params_allocate(&params, false, error);
    if (!status)
        status = yaml_read_text(&root, text, "fuzz.yaml", &arena, error);
    if (!status)
        status = config_bind(&restore_table, root, &config, &arena, error);
    const int64_t *patch = config.window.patch_vox;
    if (!status && patch[0] < 64 && patch[1] < 64 && patch[2] < 64 && config.window.batch < 4)
        status = restorer_new(&restorer, &network, &params, &config, NULL, error);
    restorer_free(restorer);
    params_done(&params);
    arena_done(&arena);
    return status;
}

static enum status try_keras(const char *path, struct error *error)
{
    struct model model = {0};
    enum status status = keras_import(&model, path, &(struct keras_options){0}, error);
    model_done(&model);
    return status;
}

static void fuzz_texts(struct fuzz *fuzz, int64_t count, const char *seed,
                       enum status (*attempt)(const char *, struct error *))
{
    size_t room = strlen(seed) + 1024;
    char *data = memory_alloc(room, 1);
    for (int64_t i = 0; data && i < count; i++) {
        struct error error = {0};
        memcpy(data, seed, strlen(seed) + 1);
        data[damage(fuzz, data, strlen(seed), room - 1, true)] = '\0';
        verdict(fuzz, attempt(data, &error), &error);
    }
    memory_free(data);
}

static void fuzz_files(struct fuzz *fuzz, int64_t count, const struct seed_file *seeds, int n_seeds,
                       enum status (*attempt)(const char *, struct error *))
{
    const char *path = check_path("fuzzed.h5");
    for (int64_t i = 0; i < count; i++) {
        const struct seed_file *seed = &seeds[i % n_seeds];
        char *data = memory_alloc(seed->bytes, 1);
        struct error error = {0};
        memcpy(data, seed->data, seed->bytes);
        /* half of the damages where the structure is, not the weights */
        size_t part = below(fuzz, 2) && seed->bytes > 4096 ? 4096 : seed->bytes;
        size_t left = damage(fuzz, data, part, part, false);
        memmove(data + left, seed->data + part, seed->bytes - part);
        FILE *file = fopen(path, "wb"); /* not file_write: thousands of fsyncs would be all that this does */
        if (!file || fwrite(data, 1, left + seed->bytes - part, file) != left + seed->bytes - part || fclose(file) != 0)
            abort();
        verdict(fuzz, attempt(path, &error), &error);
        memory_free(data);
    }
}

static void report(const char *kind, const struct fuzz *fuzz)
{
    printf("%-20s %" PRId64 " accepted, %" PRId64 " refused, %" PRId64 " without a word\n", kind, fuzz->accepted,
           fuzz->refused, fuzz->silent);
    fflush(stdout);
}

/* ---- seeds ---- */

static struct seed_file load(const char *path)
{
    struct seed_file seed = {0};
    struct error error = {0};
    if (file_read(&seed.data, &seed.bytes, path, 1 << 24, &error)) {
        error_print(stderr, &error);
        abort();
    }
    return seed;
}

static void make_model(struct model *model, const char *yaml, const char *restore)
{
    struct error error = {0};
    struct yaml_node *root;
    struct model_text *texts = arena_alloc(&model->arena, 2, sizeof *texts);
    texts[0] = (struct model_text){"restore", restore};
    texts[1] = (struct model_text){"licence", "none"};
    model->texts = texts;
    model->n_texts = 2;
    if (yaml_read_text(&root, yaml, "seed.yaml", &model->arena, &error) ||
        config_bind(&network_table, root, &model->network, &model->arena, &error) ||
        network_describe(&model->params, &model->network, &error) || params_allocate(&model->params, false, &error)) {
        error_print(stderr, &error);
        abort();
    }
}

static const char *write_model(struct model *model, const char *name)
{
    struct error error = {0};
    float moments[3] = {1, 2, 3};
    struct model_block blocks[] = {{.name = "adam.m", .count = 3, .floats = moments}};
    const char *path = check_path(name);
    model->blocks = blocks;
    model->n_blocks = 1;
    if (model_write(path, model, &error)) {
        error_print(stderr, &error);
        abort();
    }
    model->coarse = NULL;
    model_done(model);
    return path;
}

static const char *write_one(void)
{
    struct model model = {0};
    make_model(&model, YAML, RESTORE);
    return write_model(&model, "seed.h5");
}

static const char *write_pair(void)
{
    struct model model = {0}, coarse = {0};
    make_model(&model, FINE_YAML, FINE_RESTORE);
    make_model(&coarse, COARSE_YAML, COARSE_RESTORE);
    model.coarse = &coarse;
    const char *path = write_model(&model, "pair.h5");
    model_done(&coarse);
    return path;
}

/* model_config of a Keras file that has it as a text of fixed length. */
static char *load_json(const char *path)
{
    struct arena arena = {0};
    struct error error = {0};
    const char *text = NULL;
    hdf5_lock();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0 || hdf5_get_text(&text, file, "model_config", path, &arena, &error))
        abort();
    H5Fclose(file);
    hdf5_unlock();
    char *copy = memory_strdup(text);
    arena_done(&arena);
    return copy;
}

int main(int argc, char **argv)
{
    static const char *const keras[] = {"tests/infer/keras/old_ae.h5", "tests/infer/keras/k2_tail.h5",
                                        "tests/infer/keras/k3_joints.h5"};
    static const char *const kinds[] = {"network YAML", "restoration YAML",   "Keras architecture",
                                        "model file",   "model file, a pair", "Keras file"};
    enum { N_KINDS = sizeof kinds / sizeof *kinds };
    int64_t count = argc > 1 ? strtoll(argv[1], NULL, 10) : 100, silent = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct fuzz fuzz[N_KINDS];
    struct seed_file one = load(write_one()), pair = load(write_pair()), others[3];
    for (int i = 0; i < 3; i++)
        others[i] = load(keras[i]);
    char *config = load_json(keras[0]);
    for (int i = 0; i < N_KINDS; i++) {
        fuzz[i] = (struct fuzz){.rng = rng_make(seed, (uint64_t)i + 1)};
        switch (i) {
        case 0:
            fuzz_texts(&fuzz[i], 10 * count, YAML, try_yaml);
            break;
        case 1:
            fuzz_texts(&fuzz[i], 10 * count, FINE_RESTORE, try_restore);
            break;
        case 2:
            fuzz_texts(&fuzz[i], 10 * count, config, try_json);
            break;
        case 3:
            fuzz_files(&fuzz[i], count, &one, 1, try_model);
            break;
        case 4:
            fuzz_files(&fuzz[i], count, &pair, 1, try_model);
            break;
        default:
            fuzz_files(&fuzz[i], count, others, 3, try_keras);
        }
        report(kinds[i], &fuzz[i]);
        silent += fuzz[i].silent;
    }
    memory_free(config);
    memory_free(one.data);
    memory_free(pair.data);
    for (int i = 0; i < 3; i++)
        memory_free(others[i].data);
    int64_t peak_mb = memory_peak_bytes() >> 20;
    printf("highest memory %" PRId64 " MB\n", peak_mb);
    printf("%d passed, %d failed, 0 skipped\n", silent == 0 && peak_mb < LIMIT_MB,
           !(silent == 0 && peak_mb < LIMIT_MB));
    return silent > 0 || peak_mb >= LIMIT_MB;
}
