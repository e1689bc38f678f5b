/* shade.c - a view of a scene: orthographic rays to the first surface, its normal from the density's gradient, ambient
 * occlusion from the depth picture (McGuire et al., "The Alchemy screen-space ambient obscurance algorithm", HPG 2011),
 * two soft lights; one ray per pixel, 2 x 2 where the depths or colours of neighbours part.
 * Test: tests/data/test_render.c. */
#include "data/picture/scene.h"

#include <math.h>
#include <string.h>

enum {
    SHADE_SAMPLES = 2,
    SHADE_AO_TAPS = 22,
    SHADE_AO_TURNS = 16,
    SHADE_AO_BLUR = 2
}; /* samples per pixel on a side; taps; pixels around */

static const float shade_surface = SCENE_SURFACE;
static const double shade_ao_mm = 18;

/* Camera axes in volume axes: right, up, forward (unit vectors). */
struct camera {
    double axis[3][3];
    double origin[3];  /* cells: top left corner of the image, before all bone */
    double step;       /* cells per sample */
    double far;        /* cells from origin to behind all bone */
    double longest;    /* component of forward */
    double inverse[3]; /* 1 / forward: what all rays share; INFINITY where they run along a plane of cells */
    int64_t w, h;      /* samples */
};

static const float PIXEL_EVEN = -1; /* depth of a pixel's second sample: the first stands for all */

struct surface {
    float depth;     /* cells; INFINITY: background */
    float normal[3]; /* right, up, towards the camera */
    float albedo[3]; /* linear light */
};

/* Where the camera stands, seen from the skull: x left, y posterior, z up. */
static const double shade_from[VIEW_N][3] = {
    [VIEW_LEFT] = {1, 0, 0},
    [VIEW_FRONT] = {0, -1, 0},
    [VIEW_TOP] = {0, 0, 1},
    [VIEW_OBLIQUE] = {0.62, -0.75, 0.42},
    [VIEW_BACK] = {0, 1, 0},
    [VIEW_RIGHT] = {-1, 0, 0},
    [VIEW_BELOW] = {0, 0, -1},
    [VIEW_OBLIQUE_BACK] = {0.62, 0.75, 0.52},
    [VIEW_OBLIQUE_RIGHT] = {-0.62, -0.75, 0.42},
    [VIEW_OBLIQUE_BACK_RIGHT] = {-0.62, 0.75, 0.52},
    [VIEW_UNDER_OBLIQUE] = {-0.62, 0.75, -0.42},
    [VIEW_UNDER_OBLIQUE_BACK] = {-0.62, -0.75, -0.52},
    [VIEW_UNDER_OBLIQUE_RIGHT] = {0.62, 0.75, -0.42},
    [VIEW_UNDER_OBLIQUE_BACK_RIGHT] = {0.62, -0.75, -0.52},
};

static void shade_vector_cross(double out[3], const double a[3], const double b[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static void shade_vector_unit(double v[3])
{
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++)
        v[i] /= length;
}

enum render_view render_view_at(const double offset_mm[3])
{
    static const enum render_view views[] = {
        VIEW_OBLIQUE, VIEW_OBLIQUE_RIGHT, VIEW_OBLIQUE_BACK, VIEW_OBLIQUE_BACK_RIGHT, VIEW_LEFT, VIEW_RIGHT};
    enum render_view best = VIEW_OBLIQUE;
    double most = -INFINITY;

    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        double from[3], dot = 0;
        memcpy(from, shade_from[views[i]], sizeof from);
        shade_vector_unit(from);
        for (int a = 0; a < 3; a++)
            dot += from[a] * offset_mm[a];
        if (dot > most) {
            most = dot;
            best = views[i];
        }
    }

    return best;
}

enum render_view render_view_opposite(enum render_view view)
{
    for (int other = 0; other < VIEW_N; other++) {
        double sum = 0;
        for (int a = 0; a < 3; a++)
            sum += fabs(shade_from[view][a] + shade_from[other][a]);
        if (sum == 0)
            return (enum render_view)other;
    }
    return view;
}

/* What all blocks that hold something cover along the camera's axes, in cells. */
static void shade_camera_bounds(const struct camera *camera, const struct scene *scene, double lo[3], double hi[3])
{
    const double half = 0.5 * SCENE_BLOCK;

    for (int k = 0; k < 3; k++) {
        double reach = half * (fabs(camera->axis[k][0]) + fabs(camera->axis[k][1]) + fabs(camera->axis[k][2]));
        int64_t i = 0;
        lo[k] = INFINITY;
        hi[k] = -INFINITY;
        for (int64_t z = 0; z < scene->block_dim[2]; z++)
            for (int64_t y = 0; y < scene->block_dim[1]; y++)
                for (int64_t x = 0; x < scene->block_dim[0]; x++, i++) {
                    if (scene->away[i] > 0)
                        continue;
                    double at = ((double)x * SCENE_BLOCK + half) * camera->axis[k][0] +
                                ((double)y * SCENE_BLOCK + half) * camera->axis[k][1] +
                                ((double)z * SCENE_BLOCK + half) * camera->axis[k][2];
                    lo[k] = fmin(lo[k], at - reach);
                    hi[k] = fmax(hi[k], at + reach);
                }
        if (lo[k] > hi[k]) { /* specks below the threshold */
            lo[k] = -half;
            hi[k] = half;
        }
    }
}

static struct camera shade_camera_make(const struct scene *scene, enum render_view view, int64_t px)
{
    struct camera camera;
    bool vertical = view == VIEW_TOP || view == VIEW_BELOW;
    const double up[3] = {0, vertical ? -1 : 0, vertical ? 0 : 1}; /* the nose is up in views along the vertical */

    for (int i = 0; i < 3; i++)
        camera.axis[2][i] = -shade_from[view][i];
    shade_vector_unit(camera.axis[2]);
    shade_vector_cross(camera.axis[0], camera.axis[2], up);
    shade_vector_unit(camera.axis[0]);
    shade_vector_cross(camera.axis[1], camera.axis[0], camera.axis[2]);

    double lo[3], hi[3];
    shade_camera_bounds(&camera, scene, lo, hi);
    const double pixel = fmax(hi[0] - lo[0], hi[1] - lo[1]) / (double)px;
    camera.step = pixel / SHADE_SAMPLES;
    camera.w = SHADE_SAMPLES * (int64_t)ceil((hi[0] - lo[0]) / pixel - 1e-6);
    camera.h = SHADE_SAMPLES * (int64_t)ceil((hi[1] - lo[1]) / pixel - 1e-6);
    camera.far = hi[2] - lo[2];
    camera.longest = fmax(fabs(camera.axis[2][0]), fmax(fabs(camera.axis[2][1]), fabs(camera.axis[2][2])));
    for (int i = 0; i < 3; i++)
        camera.inverse[i] = fabs(camera.axis[2][i]) < 1e-9 ? INFINITY : 1 / camera.axis[2][i];
    for (int i = 0; i < 3; i++)
        camera.origin[i] = lo[0] * camera.axis[0][i] + hi[1] * camera.axis[1][i] + lo[2] * camera.axis[2][i];
    return camera;
}

/* A value between cells; p in cells from the scene's corner. Outside is empty. */
static float shade_value(const struct scene *scene, const uint8_t *values, const double p[3])
{
    int64_t at[3];
    float f[3];

    for (int a = 0; a < 3; a++) {
        double q = p[a] - 0.5;
        if (!(q >= 0 && q < (double)(scene->dim[a] - 1)))
            return 0;
        at[a] = (int64_t)q;
        f[a] = (float)(q - (double)at[a]);
    }

    const int64_t dx = scene->dim[0], dxy = dx * scene->dim[1];
    const uint8_t *d = values + at[2] * dxy + at[1] * dx + at[0];
    float y0 = (float)d[0] + f[0] * (float)(d[1] - d[0]);
    float y1 = (float)d[dx] + f[0] * (float)(d[dx + 1] - d[dx]);
    float y2 = (float)d[dxy] + f[0] * (float)(d[dxy + 1] - d[dxy]);
    float y3 = (float)d[dxy + dx] + f[0] * (float)(d[dxy + dx + 1] - d[dxy + dx]);
    float z0 = y0 + f[1] * (y1 - y0), z1 = y2 + f[1] * (y3 - y2);
    return z0 + f[2] * (z1 - z0);
}

static void shade_ray_at(double p[3], const double start[3], const double direction[3], double t)
{
    for (int a = 0; a < 3; a++)
        p[a] = start[a] + t * direction[a];
}

/* Part of the ray inside the box lo..hi (cells): *t0 <= t < *t1. */
static void shade_ray_clip(const struct camera *camera, const double start[3], const double lo[3], const double hi[3],
                           double *t0, double *t1)
{
    for (int a = 0; a < 3; a++) {
        if (camera->inverse[a] == INFINITY) {
            if (start[a] < lo[a] || start[a] >= hi[a])
                *t1 = *t0;
            continue;
        }
        double low = (lo[a] - start[a]) * camera->inverse[a], high = (hi[a] - start[a]) * camera->inverse[a];
        double near = low < high ? low : high, far = low < high ? high : low;
        *t0 = near > *t0 ? near : *t0;
        *t1 = far < *t1 ? far : *t1;
    }
}

/* Leaves empty blocks: the t behind them, or t itself when the block at t holds something. */
static double shade_ray_skip(const struct scene *scene, const struct camera *camera, const double start[3], double t)
{
    double p[3], lo[3], hi[3], t0 = t, t1 = INFINITY;
    int64_t index = 0;
    shade_ray_at(p, start, camera->axis[2], t);
    for (int a = 2; a >= 0; a--) {
        int64_t b = (int64_t)(p[a] / SCENE_BLOCK);
        b = b < 0 ? 0 : b >= scene->block_dim[a] ? scene->block_dim[a] - 1 : b;
        index = index * scene->block_dim[a] + b;
        lo[a] = (double)(b * SCENE_BLOCK);
        hi[a] = lo[a] + SCENE_BLOCK;
    }
    const int away = scene->away[index];
    if (away == 0)
        return t;
    if (away > 1) /* no surface within that many blocks, whatever the ray's direction */
        return t + (away - 1) * SCENE_BLOCK / camera->longest;
    shade_ray_clip(camera, start, lo, hi, &t0, &t1);
    return (t1 > t ? t1 : t) + 1e-3;
}

/* t of the first surface, or INFINITY. */
static double shade_ray_hit(const struct scene *scene, const struct camera *camera, const double start[3])
{
    const double zero[3] = {0, 0, 0}, dim[3] = {(double)scene->dim[0], (double)scene->dim[1], (double)scene->dim[2]},
                 step = 0.7;
    const double *direction = camera->axis[2];
    double t = 0, end = camera->far, p[3];

    shade_ray_clip(camera, start, zero, dim, &t, &end);

    /* Blocks without density are skipped; elsewhere steps of `step` cells, then bisection to the surface */
    while (t < end) {
        double next = shade_ray_skip(scene, camera, start, t);
        if (next > t) {
            t = next;
            continue;
        }
        shade_ray_at(p, start, direction, t);
        if (shade_value(scene, scene->density, p) >= shade_surface) {
            double before = t - step, after = t;
            for (int i = 0; i < 5; i++) {
                double middle = (before + after) / 2;
                shade_ray_at(p, start, direction, middle);
                if (shade_value(scene, scene->density, p) >= shade_surface)
                    after = middle;
                else
                    before = middle;
            }
            return after;
        }
        t += step;
    }

    return INFINITY;
}

/* Colour: the labels of the cells around, weighted by their density. */
static void shade_surface_albedo(float albedo[3], const struct scene *scene, const double p[3])
{
    float total = 0;

    memset(albedo, 0, 3 * sizeof *albedo);

    for (int corner = 0; corner < 8; corner++) {
        int64_t index = 0;
        float weight = 1;
        for (int a = 2; a >= 0; a--) {
            double q = fmin(fmax(p[a] - 0.5, 0), (double)scene->dim[a] - 1.001);
            int64_t at = (int64_t)q;
            float f = (float)(q - (double)at);
            index = index * scene->dim[a] + at + (corner >> a & 1);
            weight *= corner >> a & 1 ? f : 1 - f;
        }
        weight *= (float)scene->density[index];
        total += weight;
        for (int c = 0; c < 3; c++)
            albedo[c] += weight * scene->rgb[scene->label[index]][c];
    }

    for (int c = 0; c < 3; c++) {
        float value = total > 0 ? albedo[c] / total : 0;
        albedo[c] = value * value;
    }
}

/* Unit vector down the gradient, in camera axes (right, up, towards the camera); false where it is flat. */
static bool shade_surface_normal(double normal[3], const struct scene *scene, const struct camera *camera,
                                 const uint8_t *values, const double p[3])
{
    const double reach = 1.25;
    double gradient[3], length2 = 0;
    for (int a = 0; a < 3; a++) {
        double ahead[3] = {p[0], p[1], p[2]}, behind[3] = {p[0], p[1], p[2]};
        ahead[a] += reach;
        behind[a] -= reach;
        gradient[a] = (double)(shade_value(scene, values, behind) - shade_value(scene, values, ahead));
        length2 += gradient[a] * gradient[a];
    }
    for (int k = 0; k < 3; k++) {
        double n = 0;
        for (int a = 0; a < 3; a++)
            n += gradient[a] * camera->axis[k][a];
        normal[k] = (k == 2 ? -n : n) / sqrt(fmax(length2, 1e-12));
    }
    return length2 > 1;
}

static struct surface shade_surface_find(const struct scene *scene, const struct camera *camera, int64_t x, int64_t y)
{
    struct surface surface = {.depth = INFINITY};
    double start[3], p[3], fine[3], coarse[3];

    for (int a = 0; a < 3; a++)
        start[a] = camera->origin[a] + ((double)x + 0.5) * camera->step * camera->axis[0][a] -
                   ((double)y + 0.5) * camera->step * camera->axis[1][a];
    double t = shade_ray_hit(scene, camera, start);
    if (!(t < INFINITY))
        return surface;
    shade_ray_at(p, start, camera->axis[2], t);
    surface.depth = (float)t;

    /* the smoothed normal where both nearly agree (stairs of voxels), the fine one at rims and thin bone */
    bool sharp = shade_surface_normal(fine, scene, camera, scene->density, p);
    if (shade_surface_normal(coarse, scene, camera, scene->smooth, p)) {
        double agree = fine[0] * coarse[0] + fine[1] * coarse[1] + fine[2] * coarse[2];
        double share = sharp ? fmin(fmax((agree - 0.55) / 0.3, 0), 1) : 1;
        for (int k = 0; k < 3; k++)
            fine[k] += share * (coarse[k] - fine[k]);
    }

    fine[2] = fmax(fine[2], 0.02); /* turned away by smoothing: face the camera */
    shade_vector_unit(fine);
    for (int k = 0; k < 3; k++)
        surface.normal[k] = (float)fine[k];
    shade_surface_albedo(surface.albedo, scene, p);
    return surface;
}

/* Ambient occlusion, pixel by pixel: how deep each is, where to look (a spiral, turned from pixel to pixel), what was
 * found. */
struct openness {
    int64_t w, h;
    float mm, *depth, *share; /* mm per pixel; depth and share of light of every pixel */
    int32_t tap[SHADE_AO_TURNS][SHADE_AO_TAPS][2];
};

static void shade_openness_aim(struct openness *ret, double pixel_mm)
{
    float radius = (float)(shade_ao_mm / pixel_mm);
    ret->mm = (float)pixel_mm;
    for (int turn = 0; turn < SHADE_AO_TURNS; turn++)
        for (int k = 0; k < SHADE_AO_TAPS; k++) {
            float share = ((float)k + 0.5f) / SHADE_AO_TAPS,
                  angle = 6.2831853f * (float)turn / SHADE_AO_TURNS + 2.3999632f * (float)k;
            ret->tap[turn][k][0] = (int32_t)lrintf(share * radius * cosf(angle));
            ret->tap[turn][k][1] = (int32_t)lrintf(share * radius * sinf(angle));
        }
}

/* Share of ambient light that reaches pixel x, y, whose surface is `here`, 0 to 1. */
static float shade_openness_at(const struct openness *open, const struct surface *here, double cell_mm, int64_t x,
                               int64_t y)
{
    float sum = 0;
    const int32_t(*tap)[2] = open->tap[(x * 7 + y * 11) % SHADE_AO_TURNS];
    for (int k = 0; k < SHADE_AO_TAPS; k++) {
        int64_t u = x + tap[k][0], v = y + tap[k][1];
        if (u < 0 || v < 0 || u >= open->w || v >= open->h)
            continue;
        float depth = open->depth[v * open->w + u];
        if (!(depth < INFINITY))
            continue;
        float to[3] = {(float)(u - x) * open->mm, (float)(y - v) * open->mm, (here->depth - depth) * (float)cell_mm};
        float length2 = to[0] * to[0] + to[1] * to[1] + to[2] * to[2];
        float cosine =
            (to[0] * here->normal[0] + to[1] * here->normal[1] + to[2] * here->normal[2]) / sqrtf(length2 + 1e-6f);
        float far = length2 / (float)(shade_ao_mm * shade_ao_mm);
        sum += cosine > 0.08f ? (cosine - 0.08f) / (1 + far) : 0;
    }
    float light = 1 - 2.6f * sum / SHADE_AO_TAPS;
    return light > 0 ? light : 0;
}

/* The noise of few taps, averaged over the pixels around x, y that are about as deep. */
static float shade_openness_smooth(const struct openness *open, int64_t x, int64_t y, float depth)
{
    float sum = 0, total = 0;
    for (int64_t v = y - SHADE_AO_BLUR; v <= y + SHADE_AO_BLUR; v++)
        for (int64_t u = x - SHADE_AO_BLUR; u <= x + SHADE_AO_BLUR; u++) {
            if (u < 0 || v < 0 || u >= open->w || v >= open->h || !(fabsf(open->depth[v * open->w + u] - depth) < 5))
                continue;
            sum += open->share[v * open->w + u];
            total += 1;
        }
    return total > 0 ? sum / total : 0.7f;
}

/* Linear light of one sample. far01: depth, 0 nearest to 1 farthest of the scene. */
static void shade_surface_light(float rgb[3], const struct surface *surface, float open, float far01)
{
    static const float key[3] = {-0.42f, 0.56f, 0.714f}, fill[3] = {0.74f, 0.12f, 0.66f};
    float key_dot = 0, fill_dot = 0;
    for (int k = 0; k < 3; k++) {
        key_dot += key[k] * surface->normal[k];
        fill_dot += fill[k] * surface->normal[k];
    }
    float wrapped = fmaxf((key_dot + 0.15f) / 1.15f, 0);
    float light = 0.30f * open * (0.75f + 0.25f * surface->normal[1]) + 0.72f * wrapped * (0.35f + 0.65f * open) +
                  0.16f * fmaxf(fill_dot, 0) * open;
    light *= 1 - 0.6f * far01 * far01;
    for (int c = 0; c < 3; c++)
        rgb[c] = fminf(surface->albedo[c] * light * 1.08f, 1);
}

static void shade_pixel(uint8_t out[3], const struct surface *all, const struct openness *open,
                        const struct camera *camera, int64_t x, int64_t y)
{
    float sum[3] = {0, 0, 0};
    const struct surface *first = &all[y * SHADE_SAMPLES * camera->w + x * SHADE_SAMPLES];
    const int samples = first[1].depth == PIXEL_EVEN ? 1 : SHADE_SAMPLES; /* on a side */
    for (int v = 0; v < samples; v++)
        for (int u = 0; u < samples; u++) {
            const struct surface *surface = &first[v * camera->w + u];
            float rgb[3] = {1, 1, 1};
            if (surface->depth < INFINITY)
                shade_surface_light(rgb, surface, shade_openness_smooth(open, x, y, surface->depth),
                                    surface->depth / (float)camera->far);
            for (int c = 0; c < 3; c++)
                sum[c] += rgb[c];
        }
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)lrintf(255 * sqrtf(sum[c] / (float)(samples * samples)));
}

/* Neighbours a and b show one smooth surface, or both the background. */
static bool shade_pixels_agree(const struct surface *a, const struct surface *b, float step)
{
    if (a->depth == INFINITY || b->depth == INFINITY)
        return a->depth == b->depth;
    float turn = a->normal[0] * b->normal[0] + a->normal[1] * b->normal[1] + a->normal[2] * b->normal[2];
    return fabsf(a->depth - b->depth) < 3 * step && turn > 0.95f && fabsf(a->albedo[0] - b->albedo[0]) < 0.02f &&
           fabsf(a->albedo[1] - b->albedo[1]) < 0.02f && fabsf(a->albedo[2] - b->albedo[2]) < 0.02f;
}

/* The other samples of pixel x, y: looked for where one of the eight around differs, else marked as not needed. */
static void shade_pixel_refine(const struct scene *scene, const struct camera *camera, struct surface *all, int64_t x,
                               int64_t y)
{
    const int64_t w = camera->w / SHADE_SAMPLES, h = camera->h / SHADE_SAMPLES;
    struct surface *first = &all[y * SHADE_SAMPLES * camera->w + x * SHADE_SAMPLES];
    bool even = true;
    for (int n = 0; n < 9 && even; n++) {
        int64_t u = x + n % 3 - 1, v = y + n / 3 - 1;
        if (u >= 0 && v >= 0 && u < w && v < h)
            even = shade_pixels_agree(first, &all[v * SHADE_SAMPLES * camera->w + u * SHADE_SAMPLES],
                                      (float)camera->step * SHADE_SAMPLES);
    }
    if (even)
        first[1].depth = PIXEL_EVEN;
    for (int n = 1; n < SHADE_SAMPLES * SHADE_SAMPLES && !even; n++) {
        int64_t u = n % SHADE_SAMPLES, v = n / SHADE_SAMPLES;
        first[v * camera->w + u] = shade_surface_find(scene, camera, x * SHADE_SAMPLES + u, y * SHADE_SAMPLES + v);
    }
}

/* all: camera's samples, of which the first of every pixel is found first. */
static void shade_image(struct image *image, const struct scene *scene, const struct camera *camera,
                        struct surface *all, struct openness *open)
{
    const int64_t w = open->w, h = open->h, row = camera->w * SHADE_SAMPLES;
    shade_openness_aim(open, camera->step * SHADE_SAMPLES * scene->cell_mm);
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            struct surface *first = &all[y * row + x * SHADE_SAMPLES];
            *first = shade_surface_find(scene, camera, x * SHADE_SAMPLES, y * SHADE_SAMPLES);
            open->depth[y * w + x] = first->depth;
        }
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const struct surface *first = &all[y * row + x * SHADE_SAMPLES];
            open->share[y * w + x] = first->depth < INFINITY ? shade_openness_at(open, first, scene->cell_mm, x, y) : 1;
            shade_pixel_refine(scene, camera, all, x, y);
        }
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++)
            shade_pixel(image->rgb + 3 * (y * w + x), all, open, camera, x, y);
}

enum status scene_shade(struct image *ret, const struct scene *scene, enum render_view view, int64_t px,
                        struct error *error)
{
    struct image image = {0};
    if (!scene->density)
        return image_new(ret, px, px, error);
    struct camera camera = shade_camera_make(scene, view, px);
    if (image_new(&image, camera.w / SHADE_SAMPLES, camera.h / SHADE_SAMPLES, error))
        return error->status;
    size_t n = (size_t)(camera.w * camera.h), pixels = (size_t)(image.w * image.h);
    struct surface *all = memory_alloc(n, sizeof *all);
    struct openness open = {.w = image.w, .h = image.h};
    open.depth = memory_alloc(pixels, sizeof(float));
    open.share = memory_alloc(pixels, sizeof(float));
    enum status status = all && open.depth && open.share ? STATUS_OK : error_memory(error, n * sizeof *all, "a view");
    if (!status) {
        shade_image(&image, scene, &camera, all, &open);
        *ret = image;
    } else
        image_done(&image);
    memory_free(all);
    memory_free(open.depth);
    memory_free(open.share);
    return status;
}
