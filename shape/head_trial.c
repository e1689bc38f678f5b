/* head_trial.c - see head_trial.h. Test: tests/shape/test_fit.c */
#include "shape/head_trial.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

/* ---- a hole ---- */

#define TWO_PI 6.283185307179586

/* Marks the good rays within an ellipse about a centre; axes in mm on the head's sphere. */
static void head_trial_mark(uint8_t *hole, const struct disc *disc, const uint8_t *good, const double centre[3],
                            const double axes_mm[2], double turn)
{
    /* two tangents at the centre, the first one turned by `turn` from the meridian */
    double east[3] = {-centre[1], centre[0], 0}, north[3], first[3], second[3];
    const double length = sqrt(east[0] * east[0] + east[1] * east[1]);
    for (int a = 0; a < 3; a++)
        east[a] = length > 1e-6 ? east[a] / length : a == 0;
    for (int a = 0; a < 3; a++) {
        const int b = (a + 1) % 3, c = (a + 2) % 3;
        north[a] = centre[b] * east[c] - centre[c] * east[b];
    }
    for (int a = 0; a < 3; a++) {
        first[a] = cos(turn) * east[a] + sin(turn) * north[a];
        second[a] = cos(turn) * north[a] - sin(turn) * east[a];
    }
    for (int64_t ray = 0; ray < disc->n_rays; ray++) {
        const double *d = disc->ray[ray];
        const double along = d[0] * centre[0] + d[1] * centre[1] + d[2] * centre[2];
        const double x = DISC_HEAD_RADIUS_MM * (d[0] * first[0] + d[1] * first[1] + d[2] * first[2]) / axes_mm[0];
        const double y = DISC_HEAD_RADIUS_MM * (d[0] * second[0] + d[1] * second[1] + d[2] * second[2]) / axes_mm[1];
        if (along > 0 && x * x + y * y <= 1 && good[ray])
            hole[ray] = 1;
    }
}

enum status head_trial_hole(uint8_t *hole, const struct disc *disc, const uint8_t *good, uint64_t seed, int64_t number,
                            struct error *error)
{
    struct rng rng = rng_make(seed, (uint64_t)number);
    bool any = false;
    for (int64_t ray = 0; ray < disc->n_rays && !any; ray++)
        any = good[ray] && disc->ray[ray][2] > -0.1;
    if (!any)
        return error_set(
            error, STATUS_FAILED,
            "shape model: no ray is good: the heads have no vault in common (are they upright, and heads?)");
    memset(hole, 0, (size_t)disc->n_rays);
    int64_t ray; /* of equal area: the centre is uniform over the vault; the same one while that ray is good */
    do
        ray = rng_below(&rng, disc->n_rays);
    while (!good[ray] || disc->ray[ray][2] <= -0.1);

    double centre[3];
    memcpy(centre, disc->ray[ray], sizeof centre);
    const int64_t n_parts = 1 + rng_below(&rng, 3);
    for (int64_t part = 0; part < n_parts; part++) {
        const double size = rng_uniform(&rng, 22, 50), aspect = rng_uniform(&rng, 0.75, 1.33);
        const double axes[2] = {size * aspect, size / aspect};
        head_trial_mark(hole, disc, good, centre, axes, rng_uniform(&rng, 0, TWO_PI));
        double squares = 0;
        for (int a = 0; a < 3; a++) { /* the next part overlaps this one */
            centre[a] += rng_normal(&rng, 0, 0.25);
            squares += centre[a] * centre[a];
        }
        for (int a = 0; a < 3; a++)
            centre[a] /= sqrt(squares);
    }
    return STATUS_OK;
}

/* ---- the rays of a trial ---- */

/* The population at these rays alone. */
static enum status head_trial_pick(struct head_trial *trial, const struct population *population, const int32_t *rays,
                                   int64_t n, struct error *error)
{
    const int64_t m = population->n_factors;
    struct population *picked = &trial->population;
    picked->n_heads = population->n_heads;
    picked->n_factors = m;
    picked->factor = memory_alloc((size_t)(2 * n * m), sizeof *picked->factor);
    picked->rough = memory_alloc((size_t)(2 * n), sizeof *picked->rough);
    picked->mode = memory_alloc((size_t)(2 * n * POSE_MODES), sizeof *picked->mode);
    trial->disc = (struct disc){.n = population->disc->n,
                                .n_rays = n,
                                .ray = memory_alloc((size_t)n, sizeof *trial->disc.ray),
                                .pixel = memory_alloc((size_t)n, sizeof *trial->disc.pixel)};
    if (!picked->factor || !picked->mode || !picked->rough || !trial->disc.ray || !trial->disc.pixel)
        return error_memory(error, (size_t)(2 * n * m) * sizeof *picked->factor, "the rays of a trial");
    if (radial_map_new(&picked->mean, n, error) || radial_map_new(&picked->sd, n, error))
        return error->status;
    for (int64_t k = 0; k < n; k++) {
        const int64_t ray = rays[k];
        memcpy(picked->factor + 2 * k * m, population->factor + 2 * ray * m, (size_t)(2 * m) * sizeof *picked->factor);
        memcpy(picked->mode + 2 * k * POSE_MODES, population->mode + 2 * ray * POSE_MODES,
               2 * POSE_MODES * sizeof *picked->mode);
        trial->disc.pixel[k] = population->disc->pixel[ray];
        memcpy(trial->disc.ray[k], population->disc->ray[ray], sizeof trial->disc.ray[k]);
        memcpy(picked->rough + 2 * k, population->rough + 2 * ray, 2 * sizeof *picked->rough);
        picked->mean.inner[k] = population->mean.inner[ray];
        picked->mean.outer[k] = population->mean.outer[ray];
        picked->sd.inner[k] = population->sd.inner[ray];
        picked->sd.outer[k] = population->sd.outer[ray];
    }
    return STATUS_OK;
}

/* seen first, then unseen. */
static enum status head_trial_fill(struct head_trial *trial, const struct head_trial_head *head,
                                   const struct population *population, const struct hole *hole, struct error *error)
{
    const int64_t n = hole->n_seen + hole->n_unseen;
    int32_t *rays = memory_alloc((size_t)n, sizeof *rays);
    trial->seen = memory_alloc((size_t)hole->n_seen, sizeof *trial->seen);
    trial->unseen = memory_alloc((size_t)hole->n_unseen, sizeof *trial->unseen);
    trial->ray = memory_alloc((size_t)hole->n_unseen, sizeof *trial->ray);
    trial->truth = memory_alloc((size_t)hole->n_unseen, 2 * sizeof *trial->truth);
    enum status status = STATUS_OK;
    if (!rays || !trial->seen || !trial->unseen || !trial->ray || !trial->truth)
        status = error_memory(error, (size_t)n * sizeof *rays, "the rays of a trial");
    if (!status)
        status = radial_map_new(&trial->map, n, error);
    if (!status) {
        trial->n_seen = hole->n_seen;
        trial->n_unseen = hole->n_unseen;
        for (int64_t k = 0; k < n; k++) {
            const int64_t ray = rays[k] = k < hole->n_seen ? hole->seen[k] : hole->unseen[k - hole->n_seen];
            trial->map.inner[k] = head->hole[ray] ? NAN : head->map->inner[ray];
            trial->map.outer[k] = head->hole[ray] ? NAN : head->map->outer[ray];
            if (k < hole->n_seen)
                trial->seen[k] = (int32_t)k;
            else {
                const bool odd = !(fabs(head->map->inner[ray] - population->mean.inner[ray]) <=
                                   fmax(5 * population->sd.inner[ray], 6)) ||
                                 !(fabs(head->map->outer[ray] - population->mean.outer[ray]) <=
                                   fmax(5 * population->sd.outer[ray], 6));
                trial->unseen[k - hole->n_seen] = (int32_t)k;
                trial->ray[k - hole->n_seen] = (int32_t)ray;
                trial->truth[2 * (k - hole->n_seen)] = odd ? NAN : head->map->inner[ray];
                trial->truth[2 * (k - hole->n_seen) + 1] = odd ? NAN : head->map->outer[ray];
            }
        }
        status = head_trial_pick(trial, population, rays, n, error);
    }
    memory_free(rays);
    return status;
}

enum status head_trial_new(struct head_trial *ret, const struct head_trial_head *head, const struct disc *disc,
                           const struct heads *heads, const struct hole_config *rules, struct error *error)
{
    struct head_trial trial = {0};
    struct population population = {0};
    struct radial_map cut = {0};
    struct hole hole = {0};
    if (population_new(&population, disc, heads, head->without, error))
        return error->status;
    enum status status = radial_map_new(&cut, disc->n_rays, error);
    if (!status) {
        memcpy(cut.inner, head->map->inner, (size_t)disc->n_rays * RADIAL_MAP_PLANES * sizeof *cut.inner);
        for (int64_t ray = 0; ray < disc->n_rays; ray++)
            if (head->hole[ray])
                cut.inner[ray] = cut.outer[ray] = NAN;
        status = hole_find(
            &hole,
            &(struct hole_given){
                .disc = disc, .map = &cut, .mean = &population.mean, .sd = &population.predictive, .good = head->good},
            rules, error);
    }
    if (!status)
        status = head_trial_fill(&trial, head, &population, &hole, error);
    hole_done(&hole);
    radial_map_done(&cut);
    population_done(&population);
    if (status)
        head_trial_done(&trial);
    else
        *ret = trial;
    return status;
}

void head_trial_done(struct head_trial *trial)
{
    population_done(&trial->population);
    radial_map_done(&trial->map);
    memory_free(trial->disc.ray);
    memory_free(trial->disc.pixel);
    memory_free(trial->seen);
    memory_free(trial->unseen);
    memory_free(trial->ray);
    memory_free(trial->truth);
    *trial = (struct head_trial){0};
}

/* ---- a prediction, compared ---- */

/* Volume between two radii, per solid angle and times three. */
static double head_trial_shell(double inner, double outer)
{
    return fmax(outer * outer * outer - inner * inner * inner, 0);
}

static struct head_trial_score head_trial_compare(float *z, const struct head_trial *trial,
                                                  const struct gaussian *gaussian)
{
    struct head_trial_score score = {0};
    double both = 0, sum = 0, density = 0;
    for (int64_t k = 0; k < trial->n_unseen; k++) {
        const float *truth = trial->truth + 2 * k, *mean = gaussian->mean + 2 * k;
        for (int s = 0; s < 2; s++) {
            const double miss = (double)mean[s] - truth[s];
            if (z)
                z[2 * k + s] = (float)(miss / gaussian->sd[2 * k + s]);
            if (!isfinite(truth[0]))
                continue;
            score.error_mm[s] += fabs(miss);
            if (gaussian->sd) {
                const double sd = gaussian->sd[2 * k + s];
                density -= 0.5 * (miss / sd * (miss / sd) + log(TWO_PI * sd * sd));
            }
            score.n++;
        }
        if (isfinite(truth[0])) {
            both += head_trial_shell(fmax(mean[0], truth[0]), fmin(mean[1], truth[1]));
            sum += head_trial_shell(mean[0], mean[1]) + head_trial_shell(truth[0], truth[1]);
        }
    }
    const double n = (double)score.n;
    score.overlap = sum > 0 ? 2 * both / sum : NAN;
    score.error_mm[0] *= 2 / n;
    score.error_mm[1] *= 2 / n;
    score.log_density = gaussian->sd ? density / n : NAN;
    return score;
}

enum status head_trial_run(struct head_trial_score *ret, float *z, const struct head_trial *trial,
                           const struct covariance_params *params, bool with_sd, struct error *error)
{
    struct population population = trial->population;
    population.disc = &trial->disc;
    const struct gaussian_given given = {.map = &trial->map,
                                         .seen = trial->seen,
                                         .n_seen = trial->n_seen,
                                         .unseen = trial->unseen,
                                         .n_unseen = trial->n_unseen,
                                         .with_sd = with_sd,
                                         .rim = with_sd ? &gaussian_rim_default : NULL};
    struct gaussian gaussian;
    if (gaussian_condition(&gaussian, &given, &population, params, error))
        return error->status;
    *ret = head_trial_compare(z, trial, &gaussian);
    gaussian_done(&gaussian);
    return STATUS_OK;
}
