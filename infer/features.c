/* features.c - see features.h. The maps of a layer are the output of the network cut off after it: the same forward
 * code. Test: tests/infer/test_features.c */
#include "infer/features.h"

#include <math.h>
#include <string.h>

#include "data/volume/resample.h"
#include "infer/restorer.h"

const char *const projection_names[] = {"mean", "max", "slice", NULL};

double feature_correlation(const float *a, const float *b, int64_t n)
{
    double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < n; i++) {
        mean_a += a[i];
        mean_b += b[i];
    }

    mean_a /= (double)n;
    mean_b /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double da = a[i] - mean_a, db = b[i] - mean_b;
        aa += da * da;
        bb += db * db;
        ab += da * db;
    }

    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

void feature_project(float *out, const float *map, const int64_t size[3], int axis, enum projection how)
{
    const int64_t stride[3] = {1, size[0], size[0] * size[1]};
    const int u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
    for (int64_t j = 0; j < size[v]; j++)
        for (int64_t i = 0; i < size[u]; i++) {
            const float *line = map + i * stride[u] + j * stride[v];
            float value = line[how == PROJECT_SLICE ? size[axis] / 2 * stride[axis] : 0];
            for (int64_t k = 1; k < size[axis] && how != PROJECT_SLICE; k++) {
                const float next = line[k * stride[axis]];
                value = how == PROJECT_MAX ? fmaxf(value, next) : value + next;
            }
            *out++ = how == PROJECT_MEAN ? value / (float)size[axis] : value;
        }
}

/* ---- which layers ---- */

static bool features_same_size(struct shape a, struct shape b)
{
    return a.d == b.d && a.h == b.h && a.w == b.w;
}

/* Named by the caller; by default the last layer of each resolution. */
static bool features_layer_wanted(const struct network *network, int64_t i, const struct config_strings *names)
{
    const struct layer *layer = network_layer(network, i);
    if (names->n == 0)
        return i + 1 == network_n_layers(network) ||
               !features_same_size(layer->dst.shape, network_layer(network, i + 1)->dst.shape);
    for (int64_t k = 0; k < names->n; k++)
        if (strcmp(names->items[k], layer->name) == 0)
            return true;
    return false;
}

static enum status features_check_layers(const struct network *network, const struct config_strings *names,
                                         struct arena *arena, struct error *error)
{
    const int64_t n = network_n_layers(network);
    const char **all = arena_alloc(arena, (size_t)n + 1, sizeof *all);

    if (!all)
        return error_memory(error, (size_t)n * sizeof *all, "the names of layers");
    for (int64_t i = 0; i < n; i++)
        all[i] = network_layer(network, i)->name;

    /* An unknown name is an error that proposes the nearest one. */
    for (int64_t k = 0; k < names->n; k++) {
        bool found = false;
        for (int64_t i = 0; i < n && !found; i++)
            found = strcmp(all[i], names->items[k]) == 0;
        const char *near = found ? NULL : config_nearest(names->items[k], all);
        if (!found)
            return error_set(error, STATUS_USAGE, "layers: no layer is called '%s'%s%s%s", names->items[k],
                             near ? " (did you mean '" : " (`calvaria info` lists them)", near ? near : "",
                             near ? "'?)" : "");
    }

    return STATUS_OK;
}

static enum status feature_layer_open(struct feature_layer *ret, const struct layer *layer, struct arena *arena,
                                      struct error *error)
{
    const struct shape shape = layer->dst.shape;
    const int64_t voxels = shape.d * shape.h * shape.w;

    *ret = (struct feature_layer){.name = arena_strdup(arena, layer->name),
                                  .type = layer->ops->config.type,
                                  .index = layer->index,
                                  .n_maps = shape.c,
                                  .size = {shape.w, shape.h, shape.d}};
    ret->values = arena_alloc(arena, (size_t)(voxels * shape.c), sizeof *ret->values);
    ret->bone = arena_alloc(arena, (size_t)voxels, sizeof *ret->bone);
    ret->missing = arena_alloc(arena, (size_t)voxels, sizeof *ret->missing);
    ret->r_bone = arena_alloc(arena, (size_t)shape.c, sizeof *ret->r_bone);
    ret->r_missing = arena_alloc(arena, (size_t)shape.c, sizeof *ret->r_missing);

    return ret->name && ret->values && ret->bone && ret->missing && ret->r_bone && ret->r_missing
               ? STATUS_OK
               : error_memory(error, (size_t)(voxels * shape.c) * sizeof *ret->values, "a layer's maps");
}

static enum status features_init(struct features *features, const struct config_strings *names, struct error *error)
{
    const struct network *network = features->restorer->network;
    const int64_t n = network_n_layers(network), *patch = features->restorer->config.window.patch_vox;
    const int64_t voxels = patch[0] * patch[1] * patch[2];

    if (features_check_layers(network, names, &features->arena, error))
        return error->status;
    memcpy(features->patch, patch, sizeof features->patch);
    features->src = arena_alloc(&features->arena, (size_t)voxels, sizeof(float));
    features->missing = arena_alloc(&features->arena, (size_t)voxels, sizeof(float));
    features->layers = arena_alloc(&features->arena, (size_t)n, sizeof *features->layers);
    if (!features->src || !features->missing || !features->layers)
        return error_memory(error, (size_t)voxels * sizeof(float), "the patch");

    for (int64_t i = 0; i < n; i++)
        if (features_layer_wanted(network, i, names) &&
            feature_layer_open(&features->layers[features->n_layers++], network_layer(network, i), &features->arena,
                               error))
            return error->status;

    return STATUS_OK;
}

enum status features_open(struct features *ret, struct restorer *restorer, const struct config_strings *layers,
                          struct error *error)
{
    struct features features = {.restorer =
                                    restorer->coarse && restorer->coarse->network ? restorer->coarse : restorer};
    if (!features.restorer->network)
        return error_set(error, STATUS_USAGE, "features: %s has no network, and so no feature maps", restorer->path);
    if (features_init(&features, layers, error)) {
        features_close(&features);
        return error->status;
    }
    *ret = features;
    return STATUS_OK;
}

void features_close(struct features *features)
{
    arena_done(&features->arena);
    *features = (struct features){0};
}

/* ---- the patch ---- */

/* Where a patch of this size begins so that it has the missing part (shares) in its middle and stays on the volume
 * where it can. */
static void features_patch_centre(int64_t lo[3], const float *missing, const int64_t dim[3], const int64_t patch[3])
{
    double sum[3] = {0}, weight = 0;
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++)
        if (missing[i] > 0) {
            const int64_t at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
            for (int a = 0; a < 3; a++)
                sum[a] += (double)missing[i] * (double)at[a];
            weight += (double)missing[i];
        }

    for (int a = 0; a < 3; a++) {
        const double middle = weight > 0 ? sum[a] / weight : 0.5 * (double)dim[a];
        lo[a] = llround(middle) - patch[a] / 2;
        lo[a] = lo[a] > dim[a] - patch[a] ? dim[a] - patch[a] : lo[a];
        lo[a] = lo[a] < 0 ? 0 : lo[a];
    }
}

static enum status features_cut(struct features *features, const struct volume *skull, const struct volume *implant,
                                struct error *error)
{
    const struct restore_config *config = &features->restorer->config;
    struct volume bone = {0}, missing = {0};
    struct grid working;
    int64_t lo[3] = {0};

    restorer_working_grid(features->restorer, &skull->grid, &working);
    enum status status = resample_volume(&bone, skull, &working, RESAMPLE_AREA, error);
    if (!status)
        status = resample_volume(&missing, implant, &working, RESAMPLE_AREA, error);
    if (!status) {
        /* The patch that contains the defect, or the frame that the deployed scan would use. */
        if (config->window.scan != SCAN_WHOLE)
            features_patch_centre(lo, missing.data, working.dim, features->patch);
        else if (config->working_spacing_mm[0] > 0)
            skull_crop(lo, bone.data, working.dim, features->patch);
        resample_crop(features->src, features->patch, bone.data, working.dim, lo);
        resample_crop(features->missing, features->patch, missing.data, working.dim, lo);
    }

    volume_done(&bone);
    volume_done(&missing);
    return status;
}

/* ---- the maps ---- */

static enum status feature_layer_forward(struct feature_layer *layer, const struct features *features,
                                         struct error *error)
{
    const struct restorer *restorer = features->restorer;
    struct network_config cut = *restorer->network_config;
    struct network *network;

    /* The network up to and including this layer; weights stay where they are. */
    cut.layers.n = layer->index + 1;
    const struct shape src = {1, 1, features->patch[2], features->patch[1], features->patch[0]};
    if (network_new(&network, &cut, restorer->params, src, NETWORK_INFER, error))
        return error_while(error, "computing layer '%s'", layer->name);
    const float *values = network_forward(network, features->src, &(struct pass){.training = false});
    memcpy(layer->values, values,
           (size_t)(layer->n_maps * layer->size[0] * layer->size[1] * layer->size[2]) * sizeof *values);
    enum status status = network_status(network, error);
    network_free(network);
    return status;
}

/* The patch as shares in the voxels of a map. */
static enum status feature_layer_shares(float *out, const float *patch, const int64_t size[3], const int64_t to[3],
                                        struct error *error)
{
    double spacing[3];
    for (int a = 0; a < 3; a++)
        spacing[a] = (double)size[a] / (double)to[a];
    struct volume src = {.type = VOXEL_F32,
                         .data = (void *)(uintptr_t)patch,
                         .grid = grid_make(size, (const double[3]){1, 1, 1})},
                  dst;
    const struct grid grid = grid_make(to, spacing);
    if (resample_volume(&dst, &src, &grid, RESAMPLE_AREA, error))
        return error->status;
    memcpy(out, dst.data, (size_t)grid_voxels(&grid) * sizeof *out);

    volume_done(&dst);
    return STATUS_OK;
}

enum status features_look(struct features *features, const struct volume *skull, const struct volume *implant,
                          struct error *error)
{
    if (features_cut(features, skull, implant, error))
        return error_while(error, "cutting the patch");
    for (int64_t l = 0; l < features->n_layers; l++) {
        struct feature_layer *layer = &features->layers[l];
        const int64_t voxels = layer->size[0] * layer->size[1] * layer->size[2];
        if (feature_layer_forward(layer, features, error) ||
            feature_layer_shares(layer->bone, features->src, features->patch, layer->size, error) ||
            feature_layer_shares(layer->missing, features->missing, features->patch, layer->size, error))
            return error->status;

#pragma omp parallel for schedule(static)
        for (int64_t m = 0; m < layer->n_maps; m++) {
            layer->r_bone[m] = feature_correlation(layer->values + m * voxels, layer->bone, voxels);
            layer->r_missing[m] = feature_correlation(layer->values + m * voxels, layer->missing, voxels);
        }
    }

    return STATUS_OK;
}
