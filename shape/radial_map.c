/* radial_map.c - rays through a mask: see radial_map.h. Test: tests/shape/test_radial_map.c */
#include "shape/radial_map.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

#define RADIAL_NEAR_MM 15.0
#define RADIAL_FAR_MM 135.0

enum status radial_map_new(struct radial_map *ret, int64_t n_rays, struct error *error)
{
    float *values = memory_alloc((size_t)n_rays, RADIAL_MAP_PLANES * sizeof *values);
    if (!values)
        return error_memory(error, (size_t)n_rays * RADIAL_MAP_PLANES * sizeof *values, "a radial map");
    for (int64_t k = 0; k < RADIAL_MAP_PLANES * n_rays; k++)
        values[k] = NAN;
    *ret = (struct radial_map){n_rays, values, values + n_rays, values + 2 * n_rays, values + 3 * n_rays};
    return STATUS_OK;
}

void radial_map_done(struct radial_map *map)
{
    memory_free(map->inner);
    *map = (struct radial_map){0};
}

/* A ray in the volume's indices: start + r * travel. */
struct radial_ray {
    const uint8_t *mask;
    int64_t dim[3];
    double start[3], travel[3];
};

/* Trilinear value of the mask at radius r; 0 outside the voxels' centres. */
static float radial_value(const struct radial_ray *ray, double r)
{
    int64_t lo[3];
    float part[3];
    for (int a = 0; a < 3; a++) {
        const double at = ray->start[a] + r * ray->travel[a];
        if (!(at >= 0 && at <= (double)(ray->dim[a] - 1)))
            return 0;
        lo[a] = (int64_t)at;
        if (lo[a] > ray->dim[a] - 2 && lo[a] > 0)
            lo[a]--;
        part[a] = (float)(at - (double)lo[a]);
    }
    const int64_t dx = ray->dim[0] > 1, dy = ray->dim[1] > 1 ? ray->dim[0] : 0,
                  dz = ray->dim[2] > 1 ? ray->dim[0] * ray->dim[1] : 0;
    const uint8_t *p = ray->mask + (lo[2] * ray->dim[1] + lo[1]) * ray->dim[0] + lo[0];
    const int near = (p[0] != 0) + (p[dx] != 0) + (p[dy] != 0) + (p[dx + dy] != 0);
    const int far = (p[dz] != 0) + (p[dz + dx] != 0) + (p[dz + dy] != 0) + (p[dz + dx + dy] != 0);
    if (near + far == 0)
        return 0;
    if (near + far == 8)
        return 1;
    float plane[2];
    for (int z = 0; z < 2; z++, p += dz) {
        const float front = (p[0] != 0 ? 1 - part[0] : 0) + (p[dx] != 0 ? part[0] : 0);
        const float back = (p[dy] != 0 ? 1 - part[0] : 0) + (p[dy + dx] != 0 ? part[0] : 0);
        plane[z] = front + part[1] * (back - front);
    }
    return plane[0] + part[2] * (plane[1] - plane[0]);
}

/* Where the ray is among the voxels: enter <= r <= leave, in [0, RADIAL_FAR_MM]; leave < enter: nowhere. */
static void radial_clip(const struct radial_ray *ray, double *ret_enter, double *ret_leave)
{
    double enter = 0, leave = RADIAL_FAR_MM;
    for (int a = 0; a < 3; a++) {
        const double lo = -0.5 - ray->start[a], hi = (double)ray->dim[a] - 0.5 - ray->start[a], step = ray->travel[a];
        if (fabs(step) < 1e-12) {
            if (lo > 0 || hi < 0)
                leave = -1;
            continue;
        }
        enter = fmax(enter, fmin(lo / step, hi / step));
        leave = fmin(leave, fmax(lo / step, hi / step));
    }
    *ret_enter = enter;
    *ret_leave = leave;
}

/* The stretch of a ray that is looked at: samples every step_mm from near_mm on, up to far_mm. */
struct radial_stretch {
    double near_mm, far_mm, step_mm;
};

/* First entry and last exit: from the inside to the first sample in bone, from the outside to the last one. */
static void radial_trace_ray(float *inner, float *outer, const struct radial_ray *ray,
                             const struct radial_stretch *stretch)
{
    const double near = stretch->near_mm, step = stretch->step_mm;
    const int64_t samples = (int64_t)ceil((stretch->far_mm - near) / step - 1e-9);
    double enter, leave;
    radial_clip(ray, &enter, &leave);
    int64_t first = (int64_t)fmax(0, floor((enter - near) / step));
    int64_t last = (int64_t)fmin((double)samples - 1, ceil((leave - near) / step));
    const int64_t end = last;
    float value = 0, before = 0;
    *inner = *outer = NAN;

    for (; first <= end; first++, before = value)
        if ((value = radial_value(ray, near + (double)first * step)) > 0.5F)
            break;
    if (first > end)
        return;
    const double back =
        before <= 0.5F && first > 0 ? (0.5 - (double)before) / fmax((double)value - (double)before, 1e-6) - 1 : 0;
    *inner = (float)(near + ((double)first + back) * step);

    for (before = 0; last > first; last--, before = value)
        if ((value = radial_value(ray, near + (double)last * step)) > 0.5F)
            break;
    if (last == first) /* the loop above ended without a look at it; what follows it was seen */
        value = radial_value(ray, near + (double)last * step);
    const double on = last < samples - 1 ? ((double)value - 0.5) / fmax((double)value - (double)before, 1e-6) : 0;
    *outer = (float)(near + ((double)last + fmin(fmax(on, 0), 1)) * step);
}

/* Ray k of the disc among the voxels; base: the volume and the centre. */
static struct radial_ray radial_ray_of(const struct radial_ray *base, const struct volume *skull,
                                       const struct pose *pose, const double direction[3])
{
    struct radial_ray ray = *base;
    double world[3], index[3];
    pose_world(pose, direction, world);
    grid_to_index(&skull->grid, world, index);
    for (int a = 0; a < 3; a++)
        ray.travel[a] = index[a] - ray.start[a];
    return ray;
}

static struct radial_ray radial_base(const struct volume *skull, const struct pose *pose)
{
    struct radial_ray base = {.mask = skull->data};
    memcpy(base.dim, skull->grid.dim, sizeof base.dim);
    grid_to_index(&skull->grid, pose->centre, base.start);
    return base;
}

void radial_map_trace(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                      const struct disc *disc, double step_mm)
{
    const struct radial_ray base = radial_base(skull, pose);
    const struct radial_stretch stretch = {RADIAL_NEAR_MM, RADIAL_FAR_MM, step_mm};
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t k = 0; k < disc->n_rays; k++) {
        const struct radial_ray ray = radial_ray_of(&base, skull, pose, disc->ray[k]);
        double enter, leave;
        radial_clip(&ray, &enter, &leave);
        map->enter[k] = (float)enter;
        map->leave[k] = (float)leave;
        radial_trace_ray(&map->inner[k], &map->outer[k], &ray, &stretch);
    }
}

void radial_map_retrace(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                        const struct disc *disc, const struct radial_window *window, double step_mm)
{
    const struct radial_ray base = radial_base(skull, pose);
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t k = 0; k < disc->n_rays; k++) {
        if (!window->marked[k])
            continue;
        const struct radial_ray ray = radial_ray_of(&base, skull, pose, disc->ray[k]);
        const struct radial_stretch stretch = {(double)window->nearest[k], (double)window->farthest[k], step_mm};
        radial_trace_ray(&map->inner[k], &map->outer[k], &ray, &stretch);
    }
}

void radial_map_crop(struct radial_map *map, const struct volume *skull, const struct pose *pose,
                     const struct disc *disc, const struct box *box)
{
    struct radial_ray base = radial_base(skull, pose);
    for (int64_t k = 0; k < disc->n_rays; k++) {
        struct radial_ray ray = radial_ray_of(&base, skull, pose, disc->ray[k]);
        double enter, leave;
        for (int a = 0; a < 3; a++) {
            ray.start[a] = base.start[a] - (double)box->lo[a];
            ray.dim[a] = box->hi[a] - box->lo[a];
        }
        radial_clip(&ray, &enter, &leave);
        map->enter[k] = (float)enter;
        map->leave[k] = (float)leave;
    }
}

void radial_map_occupied(uint16_t *bone, const struct radial_map *map, const struct volume *skull,
                         const struct pose *pose, const struct disc *disc)
{
    const struct radial_ray base = radial_base(skull, pose);
#pragma omp parallel for schedule(dynamic, 256)
    for (int64_t k = 0; k < disc->n_rays; k++) {
        const struct radial_ray ray = radial_ray_of(&base, skull, pose, disc->ray[k]);
        const double inner = (double)map->inner[k], step = ((double)map->outer[k] - inner) / 16;
        bone[k] = 0;
        for (int i = 0; i < 16 && isfinite(step); i++)
            if (radial_value(&ray, inner + ((double)i + 0.5) * step) > 0.5F)
                bone[k] = (uint16_t)(bone[k] | 1U << i);
    }
}
