/* template.c - see template.h. Test: tests/shape/test_template.c */
#include "shape/template.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { THIN = 3, FAR_ROUNDS = 2 }; /* poses use every third point; the first two rounds start from five pitches */

/* ---- one head ---- */

enum status template_image(float *image, const struct disc *disc, const struct cloud *cloud, const struct pose *pose,
                           struct error *error)
{
    const int64_t n = disc->n;
    float *count = memory_zalloc((size_t)(n * n), sizeof *count);
    if (!count)
        return error_memory(error, (size_t)(n * n) * sizeof *count, "a head's outer surface");
    memset(image, 0, (size_t)(n * n) * sizeof *image);
    for (int64_t k = 0; k < cloud->n; k++) {
        double q[3], at[2];
        pose_canonical(pose, cloud->point[k], q);
        const double r = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
        const double direction[3] = {q[0] / r, q[1] / r, q[2] / r};
        if (!(r > 0))
            continue;
        disc_locate(disc, direction, at);
        const double i = rint(at[0]), j = rint(at[1]);
        if (!(i >= 0 && i < (double)n && j >= 0 && j < (double)n))
            continue;
        image[(int64_t)i * n + (int64_t)j] += (float)r;
        count[(int64_t)i * n + (int64_t)j] += 1;
    }

    /* averages over the neighbours: points lie about one a pixel */
    enum status status = disc_smooth(image, disc, 0.7, error);
    if (!status)
        status = disc_smooth(count, disc, 0.7, error);
    for (int64_t p = 0; p < n * n && !status; p++)
        image[p] = count[p] > 0.15f ? image[p] / count[p] : NAN;
    memory_free(count);
    return status;
}

/* ---- median of all ---- */

static int template_compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median of the finite ones; NaN where there is none. Reorders the values. */
static float template_median(float *values, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            values[kept++] = values[i];
    if (!kept)
        return NAN;
    qsort(values, (size_t)kept, sizeof *values, template_compare);
    return kept % 2 ? values[kept / 2] : (values[kept / 2 - 1] + values[kept / 2]) / 2;
}

/* T from the posed heads' images (n_heads x n x n) and a column of scratch. */
static enum status template_make(float *template, const struct disc *disc, const float *images, float *column,
                                 int64_t n_heads, const uint8_t *counted, struct error *error)
{
    const int64_t n = disc->n, size = n * n;
    for (int64_t p = 0; p < size; p++) {
        int64_t n_counted = 0;
        for (int64_t h = 0; h < n_heads; h++)
            if (!counted || counted[h])
                column[n_counted++] = images[h * size + p];
        template[p] = template_median(column, n_counted);
    }
    if (disc_fill_nearest(template, disc, error) || disc_smooth(template, disc, 1, error))
        return error->status;
    for (int64_t i = 0; i < (n + 1) / 2; i++)
        for (int64_t j = 0; j < n; j++) { /* -u is the other side of the head */
            float *left = template + i * n + j, *right = template + (n - 1 - i) * n + j;
            *left = *right = (*left + *right) / 2;
        }
    return STATUS_OK;
}

/* ---- rounds ---- */

struct template_work {
    const struct disc *disc;
    struct template_heads *heads;
    struct cloud *thin;     /* n */
    struct pose *starts;    /* n */
    enum status *statuses;  /* n */
    float *images, *column; /* n x n x n, n */
    struct error *errors;   /* n */
};

static enum status template_first_error(const struct template_work *work, struct error *error)
{
    for (int64_t h = 0; h < work->heads->n; h++)
        if (work->statuses[h]) {
            *error = work->errors[h];
            return work->statuses[h];
        }
    return STATUS_OK;
}

static enum status template_pose_all(struct template_work *work, const float *template, int round, struct error *error)
{
    struct template_heads *heads = work->heads;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t h = 0; h < heads->n; h++) {
        struct pose *pose = &heads->poses[h];
        work->errors[h] = (struct error){0};
        work->statuses[h] = round < FAR_ROUNDS
                                ? pose_best(pose, &heads->losses[h], &work->thin[h], work->disc, template,
                                            &work->starts[h], &pose_fit_training, &work->errors[h])
                                : pose_refine(pose, &heads->losses[h], &work->thin[h], work->disc, template,
                                              &pose_fit_refine, &work->errors[h]);
    }
    if (template_first_error(work, error))
        return error->status;
    for (int a = 0; a < 3; a++) {
        double sum = 0;
        for (int64_t h = 0; h < heads->n; h++)
            sum += log(heads->poses[h].scale[a]);
        for (int64_t h = 0; h < heads->n; h++)
            heads->poses[h].scale[a] /= exp(sum / (double)heads->n);
    }
    return STATUS_OK;
}

static enum status template_rounds(float *template, struct template_work *work, struct progress *progress,
                                   struct error *error)
{
    const struct template_heads *heads = work->heads;
    const int64_t size = work->disc->n * work->disc->n;
    for (int round = 0; round < TEMPLATE_ROUNDS; round++) {
#pragma omp parallel for schedule(dynamic, 1)
        for (int64_t h = 0; h < heads->n; h++) {
            work->errors[h] = (struct error){0};
            work->statuses[h] = template_image(work->images + h * size, work->disc, &heads->clouds[h], &heads->poses[h],
                                               &work->errors[h]);
        }
        if (template_first_error(work, error) ||
            template_make(template, work->disc, work->images, work->column, heads->n,
                          round < FAR_ROUNDS ? NULL : heads->of_template, error) ||
            template_pose_all(work, template, round, error))
            return error->status;
        if (progress)
            progress_show(progress, (round + 1) * heads->n, NULL);
    }
    return STATUS_OK;
}

static enum status template_thin(struct template_work *work, struct error *error)
{
    for (int64_t h = 0; h < work->heads->n; h++)
        if (cloud_thin(&work->thin[h], &work->heads->clouds[h], THIN, error))
            return error->status;
    return STATUS_OK;
}

enum status template_fit(float *template, const struct disc *disc, struct template_heads *heads,
                         struct progress *progress, struct error *error)
{
    struct arena arena = {0};
    const size_t n = (size_t)heads->n;
    struct template_work work = {.disc = disc, .heads = heads};
    enum status status = STATUS_OK;
    work.thin = arena_alloc(&arena, n, sizeof *work.thin);
    work.starts = arena_alloc(&arena, n, sizeof *work.starts);
    work.statuses = arena_alloc(&arena, n, sizeof *work.statuses);
    work.errors = arena_alloc(&arena, n, sizeof *work.errors);
    work.column = arena_alloc(&arena, n, sizeof *work.column);
    work.images = memory_alloc(n * (size_t)disc->n, (size_t)disc->n * sizeof *work.images);
    if (!work.thin || !work.starts || !work.statuses || !work.errors || !work.column || !work.images)
        status =
            error_memory(error, n * (size_t)(disc->n * disc->n) * sizeof *work.images, "the heads' outer surfaces");
    if (!status) {
        memcpy(work.starts, heads->poses, n * sizeof *work.starts);
        status = template_thin(&work, error);
    }
    if (!status)
        status = template_rounds(template, &work, progress, error);
    for (size_t h = 0; work.thin && h < n; h++)
        cloud_done(&work.thin[h]);
    memory_free(work.images);
    arena_done(&arena);
    return status;
}
