/* disc.c - the equal-area raster of directions: see disc.h. Test: tests/shape/test_disc.c */
#include "shape/disc.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

static double disc_coordinate(const struct disc *disc, int64_t i)
{
    return ((double)i - (double)(disc->n - 1) / 2) * disc->step;
}

static bool disc_inside(const struct disc *disc, int64_t i, int64_t j)
{
    const double u = disc_coordinate(disc, i), v = disc_coordinate(disc, j);
    return u * u + v * v <= disc->reach * disc->reach;
}

enum status disc_init(struct disc *ret, int64_t n, double reach, struct error *error)
{
    struct disc disc = {.n = n, .reach = reach, .step = 2 * reach / (double)(n - 1)};
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            disc.n_rays += disc_inside(&disc, i, j);

    disc.ray = memory_alloc((size_t)disc.n_rays, sizeof *disc.ray);
    disc.pixel = memory_alloc((size_t)disc.n_rays, sizeof *disc.pixel);
    disc.mirror = memory_alloc((size_t)disc.n_rays, sizeof *disc.mirror);
    disc.ray_at = memory_alloc((size_t)(n * n), sizeof *disc.ray_at);
    if (!disc.ray || !disc.pixel || !disc.mirror || !disc.ray_at) {
        disc_done(&disc);
        return error_memory(error, (size_t)disc.n_rays * sizeof *disc.ray, "the rays of a disc");
    }

    int32_t k = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            disc.ray_at[i * n + j] = -1;
            if (!disc_inside(&disc, i, j))
                continue;
            /* with rho = |(u, v)| = 2 sin(theta / 2): cos theta = 1 - rho^2 / 2, sin theta = rho sqrt(1 - rho^2 / 4) */
            const double u = disc_coordinate(&disc, i), v = disc_coordinate(&disc, j), rho2 = u * u + v * v;
            const double h = sqrt(fmax(1 - rho2 / 4, 0));
            disc.ray[k][0] = u * h;
            disc.ray[k][1] = v * h;
            disc.ray[k][2] = 1 - rho2 / 2;
            disc.pixel[k] = (int32_t)(i * n + j);
            disc.ray_at[i * n + j] = k++;
        }
    for (int32_t r = 0; r < k; r++) {
        const int64_t i = disc.pixel[r] / n, j = disc.pixel[r] % n;
        disc.mirror[r] = disc.ray_at[(n - 1 - i) * n + j];
    }
    *ret = disc;
    return STATUS_OK;
}

void disc_done(struct disc *disc)
{
    memory_free(disc->ray);
    memory_free(disc->pixel);
    memory_free(disc->ray_at);
    memory_free(disc->mirror);
    *disc = (struct disc){0};
}

void disc_locate(const struct disc *disc, const double direction[3], double at[2])
{
    const double k = sqrt(2 / fmax(1 + direction[2], 1e-6)) / disc->step, middle = (double)(disc->n - 1) / 2;
    at[0] = direction[0] * k + middle;
    at[1] = direction[1] * k + middle;
}

int32_t disc_nearest(const struct disc *disc, const double at[2])
{
    const double last = (double)disc->n - 0.5;
    if (!(at[0] >= -0.5 && at[0] < last && at[1] >= -0.5 && at[1] < last))
        return -1;
    return disc->ray_at[(int64_t)floor(at[0] + 0.5) * disc->n + (int64_t)floor(at[1] + 0.5)];
}

double disc_sample(const struct disc *disc, const float *image, const double at[2])
{
    const double last = (double)(disc->n - 1);
    const double x = at[0] < 0 ? 0 : at[0] > last ? last : at[0], y = at[1] < 0 ? 0 : at[1] > last ? last : at[1];
    const int64_t i = x < last ? (int64_t)x : disc->n - 2, j = y < last ? (int64_t)y : disc->n - 2;
    const double a = x - (double)i, b = y - (double)j;
    const float *p = image + i * disc->n + j;
    return (1 - a) * ((1 - b) * (double)p[0] + b * (double)p[1]) +
           a * ((1 - b) * (double)p[disc->n] + b * (double)p[disc->n + 1]);
}

/* --- distances on the raster --- */

/* nearest[p] = pixel of the nearest marked one (Euclidean, in pixels; the first in raster order of several), -1 where
 * there is none. By rows, then by columns: n^3 steps. */
static enum status disc_nearest_marked(int32_t *nearest, const struct disc *disc, const uint8_t *marked,
                                       struct error *error)
{
    const int64_t n = disc->n;
    int32_t *in_row =
        memory_alloc((size_t)(n * n), sizeof *in_row); /* nearest marked column of each pixel's row, -1: none */
    if (!in_row)
        return error_memory(error, (size_t)(n * n) * sizeof *in_row, "distances on a disc");
    for (int64_t i = 0; i < n; i++) {
        int64_t last = -1;
        for (int64_t j = 0; j < n; j++) {
            last = marked[i * n + j] ? j : last;
            in_row[i * n + j] = (int32_t)last;
        }
        last = -1;
        for (int64_t j = n - 1; j >= 0; j--) {
            last = marked[i * n + j] ? j : last;
            const int64_t left = in_row[i * n + j];
            if (last >= 0 && (left < 0 || last - j < j - left))
                in_row[i * n + j] = (int32_t)last;
        }
    }

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t best = INT64_MAX;
            nearest[i * n + j] = -1;
            for (int64_t row = 0; row < n; row++) {
                const int64_t column = in_row[row * n + j];
                const int64_t squared = (row - i) * (row - i) + (column - j) * (column - j);
                if (column >= 0 && squared < best) {
                    best = squared;
                    nearest[i * n + j] = (int32_t)(row * n + column);
                }
            }
        }
    memory_free(in_row);
    return STATUS_OK;
}

enum status disc_fill_nearest(float *image, const struct disc *disc, struct error *error)
{
    const int64_t pixels = disc->n * disc->n;
    uint8_t *finite = memory_alloc((size_t)pixels, 1);
    int32_t *nearest = memory_alloc((size_t)pixels, sizeof *nearest);
    enum status status =
        finite && nearest ? STATUS_OK : error_memory(error, (size_t)pixels * sizeof *nearest, "filling an image");
    for (int64_t p = 0; p < pixels && !status; p++)
        finite[p] = isfinite(image[p]) != 0;
    if (!status)
        status = disc_nearest_marked(nearest, disc, finite, error);
    for (int64_t p = 0; p < pixels && !status; p++) /* a source is finite: it is never written */
        if (!finite[p])
            image[p] = nearest[p] >= 0 ? image[nearest[p]] : NAN;
    memory_free(nearest);
    memory_free(finite);
    return status;
}

enum status disc_image(float *image, const struct disc *disc, const float *values, struct error *error)
{
    for (int64_t p = 0; p < disc->n * disc->n; p++)
        image[p] = disc->ray_at[p] >= 0 ? values[disc->ray_at[p]] : NAN;
    return disc_fill_nearest(image, disc, error);
}

enum status disc_distance(float *away, const struct disc *disc, const uint8_t *marked, struct error *error)
{
    const int64_t n = disc->n, pixels = n * n;
    uint8_t *image = memory_zalloc((size_t)pixels, 1);
    int32_t *nearest = memory_alloc((size_t)pixels, sizeof *nearest);
    enum status status =
        image && nearest ? STATUS_OK : error_memory(error, (size_t)pixels * sizeof *nearest, "distances on a disc");
    for (int64_t k = 0; k < disc->n_rays && !status; k++)
        image[disc->pixel[k]] = marked[k] != 0;
    if (!status)
        status = disc_nearest_marked(nearest, disc, image, error);
    for (int64_t k = 0; k < disc->n_rays && !status; k++) {
        const int64_t p = disc->pixel[k], q = nearest[p];
        const int64_t i = q / n - p / n, j = q % n - p % n;
        away[k] = q < 0 ? INFINITY : (float)(sqrt((double)(i * i + j * j)) * DISC_HEAD_RADIUS_MM * disc->step);
    }
    memory_free(nearest);
    memory_free(image);
    return status;
}

enum status disc_grow(uint8_t *grown, const struct disc *disc, const uint8_t *marked, double mm, struct error *error)
{
    float *away = memory_alloc((size_t)disc->n_rays, sizeof *away);
    if (!away)
        return error_memory(error, (size_t)disc->n_rays * sizeof *away, "growing rays");
    enum status status = disc_distance(away, disc, marked, error);
    for (int64_t k = 0; k < disc->n_rays && !status; k++)
        grown[k] = away[k] <= (float)mm;
    memory_free(away);
    return status;
}

/* --- smoothing, parts --- */

/* scipy's "reflect": d c b a | a b c d | d c b a */
static int64_t disc_reflect(int64_t i, int64_t n)
{
    while (i < 0 || i >= n)
        i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

/* Along u (stride n) or v (stride 1). The kernel is cut at 4 sigma, as scipy.ndimage.gaussian_filter cuts it. */
static void disc_smooth_axis(float *out, const float *image, int64_t n, bool along_u, double sigma)
{
    const int64_t radius = (int64_t)(4 * sigma + 0.5);
    double sum = 0;
    for (int64_t k = -radius; k <= radius; k++)
        sum += exp(-0.5 * (double)(k * k) / (sigma * sigma));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double value = 0;
            for (int64_t k = -radius; k <= radius; k++) {
                const int64_t p = along_u ? disc_reflect(i + k, n) * n + j : i * n + disc_reflect(j + k, n);
                value += exp(-0.5 * (double)(k * k) / (sigma * sigma)) / sum * (double)image[p];
            }
            out[i * n + j] = (float)value;
        }
}

enum status disc_smooth(float *image, const struct disc *disc, double sigma, struct error *error)
{
    const int64_t n = disc->n;
    float *half = memory_alloc((size_t)(n * n), sizeof *half);
    if (!half)
        return error_memory(error, (size_t)(n * n) * sizeof *half, "smoothing an image");
    disc_smooth_axis(half, image, n, true, sigma);
    disc_smooth_axis(image, half, n, false, sigma);
    memory_free(half);
    return STATUS_OK;
}

enum status disc_components(int32_t *label, int64_t *ret_n, const struct disc *disc, const uint8_t *marked,
                            struct error *error)
{
    const int64_t n = disc->n;
    const int64_t step[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    int32_t *stack = memory_alloc((size_t)disc->n_rays, sizeof *stack);
    if (!stack)
        return error_memory(error, (size_t)disc->n_rays * sizeof *stack, "parts of a disc");
    memset(label, 0, (size_t)disc->n_rays * sizeof *label);

    int32_t parts = 0;
    for (int64_t first = 0; first < disc->n_rays; first++) {
        if (!marked[first] || label[first])
            continue;
        int64_t height = 0; /* each ray enters once */
        stack[height++] = (int32_t)first;
        label[first] = ++parts;
        while (height > 0) {
            const int64_t p = disc->pixel[stack[--height]];
            for (int s = 0; s < 4; s++) {
                const int64_t i = p / n + step[s][0], j = p % n + step[s][1];
                const int32_t ray = i < 0 || j < 0 || i >= n || j >= n ? -1 : disc->ray_at[i * n + j];
                if (ray < 0 || !marked[ray] || label[ray])
                    continue;
                label[ray] = parts;
                stack[height++] = ray;
            }
        }
    }
    memory_free(stack);
    *ret_n = parts;
    return STATUS_OK;
}
