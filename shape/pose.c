/* pose.c - the canonical frame and the robust fit of a cloud to a template: see pose.h. Test: tests/shape/test_pose.c
 */
#include "shape/pose.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

const struct pose_fit pose_fit_new_skull = {40, 20, 7, 0.05};
const struct pose_fit pose_fit_training = {30, 20, 7, 0.05};
const struct pose_fit pose_fit_refine = {30, 8, 7, 0.05};

#define POSE_PI 3.14159265358979323846
enum { POSE_UNKNOWNS = 9 }; /* rotation, shift, log scales */

/* --- frames --- */

void pose_rotation(double ret[3][3], const double w[3])
{
    const double angle = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    const double s = angle < 1e-12 ? 0 : 1 / angle, x = w[0] * s, y = w[1] * s, z = w[2] * s;
    const double sine = sin(angle),
                 versine = 1 - cos(angle); /* R = I + sin K + (1 - cos) K K, K the cross product with the unit vector */
    const double k[3][3] = {{0, -z, y}, {z, 0, -x}, {-y, x, 0}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            ret[i][j] =
                (i == j) + sine * k[i][j] + versine * (k[i][0] * k[0][j] + k[i][1] * k[1][j] + k[i][2] * k[2][j]);
}

void pose_canonical(const struct pose *pose, const double world[3], double canonical[3])
{
    const double p[3] = {world[0] - pose->centre[0], world[1] - pose->centre[1], world[2] - pose->centre[2]};
    for (int i = 0; i < 3; i++)
        canonical[i] =
            pose->scale[i] * (pose->rotation[i][0] * p[0] + pose->rotation[i][1] * p[1] + pose->rotation[i][2] * p[2]);
}

void pose_world(const struct pose *pose, const double canonical[3], double world[3])
{
    const double p[3] = {canonical[0] / pose->scale[0], canonical[1] / pose->scale[1], canonical[2] / pose->scale[2]};
    for (int i = 0; i < 3; i++)
        world[i] =
            pose->centre[i] + pose->rotation[0][i] * p[0] + pose->rotation[1][i] * p[1] + pose->rotation[2][i] * p[2];
}

struct pose_difference pose_compare(const struct pose *a, const struct pose *b)
{
    struct pose_difference difference = {0};
    double trace = 0, squared = 0, away = 0;
    for (int i = 0; i < 3; i++) {
        squared += (a->centre[i] - b->centre[i]) * (a->centre[i] - b->centre[i]);
        for (int j = 0; j < 3; j++)
            trace += a->rotation[i][j] * b->rotation[i][j];
    }
    difference.rotation_deg = acos(fmax(-1, fmin(1, (trace - 1) / 2))) * 180 / POSE_PI;
    difference.centre_mm = sqrt(squared);

    /* where both poses take points spread over the upper half of a sphere of 85 mm (a Fibonacci lattice) */
    enum { POINTS = 200 };
    for (int k = 0; k < POINTS; k++) {
        const double z = (k + 0.5) / POINTS, h = sqrt(1 - z * z), turn = k * POSE_PI * (3 - sqrt(5));
        const double q[3] = {DISC_HEAD_RADIUS_MM * h * cos(turn), DISC_HEAD_RADIUS_MM * h * sin(turn),
                             DISC_HEAD_RADIUS_MM * z};
        double at[3], other[3];
        pose_world(a, q, at);
        pose_world(b, q, other);
        away += sqrt((at[0] - other[0]) * (at[0] - other[0]) + (at[1] - other[1]) * (at[1] - other[1]) +
                     (at[2] - other[2]) * (at[2] - other[2]));
    }
    difference.surface_mm = away / POINTS;
    return difference;
}

/* --- clouds --- */

enum status cloud_new(struct cloud *ret, int64_t n, struct error *error)
{
    struct cloud cloud = {.n = n, .point = memory_alloc((size_t)n, sizeof *cloud.point)};
    if (!cloud.point)
        return error_memory(error, (size_t)n * sizeof *cloud.point, "points of a surface");
    *ret = cloud;
    return STATUS_OK;
}

void cloud_done(struct cloud *cloud)
{
    memory_free(cloud->point);
    *cloud = (struct cloud){0};
}

enum status cloud_thin(struct cloud *ret, const struct cloud *cloud, int64_t k, struct error *error)
{
    if (cloud_new(ret, (cloud->n + k - 1) / k, error))
        return STATUS_FAILED;
    for (int64_t i = 0; i < ret->n; i++)
        memcpy(ret->point[i], cloud->point[i * k], sizeof ret->point[i]);
    return STATUS_OK;
}

/* --- the fit --- */

/* f(q) = |q| - T(q / |q|); *ret_up = cosine of the angle from the vertex. */
static double pose_height(const struct disc *disc, const float *template, const double q[3], double *ret_up)
{
    const double r = fmax(sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), 1e-9);
    const double d[3] = {q[0] / r, q[1] / r, q[2] / r};
    double at[2];
    disc_locate(disc, d, at);
    *ret_up = d[2];
    return r - disc_sample(disc, template, at);
}

/* The normal equations of one step: only the lower triangle of `normal`. */
struct pose_system {
    double normal[POSE_UNKNOWNS][POSE_UNKNOWNS], right[POSE_UNKNOWNS];
    double weight, loss;
    int64_t used;
};

static void pose_system_add(struct pose_system *system, const struct pose *pose, const double point[3],
                            const struct disc *disc, const float *template, double cut)
{
    static const double cos_105 = -0.25881904510252074;
    double q0[3], q[3], up, ignored, gradient[3], size = 0;
    for (int i = 0; i < 3; i++) {
        q0[i] = 0;
        for (int j = 0; j < 3; j++)
            q0[i] += pose->rotation[i][j] * (point[j] - pose->centre[j]);
        q[i] = q0[i] * pose->scale[i];
    }
    const double f = pose_height(disc, template, q, &up);
    if (up <= cos_105)
        return;
    system->used++;
    if (fabs(f) >= cut * 8) { /* |grad f| is never near 8: the point has no weight */
        system->loss += 1;
        return;
    }

    for (int a = 0; a < 3; a++) {
        double ahead[3] = {q[0], q[1], q[2]}, behind[3] = {q[0], q[1], q[2]};
        ahead[a] += 1;
        behind[a] -= 1;
        gradient[a] =
            (pose_height(disc, template, ahead, &ignored) - pose_height(disc, template, behind, &ignored)) / 2;
        size += gradient[a] * gradient[a];
    }
    size = fmax(sqrt(size), 0.4);
    const double e = f / size;
    if (fabs(e) >= cut) {
        system->loss += 1;
        return;
    }
    const double inside = 1 - e / cut * (e / cut), w = inside * inside; /* Tukey's biweight */
    system->loss += 1 - inside * inside * inside;
    system->weight += w;

    /* d e / d (rotation, shift, log scales): q = S exp([w]x) q0 and so on */
    double g[3], row[POSE_UNKNOWNS];
    for (int a = 0; a < 3; a++) {
        g[a] = gradient[a] / size * pose->scale[a];
        row[3 + a] = g[a];
        row[6 + a] = gradient[a] / size * q[a];
    }
    for (int a = 0; a < 3; a++) {
        const int b = (a + 1) % 3, c = (a + 2) % 3;
        row[a] = q0[b] * g[c] - q0[c] * g[b];
    }
    for (int i = 0; i < POSE_UNKNOWNS; i++) {
        system->right[i] -= w * e * row[i];
        for (int j = 0; j <= i; j++)
            system->normal[i][j] += w * row[i] * row[j];
    }
}

/* x = A^-1 b by Cholesky's decomposition of nine unknowns. False where A is not positive. */
static bool pose_system_solve(double x[POSE_UNKNOWNS], struct pose_system *system)
{
    double(*a)[POSE_UNKNOWNS] = system->normal;
    for (int i = 0; i < POSE_UNKNOWNS; i++)
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (int k = 0; k < j; k++)
                sum -= a[i][k] * a[j][k];
            if (i == j && !(sum > 0))
                return false;
            a[i][j] = i == j ? sqrt(sum) : sum / a[j][j];
        }
    for (int i = 0; i < POSE_UNKNOWNS; i++) {
        x[i] = system->right[i];
        for (int k = 0; k < i; k++)
            x[i] -= a[i][k] * x[k];
        x[i] /= a[i][i];
    }
    for (int i = POSE_UNKNOWNS - 1; i >= 0; i--) {
        for (int k = i + 1; k < POSE_UNKNOWNS; k++)
            x[i] -= a[k][i] * x[k];
        x[i] /= a[i][i];
    }
    return true;
}

/* R <- turn R */
static void pose_turn(struct pose *pose, double turn[3][3])
{
    double rotation[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            rotation[i][j] = turn[i][0] * pose->rotation[0][j] + turn[i][1] * pose->rotation[1][j] +
                             turn[i][2] * pose->rotation[2][j];
    memcpy(pose->rotation, rotation, sizeof rotation);
}

/* R <- exp([x_rotation]) R, c <- c - R' x_shift, S <- S exp(x_scale) */
static void pose_step(struct pose *pose, const double x[POSE_UNKNOWNS])
{
    double turn[3][3];
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++)
            pose->centre[j] -= pose->rotation[i][j] * x[3 + i];
    pose_rotation(turn, x);
    pose_turn(pose, turn);
    for (int a = 0; a < 3; a++)
        pose->scale[a] *= exp(x[6 + a]);
}

enum status pose_refine(struct pose *pose, double *ret_loss, const struct cloud *cloud, const struct disc *disc,
                        const float *template, const struct pose_fit *fit, struct error *error)
{
    const double prior = 1 / (fit->scale_prior * fit->scale_prior), narrowing = 0.6 * (double)fit->iterations;
    struct pose now = *pose;
    double loss = 1;
    for (int64_t i = 0; i < fit->iterations; i++) {
        const double cut = fit->wide_mm + (fit->narrow_mm - fit->wide_mm) * fmin(1, (double)i / narrowing);
        struct pose_system system = {0};
        for (int64_t k = 0; k < cloud->n; k++)
            pose_system_add(&system, &now, cloud->point[k], disc, template, cut);
        if (!system.used)
            return error_set(error, STATUS_FAILED, "pose: no point of the surface lies where a vault can be");
        loss = system.loss / (double)system.used;

        for (int a = 0; a < 3; a++) {
            const double weak = 0.02 * system.weight * prior;
            system.normal[a][a] += 100;
            system.normal[3 + a][3 + a] += 0.01;
            system.normal[6 + a][6 + a] += weak + 1e-9;
            system.right[6 + a] -= weak * log(now.scale[a]);
        }
        double x[POSE_UNKNOWNS];
        if (!pose_system_solve(x, &system))
            return error_set(error, STATUS_FAILED, "pose: the surface does not hold a pose");
        pose_step(&now, x);
        if (fmax(fmax(fabs(x[0]), fabs(x[1])), fabs(x[2])) < 1e-5 &&
            fmax(fmax(fabs(x[3]), fabs(x[4])), fabs(x[5])) < 1e-3 && (double)i > narrowing)
            break;
    }
    *pose = now;
    *ret_loss = loss;
    return STATUS_OK;
}

enum status pose_best(struct pose *ret, double *ret_loss, const struct cloud *cloud, const struct disc *disc,
                      const float *template, const struct pose *start, const struct pose_fit *fit, struct error *error)
{
    enum { STARTS = 5 };
    struct pose poses[STARTS];
    double loss[STARTS];
    struct error errors[STARTS];
    int best = -1;
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < STARTS; i++) {
        const double nod[3] = {(i - 2) * 10 * POSE_PI / 180, 0, 0};
        double turn[3][3];
        poses[i] = *start;
        errors[i] = (struct error){0};
        pose_rotation(turn, nod);
        pose_turn(&poses[i], turn);
        if (pose_refine(&poses[i], &loss[i], cloud, disc, template, fit, &errors[i]))
            loss[i] = INFINITY;
    }
    for (int i = 0; i < STARTS; i++)
        if (isfinite(loss[i]) && (best < 0 || loss[i] < loss[best]))
            best = i;
    if (best < 0) {
        *error = errors[0];
        return STATUS_FAILED;
    }
    *ret = poses[best];
    *ret_loss = loss[best];
    return STATUS_OK;
}
