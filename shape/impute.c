/* impute.c - see impute.h. Test: tests/shape/test_impute.c */
#include "shape/impute.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "shape/blas.h"
#include "shape/gaussian.h"

#define GAP_MM 6.0   /* rays of a defective head this near to one that meets nothing are not believed */
#define DENSE_MM 8.0 /* all believed rays this near to a gap are used */
#define EDGE_MM2 60.0
#define SPIKE_SMOOTH_MM 8.5
#define SPIKE_MM 4.0
enum { KNOWN_MIN = 3, FEW_HEADS = 8 };
enum { STRIDE = 6, ROWS_PER_HEAD = 8, ROWS_KEPT = 80, GAP_RAYS_FOR_ROWS = 40 };

static float *head_radius(const struct heads *heads, int64_t h, int64_t ray)
{
    return heads->map + (h * heads->n_rays + ray) * 2;
}

/* ---- what can be believed ---- */

static int impute_compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float impute_median(float *values, int64_t n)
{
    if (!n)
        return NAN;
    qsort(values, (size_t)n, sizeof *values, impute_compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Median and MAD (times 1.4826) of one radius over the heads, of the centre or of the others, that have it. */
static void impute_spread(double *ret_median, double *ret_mad, const struct heads *heads, bool centre,
                          const uint8_t *masked, int64_t ray, int surface, float *column)
{
    int64_t n = 0;
    for (int64_t h = 0; h < heads->n; h++) {
        const float value = head_radius(heads, h, ray)[surface];
        if (heads_in_centre(heads, h) == centre && isfinite(value) && !masked[h * heads->n_rays + ray])
            column[n++] = value;
    }
    const float median = impute_median(column, n);
    for (int64_t k = 0; k < n; k++)
        column[k] = fabsf(column[k] - median);
    *ret_median = median;
    *ret_mad = 1.4826 * impute_median(column, n);
}

/* One ray over all heads of the centre, or all others. masked: holes, in; every radius not to be believed, out. absent:
 * 1 where a head has no bone. The centre alone says whether a ray is good. */
static void impute_ray(uint8_t *missing, uint8_t *good, uint8_t *absent, struct heads *heads, bool centre, int64_t ray,
                       float *column)
{
    const int64_t n_rays = heads->n_rays;
    double median[2], mad[2];
    int64_t n = 0, n_masked = 0, n_absent = 0;
    for (int s = 0; s < 2; s++)
        impute_spread(&median[s], &mad[s], heads, centre, missing, ray, s, column);
    for (int64_t h = 0; h < heads->n; h++) {
        if (heads_in_centre(heads, h) != centre)
            continue;
        float *radius = head_radius(heads, h, ray);
        uint8_t *flag = &missing[h * n_rays + ray];
        bool bad = false;
        for (int s = 0; s < 2; s++)
            bad |= !(fabs(radius[s] - median[s]) <= fmax(5 * mad[s], 4));
        n++;
        n_masked += *flag;
        n_absent += !isfinite(radius[1]) && !*flag;
        *flag |= bad;
        for (int s = 0; s < 2 && *flag; s++)
            radius[s] = (float)median[s];
    }
    if (!centre)
        return;
    const int64_t n_known = n - n_masked;
    *absent = n_absent > 0;
    *good = mad[1] < 6 && (double)n_absent < 0.12 * (double)n_known && 4 * n_known >= n &&
            n_known >= (n - 1 < KNOWN_MIN ? n - 1 : KNOWN_MIN);
}

/* Holes of the defective heads, with a margin. missing: where the volume ends, in. */
static enum status impute_mask(uint8_t *missing, const struct heads *heads, const uint8_t *complete,
                               const struct disc *disc, struct error *error)
{
    const int64_t n_rays = heads->n_rays;
    for (int64_t h = 0; h < heads->n; h++) {
        uint8_t *gap = missing + h * n_rays;
        if (complete[h])
            continue;
        for (int64_t ray = 0; ray < n_rays; ray++)
            gap[ray] = (uint8_t)!isfinite(head_radius(heads, h, ray)[1]);
        if (disc_grow(gap, disc, gap, GAP_MM, error))
            return error->status;
    }
    return STATUS_OK;
}

/* Pins, clamps and broken plates of one head: what stands off its own surface, smoothed over 20 mm. Many heads show
 * them by their spread; few do not. image, weight: n x n. */
static enum status impute_spikes(uint8_t *missing, const struct heads *heads, int64_t h, int surface,
                                 const struct disc *disc, float *image, float *weight, struct error *error)
{
    const int64_t n_rays = disc->n_rays;
    memset(image, 0, (size_t)(disc->n * disc->n) * sizeof *image);
    memset(weight, 0, (size_t)(disc->n * disc->n) * sizeof *weight);
    for (int64_t ray = 0; ray < n_rays; ray++) {
        const float value = head_radius(heads, h, ray)[surface];
        const bool known = isfinite(value) && !missing[h * n_rays + ray];
        image[disc->pixel[ray]] = known ? value : 0;
        weight[disc->pixel[ray]] = known;
    }
    const double sigma = SPIKE_SMOOTH_MM / (DISC_HEAD_RADIUS_MM * disc->step);
    if (disc_smooth(image, disc, sigma, error) || disc_smooth(weight, disc, sigma, error))
        return error->status;
    for (int64_t ray = 0; ray < n_rays; ray++) {
        const int64_t p = disc->pixel[ray];
        const float value = head_radius(heads, h, ray)[surface];
        missing[h * n_rays + ray] |= isfinite(value) && fabsf(value - image[p] / weight[p]) > SPIKE_MM;
    }
    return STATUS_OK;
}

/* All rays; work: what one ray at a time needs. */
struct impute_search {
    float *column, *image, *weight; /* heads; n x n */
    uint8_t *absent, *near;         /* rays */
    int32_t *part;
};

/* The edge of the vault (orbits, base) lies elsewhere in every head, by some 5 mm. n heads show the farthest of n,
 * which grows with log n; what is left up to the farthest of 64 is not good either. Smaller gaps, and single rays, are
 * no edge. */
static enum status impute_edge(uint8_t *good, const struct disc *disc, const struct impute_search *work,
                               int64_t n_heads, struct error *error)
{
    const double edge_mm = 2.5 * log(64 / (double)n_heads), pixel_mm = DISC_HEAD_RADIUS_MM * disc->step;
    int64_t n;
    if (edge_mm <= 0)
        return STATUS_OK;
    if (disc_components(work->part, &n, disc, work->absent, error))
        return error->status;
    int64_t *size = memory_zalloc((size_t)n + 1, sizeof *size);
    if (!size)
        return error_memory(error, (size_t)n * sizeof *size, "the edge of the vault");
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        size[work->part[ray]]++;
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        work->absent[ray] = work->part[ray] && size[work->part[ray]] > 1 &&
                            (double)size[work->part[ray]] * pixel_mm * pixel_mm >= EDGE_MM2;
    memory_free(size);
    if (disc_grow(work->near, disc, work->absent, edge_mm, error))
        return error->status;
    for (int64_t ray = 0; ray < disc->n_rays; ray++)
        good[ray] = good[ray] && !work->near[ray];
    return STATUS_OK;
}

static enum status impute_judge(uint8_t *missing, uint8_t *good, struct heads *heads, const struct disc *disc,
                                const struct impute_search *work, struct error *error)
{
    const int64_t n_centre = heads_n_centre(heads);
    for (int64_t h = 0; h < heads->n && n_centre < FEW_HEADS; h++)
        for (int surface = 0; surface < 2 && heads_in_centre(heads, h); surface++)
            if (impute_spikes(missing, heads, h, surface, disc, work->image, work->weight, error))
                return error->status;

    for (int64_t ray = 0; ray < heads->n_rays; ray++) {
        if (heads->centre)
            impute_ray(missing, &good[ray], &work->absent[ray], heads, false, ray, work->column);
        impute_ray(missing, &good[ray], &work->absent[ray], heads, true, ray, work->column);
    }

    if (impute_edge(good, disc, work, n_centre, error))
        return error->status;
    for (int64_t ray = 0; ray < heads->n_rays; ray++) /* as good as the other side */
        good[ray] = good[disc->mirror[ray]] = good[ray] && good[disc->mirror[ray]];
    return STATUS_OK;
}

enum status impute_find(uint8_t *missing, uint8_t *good, struct heads *heads, const uint8_t *complete,
                        const struct disc *disc, struct error *error)
{
    const size_t n = (size_t)heads->n_rays, pixels = (size_t)(disc->n * disc->n);
    struct arena arena = {0};
    const struct impute_search work = {.column = arena_alloc(&arena, (size_t)heads->n, sizeof *work.column),
                                       .image = arena_alloc(&arena, pixels, sizeof *work.image),
                                       .weight = arena_alloc(&arena, pixels, sizeof *work.weight),
                                       .absent = arena_alloc(&arena, n, 1),
                                       .near = arena_alloc(&arena, n, 1),
                                       .part = arena_alloc(&arena, n, sizeof *work.part)};
    enum status status = STATUS_OK;
    if (!work.column || !work.image || !work.weight || !work.absent || !work.near || !work.part)
        status = error_memory(error, pixels * sizeof *work.image, "the rays of the heads");
    if (!status)
        status = impute_mask(missing, heads, complete, disc, error);
    if (!status)
        status = impute_judge(missing, good, heads, disc, &work, error);
    arena_done(&arena);
    return status;
}

/* ---- one head ---- */

/* Memory for one head at a time. */
struct impute_work {
    const struct disc *disc;
    const struct heads *heads;
    const uint8_t *missing, *good;
    struct radial_map map;
    uint8_t *gap, *rim, *near;
    int32_t *seen, *unseen;
    float *low, *high; /* rays x 2: between these lie the radii that were measured */
};

/* What is missing and what is believed of head h, and its map as two surfaces. */
static enum status impute_select(struct gaussian_given *given, struct impute_work *work, int64_t h, struct error *error)
{
    const struct disc *disc = work->disc;
    const uint8_t *missing = work->missing + h * disc->n_rays;
    *given = (struct gaussian_given){.map = &work->map, .seen = work->seen, .unseen = work->unseen};
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        work->gap[ray] = missing[ray] && work->good[ray];
        work->map.inner[ray] = head_radius(work->heads, h, ray)[0];
        work->map.outer[ray] = head_radius(work->heads, h, ray)[1];
    }
    if (disc_grow(work->rim, disc, missing, GAP_MM, error) || disc_grow(work->near, disc, work->gap, DENSE_MM, error))
        return error->status;
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        const int64_t i = disc->pixel[ray] / disc->n, j = disc->pixel[ray] % disc->n;
        if (work->gap[ray])
            work->unseen[given->n_unseen++] = (int32_t)ray;
        else if (work->good[ray] && !work->rim[ray] && (work->near[ray] || (i % STRIDE == 0 && j % STRIDE == 0)))
            work->seen[given->n_seen++] = (int32_t)ray;
    }
    return STATUS_OK;
}

/* Fills head h; *ret_change: the sum of absolute changes. rows (may be NULL): ROWS_PER_HEAD rows of what is not known.
 */
static enum status impute_head(struct heads *heads, const struct impute_work *work, const struct gaussian_given *given,
                               int64_t h, float *rows, const struct covariance_params *params, double *ret_change,
                               struct error *error)
{
    struct population population;
    struct gaussian gaussian;
    struct gaussian_given wanted = *given;
    wanted.n_rows = rows && given->n_unseen >= GAP_RAYS_FOR_ROWS ? ROWS_PER_HEAD : 0;
    if (population_new(&population, work->disc, heads, heads->group[h], error))
        return error->status;
    enum status status = gaussian_condition(&gaussian, &wanted, &population, params, error);
    population_done(&population);
    if (status)
        return status;

    for (int64_t k = 0; k < 2 * given->n_unseen; k++) {
        float *radius = head_radius(heads, h, given->unseen[k / 2]) + (k & 1);
        const int64_t at = 2 * (int64_t)given->unseen[k / 2] + (k & 1);
        const float filled = fminf(fmaxf(gaussian.mean[k], work->low[at]), work->high[at]);
        *ret_change += fabsf(*radius - filled);
        *radius = filled;
        for (int64_t i = 0; i < gaussian.n_rows; i++)
            rows[(i * heads->n_rays + given->unseen[k / 2]) * 2 + (k & 1)] = gaussian.rows[i * 2 * given->n_unseen + k];
    }
    gaussian_done(&gaussian);
    return STATUS_OK;
}

/* No head is filled far beyond what was measured on any other: where a ray meets one bone or another (orbit, nose), a
 * Gaussian would. */
static void impute_ranges(const struct impute_work *work)
{
    const struct heads *heads = work->heads;
    for (int64_t k = 0; k < 2 * heads->n_rays; k++) {
        float low = INFINITY, high = -INFINITY;
        for (int64_t h = 0; h < heads->n; h++)
            if (!work->missing[h * heads->n_rays + k / 2]) {
                const float value = heads->map[h * 2 * heads->n_rays + k];
                low = fminf(low, value);
                high = fmaxf(high, value);
            }
        const float margin = 0.25f * (high - low);
        work->low[k] = fmaxf(low - margin, 1);
        work->high[k] = high + margin;
    }
}

/* ---- the rows of all heads, made few ---- */

/* Each row and its mirror image span their even and odd part. part (1 even, -1 odd): in place. */
static void impute_part(float *rows, const float *from, int64_t n, const struct disc *disc, float sign)
{
    const int64_t width = 2 * disc->n_rays;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < width; k++)
            rows[i * width + k] =
                (from[i * width + k] + sign * from[i * width + 2 * disc->mirror[k / 2] + (k & 1)]) * (float)sqrt(0.5);
}

/* The `kept` rows whose outer products come nearest to those of all n: with the eigenvectors u of the rows' products
 * among each other, u^T rows. */
static enum status impute_compress(float *out, int64_t kept, const float *rows, int64_t n, int64_t width,
                                   struct error *error)
{
    float *products = memory_alloc((size_t)(n * n + n), sizeof *products);
    if (!products)
        return error_memory(error, (size_t)(n * n) * sizeof *products, "the uncertainty of filled gaps");
    float *values = products + n * n;
    blas_one_thread();
#pragma omp parallel for schedule(static, 1)
    for (int64_t i = 0; i < n; i += ROWS_PER_HEAD)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ROWS_PER_HEAD, (int)(i + ROWS_PER_HEAD), (int)width, 1,
                    rows + i * width, (int)width, rows, (int)width, 0, products + i * n, (int)n);
    errno = 0;
    const bool ok = LAPACKE_ssyevd(LAPACK_ROW_MAJOR, 'V', 'L', (int)n, products, (int)n, values) == 0;
    if (ok) /* ascending: the last columns are the largest */
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)kept, (int)width, (int)n, 1, products + n - kept,
                    (int)n, rows, (int)width, 0, out, (int)width);
    const bool short_of_memory = !ok && errno == ENOMEM; /* LAPACKE's own */
    memory_free(products);
    if (short_of_memory)
        return error_memory(error, (size_t)(n * n) * sizeof *products, "the uncertainty of filled gaps");
    return ok ? STATUS_OK
              : error_set(error, STATUS_FAILED, "shape model: the uncertainty of filled gaps is not finite");
}

static enum status impute_spread_rows(struct heads *heads, const float *rows, int64_t n, const struct disc *disc,
                                      struct error *error)
{
    const int64_t width = 2 * heads->n_rays, kept = n < ROWS_KEPT / 2 ? n : ROWS_KEPT / 2;
    float *part = memory_alloc((size_t)(n * width), sizeof *part),
          *spread = memory_alloc((size_t)(2 * kept * width), sizeof *spread);
    enum status status = STATUS_OK;
    if (!part || !spread)
        status = error_memory(error, (size_t)(n * width) * sizeof *part, "the uncertainty of filled gaps");
    for (int odd = 0; odd < 2 && !status; odd++) {
        impute_part(part, rows, n, disc, odd ? -1 : 1);
        status = impute_compress(spread + odd * kept * width, kept, part, n, width, error);
    }
    memory_free(part);
    if (status) {
        memory_free(spread);
        return status;
    }
    memory_free(heads->spread);
    heads->spread = spread;
    heads->n_spread = 2 * kept;
    return STATUS_OK;
}

/* ---- rounds ---- */

/* One round over all heads. rows: ROWS_PER_HEAD for each head with a large gap; *ret_n counts them. */
static enum status impute_round(struct heads *heads, struct impute_work *work, float *rows, int64_t *ret_n,
                                const struct covariance_params *params, struct impute_result *result,
                                struct error *error)
{
    double change = 0;
    *ret_n = 0;
    result->n_filled = 0;
    for (int64_t h = 0; h < heads->n; h++) {
        struct gaussian_given given;
        if (impute_select(&given, work, h, error))
            return error->status;
        if (!given.n_unseen || !heads_in_centre(heads, h)) /* the others' mean is not the population's */
            continue;
        result->n_filled += 2 * given.n_unseen;
        float *own = rows ? rows + *ret_n * 2 * heads->n_rays : NULL;
        if (impute_head(heads, work, &given, h, own, params, &change, error))
            return error->status;
        *ret_n += given.n_unseen >= GAP_RAYS_FOR_ROWS ? ROWS_PER_HEAD : 0;
    }
    result->rounds++;
    result->change_mm = result->n_filled ? change / (double)result->n_filled : 0;
    return STATUS_OK;
}

/* How many heads have a gap large enough that its uncertainty counts. */
static int64_t impute_n_large(const struct heads *heads, const uint8_t *missing, const uint8_t *good)
{
    int64_t n = 0;
    for (int64_t h = 0; h < heads->n; h++) {
        int64_t gap = 0;
        for (int64_t ray = 0; ray < heads->n_rays; ray++)
            gap += missing[h * heads->n_rays + ray] && good[ray];
        n += gap >= GAP_RAYS_FOR_ROWS && heads_in_centre(heads, h);
    }
    return n;
}

static enum status impute_rounds(struct heads *heads, struct impute_work *work, const struct covariance_params *params,
                                 struct impute_result *result, struct progress *progress, struct error *error)
{
    const int64_t n_large = impute_n_large(heads, work->missing, work->good);
    const size_t bytes = (size_t)(n_large * ROWS_PER_HEAD * 2 * heads->n_rays) * sizeof(float);
    float *rows = memory_alloc(bytes, 1);
    if (!rows)
        return error_memory(error, bytes, "the uncertainty of filled gaps");
    enum status status = STATUS_OK;
    bool more = true;
    while (more && !status) {
        const bool with_rows = result->rounds == IMPUTE_ROUNDS - 1; /* what stays unknown, given gaps filled once */
        int64_t n_rows;
        memset(rows, 0, bytes);
        status = impute_round(heads, work, with_rows ? rows : NULL, &n_rows, params, result, error);
        if (!status && with_rows && n_rows)
            status = impute_spread_rows(heads, rows, n_rows, work->disc, error);
        more = result->rounds < IMPUTE_ROUNDS;
        if (progress && !status)
            progress_show(progress, (more ? result->rounds : IMPUTE_ROUNDS) * heads->n, NULL);
    }
    memory_free(rows);
    return status;
}

enum status impute_fill(struct heads *heads, const uint8_t *missing, const uint8_t *good, const struct disc *disc,
                        const struct covariance_params *params, struct impute_result *ret_result,
                        struct progress *progress, struct error *error)
{
    const size_t n = (size_t)disc->n_rays;
    struct impute_work work = {.disc = disc, .heads = heads, .missing = missing, .good = good};
    struct arena arena = {0};
    struct impute_result result = {0};
    work.gap = arena_alloc(&arena, n, 1);
    work.rim = arena_alloc(&arena, n, 1);
    work.near = arena_alloc(&arena, n, 1);
    work.seen = arena_alloc(&arena, n, sizeof *work.seen);
    work.unseen = arena_alloc(&arena, n, sizeof *work.unseen);
    work.low = arena_alloc(&arena, n, 2 * sizeof *work.low);
    work.high = arena_alloc(&arena, n, 2 * sizeof *work.high);
    enum status status = radial_map_new(&work.map, disc->n_rays, error);
    if (!status && (!work.gap || !work.rim || !work.near || !work.seen || !work.unseen || !work.low || !work.high))
        status = error_memory(error, n * sizeof *work.seen, "the rays of a head");
    if (!status)
        impute_ranges(&work);
    if (!status)
        status = impute_rounds(heads, &work, params, &result, progress, error);
    radial_map_done(&work.map);
    arena_done(&arena);
    if (!status)
        *ret_result = result;
    return status;
}
