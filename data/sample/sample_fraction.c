/* sample_fraction.c - see sample_fraction.h. Three grids: the skull's own voxels; `on`, at the patches' spacing;
 * `view`, at the coarse stage's, of which a frame is cut. Places are in voxels of the grid they are named after. */
#include "data/sample/sample_fraction.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/defects/region.h"
#include "data/volume/resample.h"

/* Points per axis that stand for a voxel's box: interpolated between the skull's own voxels, they need not be denser
 * than 1.4 of them. */
static int64_t samples_for(const double step[3])
{
    const double longest = fmax(step[0], fmax(step[1], step[2]));
    return (int64_t)fmax(1, ceil(longest / 1.4));
}

/* Voxels [lo, lo + size) of the grid `on`. */
static enum status cut_shares(float *skull, float *implant, const struct drawn *drawn, const struct sampler_grid *on,
                              const int64_t lo[3], const int64_t size[3], struct error *error)
{
    struct augment_patch patch = {.samples = samples_for(on->step)};
    for (int a = 0; a < 3; a++) {
        patch.lo[a] = on->lo[a] + (double)lo[a] * on->step[a];
        patch.step[a] = on->step[a];
        patch.size[a] = size[a];
    }
    return augment_cut_soft(skull, implant, &drawn->augment, drawn->skull.data, &patch, error);
}

/* ---- a frame on the whole skull ---- */

/* A frame of the whole skull, of what is missing, of the defective skull; NULL: not asked for. Where it lies on the
 * grid `on` follows from the defective skull alone, as when an implant is sought. */
struct frame_cut {
    float *whole, *missing, *defective;
};

static enum status cut_frame(const struct frame_cut *out, int64_t lo[3], const struct drawn *drawn,
                             const struct sampler_grid *on, const int64_t frame[3], struct error *error)
{
    static const int64_t all[3] = {0};
    const int64_t n = on->dim[0] * on->dim[1] * on->dim[2];
    float *whole = memory_alloc((size_t)n, 3 * sizeof *whole), *missing = whole + n, *defective = whole + 2 * n;
    if (!whole)
        return error_memory(error, (size_t)n * 3 * sizeof *whole, "a view of the whole skull");
    enum status status = cut_shares(whole, missing, drawn, on, all, on->dim, error);
    if (!status) {
        for (int64_t v = 0; v < n; v++)
            defective[v] = whole[v] - missing[v];
        resample_frame(lo, defective, on->dim, frame);
        lo[2] += (int64_t)(drawn->augment.frame_up_mm / (on->step[2] * grid_spacing_mm(&drawn->skull.grid, 2)));
        if (out->whole)
            resample_crop(out->whole, frame, whole, on->dim, lo);
        if (out->missing)
            resample_crop(out->missing, frame, missing, on->dim, lo);
        if (out->defective)
            resample_crop(out->defective, frame, defective, on->dim, lo);
    }
    memory_free(whole);
    return status;
}

/* ---- the coarse answer ---- */

static enum status draw_frame(struct draw *draw, const struct drawn *drawn, const struct loader_prior *prior,
                              struct sampler_grid *on, int64_t lo[3], struct error *error)
{
    const int64_t *frame = prior->patch_vox, n = frame[0] * frame[1] * frame[2];
    draw->frame = memory_alloc((size_t)n, sizeof *draw->frame);
    if (!draw->frame)
        return error_memory(error, (size_t)n * sizeof *draw->frame, "a view of the whole skull");
    *on = sampler_grid_of(&drawn->skull.grid, prior->spacing_mm);
    return cut_frame(&(struct frame_cut){.defective = draw->frame}, lo, drawn, on, frame, error);
}

void draw_prior(float *out, const struct draw *draw, int64_t k, const struct loader_config *config, const float *p)
{
    resample_lattice(out, config->patch_vox, p, config->prior.patch_vox, draw->at + 3 * k, draw->step);
}

/* ---- all ---- */

static enum status draw_place(struct draw *draw, const struct sampler_grid *on, const struct sampler_grid *view,
                              const int64_t view_lo[3], const int64_t lo[3], int64_t k, struct error *error)
{
    if (!draw->at && !(draw->at = memory_alloc((size_t)draw->n_patches, 3 * sizeof *draw->at)))
        return error_memory(error, (size_t)draw->n_patches * 3 * sizeof *draw->at, "the places of patches");
    for (int a = 0; a < 3; a++) {
        const double on_skull = on->lo[a] + (double)lo[a] * on->step[a];
        draw->at[3 * k + a] = (on_skull - view->lo[a]) / view->step[a] - (double)view_lo[a];
        draw->step[a] = on->step[a] / view->step[a];
    }
    return STATUS_OK;
}

enum status draw_soft(struct draw *draw, const struct draw_source *source, const struct drawn *drawn, struct rng rng,
                      struct error *error)
{
    const struct loader_config *config = source->config;
    const struct dataset_case *shown = dataset_case(source->set, drawn->i);
    const int64_t *patch = config->patch_vox, n = patch[0] * patch[1] * patch[2];
    const struct sampler_grid on = sampler_grid_of(&shown->grid, config->spacing_mm);
    struct sampler_grid view;
    int64_t view_lo[3];
    draw->soft = memory_alloc((size_t)(draw->n_patches * n), 2 * sizeof *draw->soft);
    if (!draw->soft)
        return error_memory(error, (size_t)(draw->n_patches * n) * 2 * sizeof *draw->soft, "the patches of a skull");
    if (config->prior.predict && draw_frame(draw, drawn, &config->prior, &view, view_lo, error))
        return error->status;
    for (int64_t k = 0; k < draw->n_patches; k++) {
        float *skull = draw->soft + 2 * k * n;
        struct box box = sampler_box(config, &drawn->augment, &on, shown->box, &drawn->implant, rng, k);
        if (config->sampler == SAMPLER_WHOLE
                ? cut_frame(&(struct frame_cut){.whole = skull, .missing = skull + n}, box.lo, drawn, &on, patch, error)
                : cut_shares(skull, skull + n, drawn, &on, box.lo, patch, error))
            return error->status;
        if (draw->frame && draw_place(draw, &on, &view, view_lo, box.lo, k, error))
            return error->status;
    }
    return STATUS_OK;
}
