/* field.c - see field.h. */
#include "field.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/check.h"

static const double field_amplitude[FIELD_MODES] = {3, 2.5, 2, 2, 1.5, 1.5, 1, 0.8}; /* mm */
static const double field_thick[FIELD_MODES] = {
    0.1, -0.2, 0.3, 0.1, -0.1, 0.2, 0.3, -0.3}; /* of it, the share by which the outer one moves more */

/* Smooth functions of the direction; odd ones in x and even ones. */
static double field_mode(int k, const double d[3])
{
    const double x = d[0], y = d[1], z = d[2];
    const double modes[FIELD_MODES] = {1, y, z, x, x * y, y * z, x * x - y * y, x * z};
    return modes[k];
}

/* How much mode k moves the surface of element i. */
static double field_moves(int k, int64_t i)
{
    return i & 1 ? 1 + field_thick[k] : 1;
}

double field_mean(int surface)
{
    return surface ? 87 : 80;
}

void field_make(struct field *ret, int64_t disc_n, int64_t n_heads, double noise_mm, uint64_t seed)
{
    struct error error = {0};
    memset(ret, 0, sizeof *ret);
    CHECK_OK(disc_init(&ret->disc, disc_n, 1.6, &error), &error);
    const int64_t n_rays = ret->disc.n_rays;
    ret->heads = (struct heads){.n = n_heads, .n_rays = n_rays};
    ret->heads.map = memory_alloc((size_t)(n_heads * n_rays), 2 * sizeof(float));
    ret->heads.group = memory_alloc((size_t)n_heads, sizeof(int32_t));
    for (int64_t h = 0; h < n_heads; h++) {
        struct rng rng = rng_make(seed, (uint64_t)h);
        double weight[FIELD_MODES];
        ret->heads.group[h] = (int32_t)h;
        for (int k = 0; k < FIELD_MODES; k++)
            weight[k] = rng_normal(&rng, 0, field_amplitude[k]);
        for (int64_t i = 0; i < 2 * n_rays; i++) {
            double value = field_mean(i & 1) + rng_normal(&rng, 0, noise_mm);
            for (int k = 0; k < FIELD_MODES; k++)
                value += weight[k] * field_moves(k, i) * field_mode(k, ret->disc.ray[i / 2]);
            ret->heads.map[h * 2 * n_rays + i] = (float)value;
        }
    }
}

double field_covariance(const struct field *field, int64_t i, int64_t j)
{
    double sum = 0;
    for (int k = 0; k < FIELD_MODES; k++)
        sum += field_amplitude[k] * field_amplitude[k] * field_moves(k, i) * field_moves(k, j) *
               field_mode(k, field->disc.ray[i / 2]) * field_mode(k, field->disc.ray[j / 2]);
    return sum;
}

struct radial_map field_map(const struct field *field, int64_t h)
{
    struct error error = {0};
    struct radial_map map = {0};
    CHECK_OK(radial_map_new(&map, field->disc.n_rays, &error), &error);
    for (int64_t ray = 0; ray < field->disc.n_rays; ray++) {
        map.inner[ray] = field->heads.map[(h * field->disc.n_rays + ray) * 2];
        map.outer[ray] = field->heads.map[(h * field->disc.n_rays + ray) * 2 + 1];
    }
    return map;
}

void field_cap(uint8_t *marked, const struct disc *disc, const double direction[3], double reach)
{
    const double length = sqrt(direction[0] * direction[0] + direction[1] * direction[1] + direction[2] * direction[2]);
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        const double *d = disc->ray[ray];
        const double along = (d[0] * direction[0] + d[1] * direction[1] + d[2] * direction[2]) / length;
        marked[ray] = acos(fmin(fmax(along, -1), 1)) <= reach;
    }
}

void field_done(struct field *field)
{
    memory_free(field->heads.map);
    memory_free(field->heads.group);
    memory_free(field->heads.spread);
    disc_done(&field->disc);
}
