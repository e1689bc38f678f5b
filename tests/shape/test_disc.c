/* test_disc.c - the raster of directions: its rays, its coordinates, and what is done on it. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "shape/disc.h"
#include "tests/check.h"

static struct disc disc_open(int64_t n, double reach)
{
    struct disc disc = {0};
    struct error error = {0};
    CHECK_OK(disc_init(&disc, n, reach, &error), &error);
    return disc;
}

static void test_rays(void)
{
    struct disc disc = disc_open(DISC_MAP_N, DISC_MAP_REACH);
    CHECK_INT(disc.n_rays, 15365);
    double sum[3] = {0}, longest = 0, off = 0;
    int64_t wrong = 0;
    for (int64_t k = 0; k < disc.n_rays; k++) {
        const double *d = disc.ray[k], *m = disc.ray[disc.mirror[k]];
        double at[2];
        longest = fmax(longest, fabs(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] - 1));
        wrong += fabs(m[0] + d[0]) > 1e-12 || fabs(m[1] - d[1]) > 1e-12 || fabs(m[2] - d[2]) > 1e-12;
        wrong += disc.ray_at[disc.pixel[k]] != k || disc.mirror[disc.mirror[k]] != k;
        disc_locate(&disc, d, at);
        off =
            fmax(off, fabs(at[0] - (double)(disc.pixel[k] / disc.n)) + fabs(at[1] - (double)(disc.pixel[k] % disc.n)));
        wrong += disc_nearest(&disc, at) != k;
        for (int a = 0; a < 3; a++)
            sum[a] += d[a];
    }
    CHECK_INT(wrong, 0);
    CHECK_NEAR(longest, 0, 1e-12);
    CHECK_NEAR(off, 0, 1e-9);
    CHECK_NEAR(disc.ray[disc.ray_at[70 * 141 + 70]][2], 1, 1e-12); /* the vertex in the middle */
    /* equal area: the mean of z over a cap that ends at z1 = 1 - reach^2 / 2 is (1 + z1) / 2 */
    CHECK_NEAR(sum[2] / (double)disc.n_rays, (1 + 1 - 1.75 * 1.75 / 2) / 2, 2e-3);
    CHECK_NEAR(sum[0], 0, 1e-9);

    const double below[3] = {0, 0, -1};
    double at[2];
    disc_locate(&disc, below, at);
    CHECK(isfinite(at[0]) && isfinite(at[1]));
    const double outside[3] = {0, sqrt(1 - 0.9 * 0.9), -0.9};
    disc_locate(&disc, outside, at);
    CHECK_INT(disc_nearest(&disc, at), -1);
    disc_done(&disc);
}

/* Against a search over all pixels. */
static void test_fill_nearest(void)
{
    enum { N = 25 };
    struct error error = {0};
    struct disc disc = disc_open(N, 1.7);
    float image[N * N], filled[N * N];
    for (int p = 0; p < N * N; p++)
        image[p] = (p * 7919) % 23 == 0 || p == 30 ? (float)p : NAN;
    memcpy(filled, image, sizeof image);
    CHECK_OK(disc_fill_nearest(filled, &disc, &error), &error);
    int wrong = 0;
    for (int p = 0; p < N * N; p++) {
        int best = N * N * 2;
        for (int q = 0; q < N * N; q++) {
            const int squared = (p / N - q / N) * (p / N - q / N) + (p % N - q % N) * (p % N - q % N);
            best = isfinite(image[q]) && squared < best ? squared : best;
        }
        const int from = (int)filled[p],
                  squared = (p / N - from / N) * (p / N - from / N) + (p % N - from % N) * (p % N - from % N);
        wrong += !isfinite(filled[p]) || !isfinite(image[from]) || squared != best;
    }
    CHECK_INT(wrong, 0);

    for (int p = 0; p < N * N; p++)
        filled[p] = NAN;
    CHECK_OK(disc_fill_nearest(filled, &disc, &error), &error);
    CHECK(isnan(filled[0]) && isnan(filled[N * N / 2]));
    disc_done(&disc);
}

static void test_sample(void)
{
    enum { N = 11 };
    struct disc disc = disc_open(N, 1.7);
    float image[N * N];
    for (int p = 0; p < N * N; p++)
        image[p] = (float)(3 * (p / N) - 2 * (p % N) + 5); /* bilinear reproduces what is linear */
    const double at[2] = {3.25, 7.5}, corner[2] = {10, 10}, beyond[2] = {-4, 20};
    CHECK_NEAR(disc_sample(&disc, image, at), 3 * 3.25 - 2 * 7.5 + 5, 1e-5);
    CHECK_NEAR(disc_sample(&disc, image, corner), 15, 1e-5);
    CHECK_NEAR(disc_sample(&disc, image, beyond), -15, 1e-5);

    struct error error = {0};
    float flat[N * N];
    for (int p = 0; p < N * N; p++)
        flat[p] = p == 5 * N + 5 ? 100.0F : 0.0F;
    CHECK_OK(disc_smooth(flat, &disc, 1.0, &error), &error);
    double sum = 0;
    for (int p = 0; p < N * N; p++)
        sum += (double)flat[p];
    CHECK_NEAR(sum, 100, 1e-3); /* reflected at the edge: nothing is lost */
    CHECK_NEAR(flat[5 * N + 5], 100 * 0.39894228 * 0.39894228, 0.1);
    disc_done(&disc);
}

static void test_parts(void)
{
    struct error error = {0};
    struct disc disc = disc_open(DISC_MAP_N, DISC_MAP_REACH);
    uint8_t *marked = memory_zalloc((size_t)disc.n_rays, 1);
    int32_t *label = memory_alloc((size_t)disc.n_rays, sizeof *label);
    float *away = memory_alloc((size_t)disc.n_rays, sizeof *away);
    int64_t n = -1;
    CHECK_OK(disc_components(label, &n, &disc, marked, &error), &error);
    CHECK_INT(n, 0);
    CHECK_OK(disc_distance(away, &disc, marked, &error), &error);
    CHECK(isinf(away[0]));

    /* two pixels that touch at a corner are two parts, and a row of three */
    const int64_t pixels[] = {50 * 141 + 50, 51 * 141 + 51, 90 * 141 + 70, 90 * 141 + 71, 90 * 141 + 72};
    for (int i = 0; i < 5; i++)
        marked[disc.ray_at[pixels[i]]] = 1;
    CHECK_OK(disc_components(label, &n, &disc, marked, &error), &error);
    CHECK_INT(n, 3);
    CHECK_INT(label[disc.ray_at[pixels[0]]], 1);
    CHECK_INT(label[disc.ray_at[pixels[4]]], 3);

    CHECK_OK(disc_distance(away, &disc, marked, &error), &error);
    CHECK_NEAR(away[disc.ray_at[90 * 141 + 75]], 3 * 85 * disc.step, 1e-3);
    CHECK_OK(disc_grow(marked, &disc, marked, 2.2, &error), &error); /* one pixel is 2.125 mm: the four neighbours */
    int64_t count = 0;
    for (int64_t k = 0; k < disc.n_rays; k++)
        count += marked[k];
    CHECK_INT(count, 8 + 11);
    memory_free(away);
    memory_free(label);
    memory_free(marked);
    disc_done(&disc);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"rays", test_rays}, {"fill_nearest", test_fill_nearest}, {"sample", test_sample}, {"parts", test_parts}, {0}};
    return check_main(argc, argv, tests);
}
