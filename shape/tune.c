/* tune.c - see tune.h. Test: tests/shape/test_fit.c */
#include "shape/tune.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "shape/blas.h"

/* ---- a mean over trials ---- */

/* z (NULL: not wanted): of trial i at z + start[i]. */
static enum status tune_run(struct head_trial_score *scores, float *z, const int64_t *start,
                            const struct head_trial *trials, int64_t n, const struct covariance_params *params,
                            bool with_sd, struct error *error)
{
    struct error *errors = memory_zalloc((size_t)n, sizeof *errors);
    enum status status = STATUS_OK;
    if (!errors)
        return error_memory(error, (size_t)n * sizeof *errors, "the trials");
    blas_one_thread();
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++)
        head_trial_run(&scores[i], z ? z + start[i] : NULL, &trials[i], params, with_sd, &errors[i]);
    for (int64_t i = 0; i < n && !status; i++)
        if (errors[i].status) {
            *error = errors[i];
            status = error->status;
        }
    memory_free(errors);
    return status;
}

static struct tune_score tune_mean(const struct head_trial_score *scores, int64_t n)
{
    struct tune_score mean = {0};
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(scores[i].overlap))
            continue;
        mean.n_trials++;
        mean.overlap += scores[i].overlap;
        mean.error_mm[0] += scores[i].error_mm[0];
        mean.error_mm[1] += scores[i].error_mm[1];
        mean.log_density += scores[i].log_density;
    }
    const double count = (double)mean.n_trials;
    mean.overlap /= count;
    mean.error_mm[0] /= count;
    mean.error_mm[1] /= count;
    mean.log_density /= count;
    return mean;
}

enum status tune_evaluate(struct tune_score *ret, const struct head_trial *trials, int64_t n,
                          const struct covariance_params *params, bool with_sd, struct error *error)
{
    struct head_trial_score *scores = memory_alloc((size_t)n, sizeof *scores);
    if (!scores)
        return error_memory(error, (size_t)n * sizeof *scores, "the trials");
    const enum status status = tune_run(scores, NULL, NULL, trials, n, params, with_sd, error);
    if (!status)
        *ret = tune_mean(scores, n);
    memory_free(scores);
    return status;
}

/* ---- search ---- */

#define WORTH 1e-4 /* a step is kept when the mean overlap grows by more */

/* How each parameter is stepped: times 1 + step, or plus step where it is a share. */
static const struct tune_axis {
    size_t offset;
    double step, low, high;
    bool share;
} tune_axes[TUNE_PARAMS] = {
    {offsetof(struct covariance_params, fine), 0.5, 0.02, 3, false},
    {offsetof(struct covariance_params, coarse), 0.6, 0.1, 10, false},
    {offsetof(struct covariance_params, coarse_mm), 0.35, 15, 400, false},
    {offsetof(struct covariance_params, taper_mm), 0.4, 15, 600, false},
    {offsetof(struct covariance_params, empirical), 0.4, 0.02, 5, false},
    {offsetof(struct covariance_params, taper_floor), 0.25, 0, 1, true},
    {offsetof(struct covariance_params, fine_mm), 0.4, 2, 60, false},
    {offsetof(struct covariance_params, pose), 1, 0.02, 20, false},
};

static double tune_stepped(const struct tune_axis *axis, double value, int direction)
{
    const double stepped = axis->share     ? value + direction * axis->step
                           : direction > 0 ? value * (1 + axis->step)
                                           : value / (1 + axis->step);
    return fmin(fmax(stepped, axis->low), axis->high);
}

/* Up, or where that is worse down, as long as it helps. */
static enum status tune_axis_search(struct covariance_params *params, struct tune_score *score,
                                    const struct tune_axis *axis, const struct head_trial *trials, int64_t n,
                                    struct error *error)
{
    double *value = (double *)((char *)params + axis->offset);
    for (int direction = 1; direction >= -1; direction -= 2) {
        bool better = true, moved = false;
        while (better) {
            const double before = *value;
            struct tune_score now;
            *value = tune_stepped(axis, before, direction);
            if (fabs(*value - before) < 1e-12 * (1 + fabs(before)))
                break;
            if (tune_evaluate(&now, trials, n, params, false, error))
                return error->status;
            better = now.overlap > score->overlap + WORTH;
            if (better)
                *score = now;
            else
                *value = before;
            moved |= better;
        }
        if (moved)
            break;
    }
    return STATUS_OK;
}

enum status tune_search(struct covariance_params *params, struct tune_score *ret_score, const struct head_trial *trials,
                        int64_t n, struct progress *progress, struct error *error)
{
    struct covariance_params found = *params;
    struct tune_score score;
    if (tune_evaluate(&score, trials, n, &found, false, error))
        return error->status;
    for (int round = 0; round < TUNE_ROUNDS; round++) {
        const double before = score.overlap;
        for (int i = 0; i < TUNE_PARAMS; i++) {
            char note[64];
            if (tune_axis_search(&found, &score, &tune_axes[i], trials, n, error))
                return error->status;
            snprintf(note, sizeof note, "overlap %.4f", score.overlap);
            if (progress)
                progress_show(progress, round * TUNE_PARAMS + i + 1, note);
        }
        if (score.overlap < before + WORTH)
            break;
    }
    *params = found;
    *ret_score = score;
    return STATUS_OK;
}

/* ---- calibration ---- */

static int tune_compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

#define SCALE_SMOOTH 8.0       /* pixels: 17 mm */
#define SCALE_TRUST 400.0      /* radii of scale 1 that each pixel is averaged with: the area of the Gaussian */
#define MEAN_OF_NORMAL 0.79788 /* of |z| */

/* sums and counts of |z| per ray become the scale of one surface. image, weight: n x n. */
static enum status tune_scale_surface(float *scale, float *image, float *weight, int surface, const struct disc *disc,
                                      struct error *error)
{
    if (disc_smooth(image, disc, SCALE_SMOOTH, error) || disc_smooth(weight, disc, SCALE_SMOOTH, error))
        return error->status;
    const float prior = (float)(SCALE_TRUST / (2 * 3.14159265358979323846 * SCALE_SMOOTH * SCALE_SMOOTH));
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        const int64_t p = disc->pixel[ray];
        const float mean = (image[p] + prior * (float)MEAN_OF_NORMAL) / (weight[p] + prior);
        scale[2 * ray + surface] = fminf(fmaxf(mean / (float)MEAN_OF_NORMAL, 0.2f), 5);
    }
    return STATUS_OK;
}

/* z: of trial i from start[i] on. */
static enum status tune_scale(float *scale, const float *z, const int64_t *start, const struct tune_trials *trials,
                              struct error *error)
{
    const struct disc *disc = trials->disc;
    const size_t size = (size_t)(disc->n * disc->n);
    float *image = memory_alloc(size, sizeof *image), *weight = memory_alloc(size, sizeof *weight);
    enum status status = STATUS_OK;
    if (!image || !weight)
        status = error_memory(error, size * sizeof *image, "the calibration");
    for (int surface = 0; surface < 2 && !status; surface++) {
        memset(image, 0, size * sizeof *image);
        memset(weight, 0, size * sizeof *weight);
        for (int64_t i = 0; i < trials->n; i++)
            for (int64_t k = 0; k < trials->item[i].n_unseen; k++) {
                const float value = fminf(fabsf(z[start[i] + 2 * k + surface]), 5);
                const int32_t ray = trials->item[i].ray[k], sides[2] = {ray, disc->mirror[ray]};
                for (int side = 0; side < 2 && !isnan(z[start[i] + 2 * k + surface]); side++) {
                    image[disc->pixel[sides[side]]] += value;
                    weight[disc->pixel[sides[side]]] += 1;
                }
            }
        status = tune_scale_surface(scale, image, weight, surface, disc, error);
    }
    memory_free(image);
    memory_free(weight);
    return status;
}

/* |z| over the scale, the finite ones, sorted; *ret_n of them. */
static void tune_scaled(float *z, int64_t *ret_n, const float *scale, const int64_t *start,
                        const struct tune_trials *trials)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < trials->n; i++)
        for (int64_t k = 0; k < 2 * trials->item[i].n_unseen; k++) {
            const float value = fabsf(z[start[i] + k]) / scale[2 * trials->item[i].ray[k / 2] + (k & 1)];
            if (isfinite(value))
                z[kept++] = value; /* never ahead of what is read */
        }
    qsort(z, (size_t)kept, sizeof *z, tune_compare);
    *ret_n = kept;
}

enum status tune_calibrate(struct shape_calibration *ret, struct heads *heads, struct tune_score *ret_score,
                           const struct tune_trials *trials, const struct covariance_params *params,
                           struct error *error)
{
    const size_t n = (size_t)trials->n, n_rays = (size_t)trials->disc->n_rays;
    struct arena arena = {0};
    struct head_trial_score *scores = arena_alloc(&arena, n, sizeof *scores);
    int64_t *start = arena_alloc(&arena, n, sizeof *start), n_values = 0, kept = 0;
    for (size_t i = 0; start && i < n; i++) {
        start[i] = n_values;
        n_values += 2 * trials->item[i].n_unseen;
    }
    float *z = arena_alloc(&arena, (size_t)n_values, sizeof *z), *scale = memory_alloc(n_rays, 2 * sizeof *scale);
    enum status status = STATUS_OK;
    if (!scores || !start || !z || !scale)
        status = error_memory(error, (size_t)n_values * sizeof *z, "the trials");
    if (!status)
        status = tune_run(scores, z, start, trials->item, trials->n, params, true, error);
    if (!status)
        status = tune_scale(scale, z, start, trials, error);
    if (!status) {
        tune_scaled(z, &kept, scale, start, trials);
        if (kept < 100)
            status = error_set(error, STATUS_FAILED, "shape model: only %lld radii to calibrate its uncertainty with",
                               (long long)kept);
    }
    if (!status) {
        *ret = (struct shape_calibration){z[kept / 2], z[kept * 9 / 10]};
        *ret_score = tune_mean(scores, trials->n);
        memory_free(heads->scale);
        heads->scale = scale;
    } else
        memory_free(scale);
    arena_done(&arena);
    return status;
}
