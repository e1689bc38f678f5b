#include "data/sample/sample.h"

#include <string.h>

#include "base/memory.h"
#include "data/defects/region.h"
#include "data/mask/distance.h"
#include "data/sample/sample_fraction.h"
#include "data/volume/resample.h"

/* Streams: epochs and draws count apart, what a draw needs is told apart by its children. */
enum { STREAM_EPOCH, STREAM_DRAW };
enum { CHILD_DEFECT, CHILD_PATCHES, CHILD_AUGMENT, CHILD_NOISE, CHILD_KIND };

static struct rng stream(uint64_t seed, uint64_t which, int64_t number)
{
    const struct rng all = rng_make(seed, which);
    return rng_child(&all, (uint64_t)number);
}

/* Where number / n_cases is the epoch, the case at place number % n_cases of its shuffled order. The shuffle is run
 * from its end, so it can stop once that place is settled; it is traced back through the swaps without an array. */
int64_t draw_case(const struct draw_source *source, int64_t number)
{
    const int64_t n = source->n_cases;
    struct rng rng = stream(source->seed, STREAM_EPOCH, number / n);
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
static enum status draw_defect(struct volume *skull, struct region *implant, const struct draw_source *source,
                               int64_t i, bool moved, struct rng rng, struct error *error)
{
    const struct dataset_case *shown = dataset_case(source->set, i);
    const bool whole = moved || source->defects || source->config->sampler == SAMPLER_WHOLE;
    struct rng kind = rng_child(&rng, CHILD_KIND);
    const bool healthy = rng_uniform(&kind, 0, 1) < source->config->healthy_frac;
    const bool stored = rng_uniform(&kind, 0, 1) < source->config->stored_frac && shown->n_implants > 0;
    if (whole && dataset_read_skull(skull, source->set, i, error))
        return error->status;
    if (healthy)
        return STATUS_OK;
    if (source->defects && !stored)
        return defect_draw(implant, NULL, skull, shown->box, source->defects, rng, error);
    const int64_t j = rng_below(&rng, shown->n_implants);
    if (region_new(implant, shown->implant_boxes[j], error))
        return error->status;
    return dataset_read_box(implant->mask, source->set, i, j, implant->box, error);
}

/* ---- patches ---- */

/* out (box-sized) |= code where src, which covers src_box, is set. */
static void cut(uint8_t *out, struct box box, const uint8_t *src, struct box src_box, uint8_t code)
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

static enum status draw_patch(uint8_t *out, const struct draw_source *source, const struct drawn *drawn, struct box box,
                              struct error *error)
{
    if (drawn->augment.moved) {
        struct augment_patch patch;
        for (int a = 0; a < 3; a++) {
            patch.lo[a] = (double)box.lo[a];
            patch.step[a] = 1;
            patch.size[a] = box_size(box, a);
        }
        patch.samples = 1;
        return augment_cut(out, &drawn->augment, drawn->skull.data, &patch, error);
    }
    if (drawn->skull.data)
        cut(out, box, drawn->skull.data, box_of_grid(&drawn->skull.grid), CODE_BONE);
    else if (dataset_read_box(out, source->set, drawn->i, -1, box, error))
        return error->status;
    if (drawn->implant.mask)
        cut(out, box, drawn->implant.mask, drawn->implant.box, CODE_MISSING);
    return STATUS_OK;
}

static enum status draw_patches(struct draw *draw, const struct draw_source *source, struct drawn *drawn,
                                const struct rng *rng, struct error *error)
{
    const struct dataset_case *shown = dataset_case(source->set, drawn->i);
    const struct sampler_grid on = sampler_grid_of(&shown->grid, 0);
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    const struct rng places = rng_child(rng, CHILD_PATCHES), noise = rng_child(rng, CHILD_NOISE);
    draw->codes = memory_zalloc((size_t)draw->n_patches, (size_t)n);
    if (!draw->codes)
        return error_memory(error, (size_t)(draw->n_patches * n), "the patches of a skull");
    for (int64_t k = 0; k < draw->n_patches; k++) {
        const struct box box =
            sampler_box(source->config, &drawn->augment, &on, shown->box, &drawn->implant, places, k);
        uint8_t *out = draw->codes + k * n;
        if (draw_patch(out, source, drawn, box, error))
            return error->status;
        augment_noise(out, &drawn->augment, patch, rng_child(&noise, (uint64_t)k));
    }
    return STATUS_OK;
}

/* The target of patch k, above one half. */
static void draw_target_mask(uint8_t *mask, const struct draw *draw, int64_t k, int64_t n, enum loader_task task)
{
    const float *soft = draw->soft ? draw->soft + (2 * k + (task == TASK_IMPLANT)) * n : NULL;
    const uint8_t wanted = task == TASK_COMPLETION ? CODE_BONE : CODE_MISSING;
    for (int64_t v = 0; v < n; v++)
        mask[v] = soft ? soft[v] > 0.5F : (draw->codes[k * n + v] & wanted) != 0;
}

static enum status draw_distances(struct draw *draw, const struct draw_source *source, struct error *error)
{
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    uint8_t *mask = memory_alloc((size_t)n, 1);
    draw->distance = memory_alloc((size_t)(draw->n_patches * n), sizeof *draw->distance);
    enum status status = mask && draw->distance
                             ? STATUS_OK
                             : error_memory(error, (size_t)(draw->n_patches * n) * 4, "distances of targets");
    for (int64_t k = 0; !status && k < draw->n_patches; k++) {
        draw_target_mask(mask, draw, k, n, source->task);
        status = distance_signed(draw->distance + k * n, mask, patch, error);
    }
    memory_free(mask);
    return status;
}

/* ---- the whole skull at another resolution ---- */

static enum status draw_resample(float *out, const struct volume *mask, const struct grid *to, struct error *error)
{
    struct volume soft;
    if (resample_volume(&soft, mask, to, RESAMPLE_LINEAR, error))
        return error->status;
    memcpy(out, soft.data, (size_t)grid_voxels(to) * sizeof *out);
    volume_done(&soft);
    return STATUS_OK;
}

static enum status draw_whole_augmented(struct draw *draw, const struct drawn *drawn, const int64_t size[3],
                                        struct error *error)
{
    struct augment_patch patch = {.samples = 1};
    for (int a = 0; a < 3; a++) {
        patch.size[a] = size[a];
        patch.step[a] = (double)drawn->skull.grid.dim[a] / (double)size[a];
        patch.lo[a] = 0.5 * patch.step[a] - 0.5; /* the same field of view */
    }
    return augment_cut_soft(draw->soft, draw->soft + size[0] * size[1] * size[2], &drawn->augment, drawn->skull.data,
                            &patch, error);
}

static enum status draw_whole(struct draw *draw, const struct draw_source *source, struct drawn *drawn,
                              struct error *error)
{
    const int64_t *patch = source->config->patch_vox, n = patch[0] * patch[1] * patch[2];
    struct volume *skull = &drawn->skull;
    const struct grid to = resample_fit(&skull->grid, patch);
    const struct box all = box_of_grid(&skull->grid);
    draw->soft = memory_alloc((size_t)n, 2 * sizeof *draw->soft);
    if (!draw->soft)
        return error_memory(error, (size_t)n * 2 * sizeof *draw->soft, "the patches of a skull");
    if (drawn->augment.moved)
        return draw_whole_augmented(draw, drawn, patch, error);
    if (draw_resample(draw->soft, skull, &to, error))
        return error->status;
    memset(skull->data, 0, (size_t)grid_voxels(&skull->grid)); /* its memory now holds the implant */
    cut(skull->data, all, drawn->implant.mask, drawn->implant.box, 1);
    return draw_resample(draw->soft + n, skull, &to, error);
}

static enum status drawn_make(struct drawn *drawn, const struct draw_source *source, const struct rng *rng,
                              struct error *error)
{
    const struct dataset_case *shown = dataset_case(source->set, drawn->i);
    if (augment_draw(&drawn->augment, &source->config->augment, &shown->grid, shown->box, rng_child(rng, CHILD_AUGMENT),
                     error))
        return error->status;
    const bool looked_up = drawn->augment.moved || source->config->spacing_mm > 0;
    if (draw_defect(&drawn->skull, &drawn->implant, source, drawn->i, looked_up, rng_child(rng, CHILD_DEFECT), error))
        return error->status;
    if (looked_up && drawn->implant.mask) /* both in one volume: patches look them up together */
        cut(drawn->skull.data, box_of_grid(&shown->grid), drawn->implant.mask, drawn->implant.box, CODE_MISSING);
    return STATUS_OK;
}

int64_t draw_count(const struct loader_config *config, const struct grid *grid)
{
    return sampler_count(config, sampler_grid_of(grid, config->spacing_mm).dim);
}

enum status draw_make(struct draw *ret, const struct draw_source *source, int64_t number, struct error *error)
{
    struct drawn drawn = {.i = draw_case(source, number)};
    const struct dataset_case *shown = dataset_case(source->set, drawn.i);
    const struct rng rng = stream(source->seed, STREAM_DRAW, number);
    const bool resampled = source->config->sampler == SAMPLER_WHOLE &&
                           memcmp(shown->grid.dim, source->config->patch_vox, sizeof shown->grid.dim) != 0;
    drawn.skull.grid = shown->grid;
    *ret = (struct draw){.n_patches = draw_count(source->config, &shown->grid)};
    enum status status = drawn_make(&drawn, source, &rng, error);
    if (!status && source->config->spacing_mm > 0)
        status = draw_soft(ret, source, &drawn, rng_child(&rng, CHILD_PATCHES), error);
    else if (!status)
        status = resampled ? draw_whole(ret, source, &drawn, error) : draw_patches(ret, source, &drawn, &rng, error);
    if (!status && source->config->distance)
        status = draw_distances(ret, source, error);
    volume_done(&drawn.skull);
    region_done(&drawn.implant);
    augment_done(&drawn.augment);
    if (status) {
        draw_done(ret);
        return error_while(error, "making training patches of case '%s'", shown->name);
    }
    return STATUS_OK;
}

void draw_done(struct draw *draw)
{
    memory_free(draw->codes);
    memory_free(draw->soft);
    memory_free(draw->distance);
    memory_free(draw->frame);
    memory_free(draw->at);
    *draw = (struct draw){0};
}

void draw_fill(const struct draw *draw, int64_t k, int64_t n, enum loader_task task, float *src, float *target)
{
    if (draw->soft) {
        const float *skull = draw->soft + 2 * k * n, *implant = skull + n;
        for (int64_t v = 0; v < n; v++) {
            src[v] = skull[v] - implant[v];
            target[v] = task == TASK_COMPLETION ? skull[v] : implant[v];
        }
        return;
    }
    const uint8_t *codes = draw->codes + k * n;
    const uint8_t wanted = task == TASK_COMPLETION ? CODE_BONE : CODE_MISSING;
    for (int64_t v = 0; v < n; v++) {
        src[v] = codes[v] == CODE_BONE ? 1.0F : 0.0F;
        target[v] = codes[v] & wanted ? 1.0F : 0.0F;
    }
}
