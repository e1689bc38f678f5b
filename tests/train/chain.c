/* chain.c - see chain.h. */
#include "tests/train/chain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/dataset.h"
#include "data/volume/formats.h"
#include "nn/model/model_file.h"
#include "shape/fit.h"
#include "tests/check.h"
#include "tests/train/child.h"

enum { N_HEADS = 6 };

/* An ellipsoid shell, each head of another size. */
static bool chain_head(const char *path, int number)
{
    struct error error = {0};
    struct volume head = {0};
    const int64_t dim[3] = {40, 44, 36};
    struct grid grid = grid_make(dim, (const double[3]){4, 4, 4});
    if (!CHECK_OK(volume_new(&head, &grid, VOXEL_U8, &error), &error))
        return false;
    const double half[3] = {15.0 + 0.4 * number, 17.5 + 0.3 * number, 14.0 + 0.2 * number};
    uint8_t *mask = head.data;
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++) {
                double u = ((double)x - 19.5) / half[0], v = ((double)y - 21.5) / half[1],
                       w = ((double)z - 17.5) / half[2];
                double r = sqrt(u * u + v * v + w * w);
                mask[(z * dim[1] + y) * dim[0] + x] = r <= 1 && r >= 0.8;
            }
    bool ok = CHECK_OK(volume_write(path, &head, &error), &error);
    volume_done(&head);
    return ok;
}

const char *chain_set(void)
{
    static const char *set;
    struct error error = {0};
    struct pack_config config = {.split_frac = {0.6, 0.4, 0}, .seed = 1, .split_file = check_path("split.tsv")};
    const char split[] = "head0\ttrain\nhead1\tval\nhead2\ttrain\nhead3\ttrain\nhead4\tval\nhead5\ttrain\n";
    const char defects[] = "defects:\n  - type: sphere\n    radius_mm: [20, 28]\n    placement_box: skull\n";
    if (set)
        return set;
    if (!CHECK_OK(file_make_folders(check_path("heads"), &error), &error) ||
        !CHECK_OK(file_write(config.split_file, split, strlen(split), &error), &error) ||
        !CHECK_OK(file_write(check_path("defects.yaml"), defects, strlen(defects), &error), &error))
        return NULL;
    for (int i = 0; i < N_HEADS; i++) {
        char name[32];
        snprintf(name, sizeof name, "heads/head%d.nii.gz", i);
        if (!chain_head(check_path(name), i))
            return NULL;
    }
    if (!CHECK_OK(dataset_pack(check_path("heads"), check_path("set.h5"), &config, &error), &error))
        return NULL;
    set = check_path("set.h5");
    return set;
}

static const char chain_text_of_recipe[] =
    "name: chain\n"
    "seed: 5\n"
    "task: completion\n"
    "network:\n"
    "  name: small\n"
    "  patch_vox: 16\n"
    "  layers:\n"
    "    - { type: conv, name: enc, filters: 8, stride: 2 }\n"
    "    - { type: leaky_relu, slope: 0.2 }\n"
    "    - { type: batch_norm, name: norm, momentum: 0.8 }\n"
    "    - { type: conv, name: mid, filters: 8 }\n"
    "    - { type: relu }\n"
    "    - { type: dropout, rate: 0.3 }\n"
    "    - { type: upsample, name: up }\n"
    "    - { type: concat, from: [up, input] }\n"
    "    - { type: conv, name: dec, filters: 8 }\n"
    "    - { type: relu }\n"
    "    - { type: conv, name: head, filters: 1, kernel: 1 }\n"
    "    - { type: sigmoid }\n"
    "data: { set: set.h5, defects: defects.yaml, sampler: grid, patch_vox: [16, 16, 16], workers: 2 }\n"
    "loss: [ { type: mse }, { type: dice, weight: 0.1 } ]\n"
    "optimizer: { type: adam, lr: 1.0e-3, beta1: 0.5 }\n"
    "schedule: { type: constant }\n"
    "train: { steps: 6, batch: 2, validate_every: 3, validate_patches: 4, validate_cases: 1, checkpoint_every: 3, "
    "best: dsc, threads: 2,\n"
    "         pictures: false }\n"
    "restore: { scan: grid, postprocess: [ { keep_largest: 1 } ] }\n";

const char chain_adversary[] = "adversary:\n"
                               "  type: gan\n"
                               "  weight: 0.2\n"
                               "  network:\n"
                               "    layers:\n"
                               "      - { name: look, type: conv, filters: 8, kernel: 3, stride: 2 }\n"
                               "      - { type: leaky_relu, slope: 0.2 }\n"
                               "      - { type: batch_norm, name: judge_norm, momentum: 0.8 }\n"
                               "      - { type: flatten }\n"
                               "      - { name: real, type: dense, units: 1 }\n"
                               "      - { type: sigmoid }\n";

const char *chain_shape(void)
{
    static const char *file;
    struct error error = {0};
    struct shape_model shape = {0};
    struct fit_report report;
    const char *paths[] = {chain_set()}, *path = check_path("chain_shape.h5");
    const struct fit_config fit = {.sets = {1, paths}, .split = SPLIT_N};
    if (!file && CHECK(paths[0] != NULL) && CHECK_OK(shape_fit(&shape, &report, &fit, &error), &error) &&
        CHECK_OK(shape_model_write(path, &shape, &error), &error))
        file = path;
    shape_model_done(&shape);
    return file;
}

const char *chain_recipe(const char *name, const char *extra)
{
    struct error error = {0};
    const char *path = check_path(name);
    char *text = memory_printf("%s%s", chain_text_of_recipe, extra ? extra : "");
    if (!text || !CHECK_OK(file_write(path, text, strlen(text), &error), &error))
        path = NULL;
    memory_free(text);
    return path;
}

enum status chain_trainer(struct trainer *trainer, const char *recipe, int n_sets, char *const *sets,
                          const char *folder, struct error *error)
{
    const struct trainer_request request = {.recipe = recipe, .n_sets = n_sets, .sets = sets, .folder = folder};
    return trainer_create(trainer, &request, error);
}

const char *chain_in(const char *run, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s/%s", run, name);
    return check_path(text);
}

int chain_steps(const char *run)
{
    struct error error = {0};
    const char *path = chain_in(run, "metrics.tsv");
    char *text = NULL;
    size_t bytes;
    int n = -1;
    if (file_exists(path) && !file_read(&text, &bytes, path, 1 << 24, &error))
        for (const char *at = text; (at = strchr(at, '\n')); at++)
            n++;
    memory_free(text);
    return n;
}

void chain_wait_for(const char *path)
{
    for (int i = 0; i < 30000 && !file_exists(path); i++)
        child_nap(0.002);
    CHECK(file_exists(path));
}

char *chain_text(const char *path)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    return CHECK_OK(file_read(&text, &bytes, path, 1 << 24, &error), &error) ? text : NULL;
}

static bool same_bits(const char *what, const void *a, const void *b, int64_t count, size_t size)
{
    if (a && b && memcmp(a, b, (size_t)count * size) == 0)
        return true;
    printf("    differs: %s\n", what);
    return false;
}

static bool same_blocks(const struct model *a, const struct model *b)
{
    bool same = a->n_blocks == b->n_blocks && a->n_blocks > 0;
    for (int64_t i = 0; same && i < a->n_blocks; i++) {
        const struct model_block *x = &a->blocks[i], *y = model_block(b, x->name);
        same = y && x->count == y->count &&
               (x->floats ? same_bits(x->name, x->floats, y->floats, x->count, sizeof(float))
                          : same_bits(x->name, x->ints, y->ints, x->count, sizeof(int64_t)));
    }
    return same;
}

bool chain_same_model(const char *path_a, const char *path_b)
{
    struct error error = {0};
    struct model a = {0}, b = {0};
    bool same = CHECK_OK(model_read(&a, path_a, true, &error), &error) &&
                CHECK_OK(model_read(&b, path_b, true, &error), &error) && a.params.n_floats == b.params.n_floats;
    for (int64_t i = 0; same && i < a.params.n; i++) {
        const struct param *x = &a.params.items[i], *y = params_find(&b.params, x->name);
        same = y && same_bits(x->name, a.params.value + x->offset, b.params.value + y->offset, x->count, sizeof(float));
    }
    same = same && same_blocks(&a, &b);
    model_done(&a);
    model_done(&b);
    return same;
}

const char *chain_write(const char *name, const char *text)
{
    struct error error = {0};
    const char *path = check_path(name);
    if (!chain_set() || !chain_recipe("plain.yaml", NULL) ||
        !CHECK_OK(file_write(path, text, strlen(text), &error), &error))
        return NULL;
    return path;
}
