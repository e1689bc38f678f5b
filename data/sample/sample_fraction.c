/* sample_fraction.c - see sample_fraction.h. Three grids: the skull's own voxels; `on`, at the patches' spacing;
 * `view`, at the coarse stage's, of which the crop is cut. Places are in voxels of the grid they are named after.
 * Test: tests/data/test_loader.c. */
#include "data/sample/sample_fraction.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/defects/region.h"
#include "data/volume/resample.h"

/* Points per axis that stand for a voxel's box: interpolated between the skull's own voxels, they need not be denser
 * than 1.4 of them. */
static int64_t sample_fraction_points(const double step[3])
{
    const double longest = fmax(step[0], fmax(step[1], step[2]));
    return (int64_t)fmax(1, ceil(longest / 1.4));
}

/* Voxels [lo, lo + size) of the grid `on`. */
static enum status sample_fraction_cut(float *skull, float *implant, const struct sample_pair *pair,
                                       const struct sampler_grid *on, const int64_t lo[3], const int64_t size[3],
                                       struct error *error)
{
    struct augment_patch patch = {.samples = sample_fraction_points(on->step)};
    for (int a = 0; a < 3; a++) {
        patch.lo[a] = on->lo[a] + (double)lo[a] * on->step[a];
        patch.step[a] = on->step[a];
        patch.size[a] = size[a];
    }
    return augment_cut_fraction(skull, implant, &pair->augment, pair->skull.data, &patch, error);
}

/* ---- a crop of the whole skull ---- */

/* A crop of the whole skull, of what is missing, of the defective skull; NULL: not wanted. Where it lies on the
 * grid `on` follows from the defective skull alone, as at inference. */
struct crop_views {
    float *whole, *missing, *defective;
};

static enum status sample_fraction_crop_whole(const struct crop_views *out, int64_t lo[3],
                                              const struct sample_pair *pair, const struct sampler_grid *on,
                                              const int64_t crop[3], struct error *error)
{
    static const int64_t all[3] = {0};
    const int64_t n = on->dim[0] * on->dim[1] * on->dim[2];
    float *whole = memory_alloc((size_t)n, 3 * sizeof *whole);
    if (!whole)
        return error_memory(error, (size_t)n * 3 * sizeof *whole, "a view of the whole skull");
    float *missing = whole + n, *defective = whole + 2 * n;
    enum status status = sample_fraction_cut(whole, missing, pair, on, all, on->dim, error);
    if (!status) {
        for (int64_t v = 0; v < n; v++)
            defective[v] = whole[v] - missing[v];
        skull_crop(lo, defective, on->dim, crop);
        lo[2] += (int64_t)(pair->augment.crop_top_mm / (on->step[2] * grid_spacing_mm(&pair->skull.grid, 2)));
        if (out->whole)
            resample_crop(out->whole, crop, whole, on->dim, lo);
        if (out->missing)
            resample_crop(out->missing, crop, missing, on->dim, lo);
        if (out->defective)
            resample_crop(out->defective, crop, defective, on->dim, lo);
    }
    memory_free(whole);
    return status;
}

/* ---- the coarse prediction ---- */

static enum status sample_fraction_crop(struct sample *sample, const struct sample_pair *pair,
                                        const struct loader_prior *prior, struct sampler_grid *on, int64_t lo[3],
                                        struct error *error)
{
    const int64_t *crop = prior->patch_vox, n = crop[0] * crop[1] * crop[2];
    sample->crop = memory_alloc((size_t)n, sizeof *sample->crop);
    if (!sample->crop)
        return error_memory(error, (size_t)n * sizeof *sample->crop, "a view of the whole skull");
    *on = sampler_grid_of(&pair->skull.grid, prior->spacing_mm);
    return sample_fraction_crop_whole(&(struct crop_views){.defective = sample->crop}, lo, pair, on, crop, error);
}

void sample_prior(float *out, const struct sample *sample, int64_t k, const struct loader_config *config,
                  const float *p)
{
    resample_lattice(out, config->patch_vox, p, config->prior.patch_vox, sample->at + 3 * k, sample->step);
}

/* ---- a prior of the whole head ---- */

/* The field of the defective skull, in its own voxels. */
static enum status sample_fraction_field(struct prior_field *ret, const struct loader_prior *prior,
                                         const struct dataset_case *item, const struct sample_pair *pair,
                                         struct error *error)
{
    const uint8_t *codes = pair->skull.data;
    struct volume defective;
    if (volume_new(&defective, &item->grid, VOXEL_U8, error))
        return error->status;
    const int64_t n = grid_voxels(&item->grid);
    uint8_t *bone = defective.data;
    for (int64_t v = 0; v < n; v++)
        bone[v] = codes[v] == CODE_BONE;
    const enum status status = prior->field(prior->context, ret, item, &defective, error);
    volume_done(&defective);
    return status;
}

static enum status sample_fraction_prior(float *out, const struct sample_pair *pair, const struct sampler_grid *on,
                                         const struct prior_field *field, const struct box *box, struct error *error)
{
    struct augment_patch patch = {.samples = 1};
    for (int a = 0; a < 3; a++) {
        patch.lo[a] = on->lo[a] + (double)box->lo[a] * on->step[a];
        patch.step[a] = on->step[a];
        patch.size[a] = box_size(*box, a);
    }
    return augment_cut_field(out, &pair->augment, field, &patch, error);
}

/* ---- all ---- */

static enum status sample_fraction_place(struct sample *sample, const struct sampler_grid *on,
                                         const struct sampler_grid *view, const int64_t view_lo[3], const int64_t lo[3],
                                         int64_t k, struct error *error)
{
    if (!sample->at && !(sample->at = memory_alloc((size_t)sample->n_patches, 3 * sizeof *sample->at)))
        return error_memory(error, (size_t)sample->n_patches * 3 * sizeof *sample->at, "the places of patches");
    for (int a = 0; a < 3; a++) {
        const double on_skull = on->lo[a] + (double)lo[a] * on->step[a];
        sample->at[3 * k + a] = (on_skull - view->lo[a]) / view->step[a] - (double)view_lo[a];
        sample->step[a] = on->step[a] / view->step[a];
    }
    return STATUS_OK;
}

/* Patch after patch: shares of bone and of missing bone, and the prior beside them. */
static enum status sample_fraction_patches(struct sample *sample, const struct sample_source *source,
                                           const struct sample_pair *pair, const struct prior_field *field,
                                           struct rng rng, struct error *error)
{
    const struct loader_config *config = source->config;
    const struct dataset_case *item = dataset_case(source->set, pair->i);
    const int64_t *patch = config->patch_vox, n = patch[0] * patch[1] * patch[2];
    const struct sampler_grid on = sampler_grid_of(&item->grid, config->spacing_mm);
    struct sampler_grid view;
    int64_t view_lo[3];
    if (config->prior.predict && sample_fraction_crop(sample, pair, &config->prior, &view, view_lo, error))
        return error->status;

    for (int64_t k = 0; k < sample->n_patches; k++) {
        float *skull = sample->fraction + 2 * k * n;
        struct box box = sampler_box(config, &pair->augment, &on, item->box, &pair->implant, rng, k);
        if (config->sampler == SAMPLER_WHOLE
                ? sample_fraction_crop_whole(&(struct crop_views){.whole = skull, .missing = skull + n}, box.lo, pair,
                                             &on, patch, error)
                : sample_fraction_cut(skull, skull + n, pair, &on, box.lo, patch, error))
            return error->status;
        if (config->prior.predict && sample_fraction_place(sample, &on, &view, view_lo, box.lo, k, error))
            return error->status;
        if (sample->prior &&
            sample_fraction_prior(sample->prior + k * field->channels * n, pair, &on, field, &box, error))
            return error->status;
    }
    return STATUS_OK;
}

enum status sample_fraction(struct sample *sample, const struct sample_source *source, const struct sample_pair *pair,
                            struct rng rng, struct error *error)
{
    const struct loader_config *config = source->config;
    const int64_t n = config->patch_vox[0] * config->patch_vox[1] * config->patch_vox[2] * sample->n_patches;
    const int64_t channels = config->prior.field ? config->prior.field_channels : 0;
    sample->fraction = memory_alloc((size_t)n, 2 * sizeof *sample->fraction);
    sample->prior = channels ? memory_alloc((size_t)(n * channels), sizeof *sample->prior) : NULL;
    if (!sample->fraction || (channels && !sample->prior))
        return error_memory(error, (size_t)(n * (2 + channels)) * sizeof *sample->fraction, "the patches of a skull");

    struct prior_field field = {.channels = channels};
    enum status status = STATUS_OK;
    if (channels)
        status = sample_fraction_field(&field, &config->prior, dataset_case(source->set, pair->i), pair, error);
    if (!status)
        status = sample_fraction_patches(sample, source, pair, &field, rng, error);
    memory_free(field.value);
    return status;
}
