/* sample.c - one training sample: a skull, its defect, its augmentation, its patches. See sample.h. Test:
 * tests/data/test_loader.c. */
#include "data/sample/sample.h"

#include <string.h>

#include "base/memory.h"
#include "data/defects/region.h"
#include "data/mask/distance.h"
#include "data/sample/sample_fraction.h"
#include "data/volume/resample.h"

/* Streams of random numbers: one for epochs, one for samples. Each use within a sample has a child of its own. */
enum { STREAM_EPOCH, STREAM_DRAW };
enum { CHILD_DEFECT, CHILD_PATCHES, CHILD_AUGMENT, CHILD_NOISE, CHILD_KIND, CHILD_WARP };

static struct rng sample_stream(uint64_t seed, uint64_t which, int64_t number)
{
    const struct rng all = rng_make(seed, which);
    return rng_child(&all, (uint64_t)number);
}

/* Where number / n_cases is the epoch, the case at place number % n_cases of its shuffled order. The shuffle is run
 * from its end, so it can stop once that place is settled; it is traced back through the swaps without an array. */
int64_t sample_case(const struct sample_source *source, int64_t number)
{
    const int64_t n = source->n_cases;
    struct rng rng = sample_stream(source->seed, STREAM_EPOCH, number / n);
    int64_t place = number % n;
    for (int64_t k = 1; k < n; k++) { /* an inverse Fisher-Yates: place follows each transposition (k, j <= k) */
        const int64_t j = rng_below(&rng, k + 1);
        if (place == k)
            place = j;
        else if (place == j)
            place = k;
    }
    return source->cases[place];
}

/* ---- the skull and its missing part ---- */

/* skull: read whole where a generator or the augmentation needs it; else data stays NULL and patches come straight from
 * the file. */
static enum status sample_defect(struct volume *skull, struct region *implant, const struct sample_source *source,
                                 int64_t i, bool moved, struct rng rng, struct error *error)
{
    const struct dataset_case *item = dataset_case(source->set, i);
    const bool whole = moved || source->defects || source->config->sampler == SAMPLER_WHOLE;
    struct rng kind = rng_child(&rng, CHILD_KIND);
    const bool healthy = rng_uniform(&kind, 0, 1) < source->config->healthy_frac;
    const bool stored = rng_uniform(&kind, 0, 1) < source->config->stored_frac && item->n_implants > 0;
    if (whole && dataset_read_skull(skull, source->set, i, error))
        return error->status;
    if (healthy)
        return STATUS_OK;
    if (source->defects && !stored)
        return defect_draw(implant, NULL, skull, item->box, source->defects, rng, error);
    const int64_t j = rng_below(&rng, item->n_implants);
    if (region_new(implant, item->implant_boxes[j], error))
        return error->status;
    return dataset_read_box(implant->mask, source->set, i, j, implant->box, error);
}

/* ---- patches ---- */

/* out (box-sized) |= code where src, which covers src_box, is set. */
static void sample_cut(uint8_t *out, struct box box, const uint8_t *src, struct box src_box, uint8_t code)
{
    const struct box part = box_meet(box, src_box);
    const int64_t w = box_size(part, 0);
    for (int64_t z = part.lo[2]; z < part.hi[2]; z++)
        for (int64_t y = part.lo[1]; y < part.hi[1]; y++) {
            const uint8_t *from =
                src + ((z - src_box.lo[2]) * box_size(src_box, 1) + y - src_box.lo[1]) * box_size(src_box, 0) +
                part.lo[0] - src_box.lo[0];
            uint8_t *to =
                out + ((z - box.lo[2]) * box_size(box, 1) + y - box.lo[1]) * box_size(box, 0) + part.lo[0] - box.lo[0];
            for (int64_t x = 0; x < w; x++)
                to[x] = (uint8_t)(to[x] | (from[x] ? code : 0));
        }
}

static enum status sample_patch(uint8_t *out, const struct sample_source *source, const struct sample_pair *pair,
                                struct box box, struct error *error)
{
    if (pair->augment.moved) {
        struct augment_patch patch;
        for (int a = 0; a < 3; a++) {
            patch.lo[a] = (double)box.lo[a];
            patch.step[a] = 1;
            patch.size[a] = box_size(box, a);
        }
        patch.samples = 1;
        return augment_cut(out, &pair->augment, pair->skull.data, &patch, error);
    }
    if (pair->skull.data)
        sample_cut(out, box, pair->skull.data, box_of_grid(&pair->skull.grid), CODE_BONE);
    else if (dataset_read_box(out, source->set, pair->i, -1, box, error))
        return error->status;
    if (pair->implant.mask)
        sample_cut(out, box, pair->implant.mask, pair->implant.box, CODE_MISSING);
    return STATUS_OK;
}

static enum status sample_patches(struct sample *sample, const struct sample_source *source, struct sample_pair *pair,
                                  const struct rng *rng, struct error *error)
{
    const struct dataset_case *item = dataset_case(source->set, pair->i);
    const struct sampler_grid on = sampler_grid_of(&item->grid, 0);
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    const struct rng places = rng_child(rng, CHILD_PATCHES), noise = rng_child(rng, CHILD_NOISE);
    sample->codes = memory_zalloc((size_t)sample->n_patches, (size_t)n);
    if (!sample->codes)
        return error_memory(error, (size_t)(sample->n_patches * n), "the patches of a skull");
    for (int64_t k = 0; k < sample->n_patches; k++) {
        const struct box box = sampler_box(source->config, &pair->augment, &on, item->box, &pair->implant, places, k);
        uint8_t *out = sample->codes + k * n;
        if (sample_patch(out, source, pair, box, error))
            return error->status;
        augment_noise(out, &pair->augment, patch, rng_child(&noise, (uint64_t)k));
    }
    return STATUS_OK;
}

/* The target of patch k, above one half. */
static void sample_target_mask(uint8_t *mask, const struct sample *sample, int64_t k, int64_t n, enum task task)
{
    const float *fraction = sample->fraction ? sample->fraction + (2 * k + (task == TASK_IMPLANT)) * n : NULL;
    const uint8_t wanted = task == TASK_COMPLETION ? CODE_BONE : CODE_MISSING;
    for (int64_t v = 0; v < n; v++)
        mask[v] = fraction ? fraction[v] > 0.5F : (sample->codes[k * n + v] & wanted) != 0;
}

static enum status sample_distances(struct sample *sample, const struct sample_source *source, struct error *error)
{
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    uint8_t *mask = memory_alloc((size_t)n, 1);
    sample->distance = memory_alloc((size_t)(sample->n_patches * n), sizeof *sample->distance);
    enum status status = mask && sample->distance
                             ? STATUS_OK
                             : error_memory(error, (size_t)(sample->n_patches * n) * 4, "distances of targets");
    for (int64_t k = 0; !status && k < sample->n_patches; k++) {
        sample_target_mask(mask, sample, k, n, source->task);
        status = distance_signed(sample->distance + k * n, mask, patch, error);
    }
    memory_free(mask);
    return status;
}

/* ---- the whole skull at another resolution ---- */

static enum status sample_resample(float *out, const struct volume *mask, const struct grid *to, struct error *error)
{
    struct volume fraction;
    if (resample_volume(&fraction, mask, to, RESAMPLE_LINEAR, error))
        return error->status;
    memcpy(out, fraction.data, (size_t)grid_voxels(to) * sizeof *out);
    volume_done(&fraction);
    return STATUS_OK;
}

static enum status sample_whole_augmented(struct sample *sample, const struct sample_pair *pair, const int64_t size[3],
                                          struct error *error)
{
    struct augment_patch patch = {.samples = 1};
    for (int a = 0; a < 3; a++) {
        patch.size[a] = size[a];
        patch.step[a] = (double)pair->skull.grid.dim[a] / (double)size[a];
        patch.lo[a] = 0.5 * patch.step[a] - 0.5; /* the same field of view */
    }
    return augment_cut_fraction(sample->fraction, sample->fraction + size[0] * size[1] * size[2], &pair->augment,
                                pair->skull.data, &patch, error);
}

static enum status sample_whole(struct sample *sample, const struct sample_source *source, struct sample_pair *pair,
                                struct error *error)
{
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    struct volume *skull = &pair->skull;
    const struct grid to = resample_fit(&skull->grid, patch);
    const struct box all = box_of_grid(&skull->grid);
    sample->fraction = memory_alloc((size_t)n, 2 * sizeof *sample->fraction);
    if (!sample->fraction)
        return error_memory(error, (size_t)n * 2 * sizeof *sample->fraction, "the patches of a skull");
    if (pair->augment.moved)
        return sample_whole_augmented(sample, pair, patch, error);
    if (sample_resample(sample->fraction, skull, &to, error))
        return error->status;
    memset(skull->data, 0, (size_t)grid_voxels(&skull->grid)); /* its memory now holds the implant */
    sample_cut(skull->data, all, pair->implant.mask, pair->implant.box, 1);
    return sample_resample(sample->fraction + n, skull, &to, error);
}

/* Another head's shape. */
static enum status sample_warp(struct augment *augment, const struct sample_source *source,
                               const struct dataset_case *item, struct rng rng, struct error *error)
{
    const struct loader_warp *warp = &source->config->warp;
    if (augment->warp_share <= 0)
        return STATUS_OK;
    if (!warp->draw)
        return error_set(error, STATUS_FAILED, "data.augment.warp_shape: no model of heads was opened");
    if (warp->draw(warp->context, &augment->warp, item, augment->warp_share, rng, error))
        return error->status;
    augment->moved |= augment->warp != NULL;
    return STATUS_OK;
}

static enum status sample_pair_make(struct sample_pair *pair, const struct sample_source *source, const struct rng *rng,
                                    struct error *error)
{
    const struct dataset_case *item = dataset_case(source->set, pair->i);
    if (augment_draw(&pair->augment, &source->config->augment, &item->grid, item->box, rng_child(rng, CHILD_AUGMENT),
                     error) ||
        sample_warp(&pair->augment, source, item, rng_child(rng, CHILD_WARP), error))
        return error->status;
    const bool looked_up = pair->augment.moved || source->config->spacing_mm > 0;
    if (sample_defect(&pair->skull, &pair->implant, source, pair->i, looked_up, rng_child(rng, CHILD_DEFECT), error))
        return error->status;
    if (looked_up && pair->implant.mask) /* both in one volume: patches look them up together */
        sample_cut(pair->skull.data, box_of_grid(&item->grid), pair->implant.mask, pair->implant.box, CODE_MISSING);
    return STATUS_OK;
}

int64_t sample_count(const struct loader_config *config, const struct grid *grid)
{
    return sampler_count(config, sampler_grid_of(grid, config->spacing_mm).dim);
}

enum status sample_make(struct sample *ret, const struct sample_source *source, int64_t number, struct error *error)
{
    struct sample_pair pair = {.i = sample_case(source, number)};
    const struct dataset_case *item = dataset_case(source->set, pair.i);
    const struct rng rng = sample_stream(source->seed, STREAM_DRAW, number);
    const bool resampled = source->config->sampler == SAMPLER_WHOLE &&
                           memcmp(item->grid.dim, source->config->patch_vox, sizeof item->grid.dim) != 0;

    pair.skull.grid = item->grid;
    *ret = (struct sample){.n_patches = sample_count(source->config, &item->grid)};
    enum status status = sample_pair_make(&pair, source, &rng, error);
    if (!status && source->config->spacing_mm > 0)
        status = sample_fraction(ret, source, &pair, rng_child(&rng, CHILD_PATCHES), error);
    else if (!status)
        status = resampled ? sample_whole(ret, source, &pair, error) : sample_patches(ret, source, &pair, &rng, error);
    if (!status && source->config->distance)
        status = sample_distances(ret, source, error);
    volume_done(&pair.skull);
    region_done(&pair.implant);
    augment_done(&pair.augment);
    if (status) {
        sample_done(ret);
        return error_while(error, "making training patches of case '%s'", item->name);
    }

    return STATUS_OK;
}

void sample_done(struct sample *sample)
{
    memory_free(sample->codes);
    memory_free(sample->fraction);
    memory_free(sample->prior);
    memory_free(sample->distance);
    memory_free(sample->crop);
    memory_free(sample->at);
    *sample = (struct sample){0};
}

void sample_fill(const struct sample *sample, int64_t k, int64_t n, enum task task, float *src, float *target)
{
    if (sample->fraction) {
        const float *skull = sample->fraction + 2 * k * n, *implant = skull + n;
        for (int64_t v = 0; v < n; v++) {
            src[v] = skull[v] - implant[v];
            target[v] = task == TASK_COMPLETION ? skull[v] : implant[v];
        }
        return;
    }
    const uint8_t *codes = sample->codes + k * n;
    const uint8_t wanted = task == TASK_COMPLETION ? CODE_BONE : CODE_MISSING;
    for (int64_t v = 0; v < n; v++) {
        src[v] = codes[v] == CODE_BONE ? 1.0F : 0.0F;
        target[v] = codes[v] & wanted ? 1.0F : 0.0F;
    }
}
