/* scene.c - masks to a smooth density on cubic cells: a separable tent filter (it averages where cells are larger than
 * voxels and interpolates where they are smaller), then blocks of maxima. Test: tests/data/test_render.c. */
#include "data/picture/scene.h"

#include <math.h>
#include <string.h>

#include "data/mask/distance.h"
#include "data/mask/morphology.h"

enum {
    SCENE_MARGIN = 5, /* the widest reach of the blur and the gradient */
    FAR = 64          /* blocks: distances count up to here */
};

struct box scene_layer_box(const struct grid *grid, const struct render_layer *layer)
{
    if (!layer->within)
        return box_of_mask(layer->mask, grid->dim);
    const int64_t dim[3] = {box_size(*layer->within, 0), box_size(*layer->within, 1), box_size(*layer->within, 2)};
    if (box_empty(*layer->within))
        return (struct box){{0}, {0}};
    struct box box = box_of_mask(layer->mask, dim);
    for (int a = 0; a < 3 && !box_empty(box); a++) {
        box.lo[a] += layer->within->lo[a];
        box.hi[a] += layer->within->lo[a];
    }
    return box;
}

bool scene_layer_at(const struct grid *grid, const struct render_layer *layer, const int64_t at[3])
{
    const struct box *within = layer->within;
    if (!within)
        return layer->mask[(at[2] * grid->dim[1] + at[1]) * grid->dim[0] + at[0]] != 0;
    for (int a = 0; a < 3; a++)
        if (at[a] < within->lo[a] || at[a] >= within->hi[a])
            return false;
    return layer->mask[((at[2] - within->lo[2]) * box_size(*within, 1) + at[1] - within->lo[1]) * box_size(*within, 0) +
                       at[0] - within->lo[0]] != 0;
}

/* The tent filter of one axis: cell c = sum_k weight[c * n_taps + k] * voxel[first[c] + k], weights sum to 256. */
struct taps {
    int64_t n_cells, n_taps;
    int64_t *first;
    uint16_t *weight;
};

static void scene_taps_done(struct taps *taps)
{
    memory_free(taps->first);
    memory_free(taps->weight);
}

/* Cells of cell_mm from lo_mm over voxels of spacing_mm, of which lo <= i < hi may be read. */
static enum status scene_taps_make(struct taps *taps, int64_t n_cells, double cell_mm, double lo_mm, double spacing_mm,
                                   int64_t lo, int64_t hi, struct error *error)
{
    double reach = fmax(1.4 * cell_mm, 1.4 * spacing_mm);
    int64_t n_taps = (int64_t)ceil(2 * reach / spacing_mm) + 1;
    n_taps = n_taps < hi - lo ? n_taps : hi - lo;
    taps->n_cells = n_cells;
    taps->n_taps = n_taps;
    taps->first = memory_alloc((size_t)n_cells, sizeof(int64_t));
    taps->weight = memory_alloc((size_t)(n_cells * n_taps), sizeof(uint16_t));
    if (!taps->first || !taps->weight)
        return error_memory(error, (size_t)(n_cells * n_taps) * sizeof(uint16_t), "the renderer's filter");
    for (int64_t c = 0; c < n_cells; c++) {
        double at = lo_mm + ((double)c + 0.5) * cell_mm;
        int64_t first = (int64_t)ceil((at - reach) / spacing_mm - 0.5);
        double total = 0;
        for (int64_t i = first; ((double)i + 0.5) * spacing_mm < at + reach; i++)
            total += fmax(0, 1 - fabs(((double)i + 0.5) * spacing_mm - at) / reach);
        first = first < lo ? lo : first > hi - n_taps ? hi - n_taps : first;
        taps->first[c] = first;
        for (int64_t k = 0; k < n_taps; k++) {
            double w = 1 - fabs(((double)(first + k) + 0.5) * spacing_mm - at) / reach;
            taps->weight[c * n_taps + k] = (uint16_t)(w > 0 ? w / total * 256 + 0.5 : 0);
        }
    }
    return STATUS_OK;
}

/* What smoothing one layer needs: its filters, the voxels and cells it covers. */
struct smoothing {
    const uint8_t *mask;
    struct box within; /* of the mask's voxels on the grid */
    struct box voxels, cells;
    struct taps taps[3]; /* indexed by cell - cells.lo */
};

static uint8_t scene_smooth_round(uint32_t sum)
{
    uint32_t value = (sum + 128) >> 8;
    return (uint8_t)(value > 255 ? 255 : value);
}

/* One plane of cells. sums: one row; a: the layer's voxel rows of one z-filtered plane; b: rows of cells by voxels of
 * x. */
static void scene_smooth_plane(const struct smoothing *s, int64_t z, uint32_t *sums, uint8_t *a, uint8_t *b,
                               uint8_t *out)
{
    const int64_t w = box_size(s->voxels, 0), h = box_size(s->voxels, 1), row_vox = box_size(s->within, 0),
                  rows = box_size(s->within, 1);
    const struct taps *x_taps = &s->taps[0], *y_taps = &s->taps[1], *z_taps = &s->taps[2];

    /* Along z: masks are 0 or 1, so a row is a sum of weights */
    for (int64_t y = 0; y < h; y++) {
        memset(sums, 0, (size_t)w * sizeof *sums);
        for (int64_t k = 0; k < z_taps->n_taps; k++) {
            uint32_t weight = z_taps->weight[z * z_taps->n_taps + k] * 255u;
            const int64_t from_z = z_taps->first[z] + k - s->within.lo[2],
                          from_y = y + s->voxels.lo[1] - s->within.lo[1];
            const uint8_t *row = s->mask + (from_z * rows + from_y) * row_vox + s->voxels.lo[0] - s->within.lo[0];
            if (weight)
                for (int64_t x = 0; x < w; x++)
                    sums[x] += row[x] ? weight : 0;
        }
        for (int64_t x = 0; x < w; x++)
            a[y * w + x] = scene_smooth_round(sums[x]);
    }

    /* Along y */
    for (int64_t y = 0; y < y_taps->n_cells; y++) {
        memset(sums, 0, (size_t)w * sizeof *sums);
        for (int64_t k = 0; k < y_taps->n_taps; k++) {
            uint32_t weight = y_taps->weight[y * y_taps->n_taps + k];
            const uint8_t *row = a + (y_taps->first[y] + k - s->voxels.lo[1]) * w;
            if (weight)
                for (int64_t x = 0; x < w; x++)
                    sums[x] += weight * row[x];
        }
        for (int64_t x = 0; x < w; x++)
            b[y * w + x] = scene_smooth_round(sums[x]);
    }

    /* Along x */
    for (int64_t y = 0; y < y_taps->n_cells; y++)
        for (int64_t x = 0; x < x_taps->n_cells; x++) {
            const uint8_t *from = b + y * w + x_taps->first[x] - s->voxels.lo[0];
            uint32_t sum = 0;
            for (int64_t k = 0; k < x_taps->n_taps; k++)
                sum += x_taps->weight[x * x_taps->n_taps + k] * (uint32_t)from[k];
            out[y * x_taps->n_cells + x] = scene_smooth_round(sum);
        }
}

static void scene_add_row(struct scene *scene, int64_t at, const uint8_t *row, int64_t n, int label)
{
    for (int64_t x = 0; x < n; x++) {
        int sum = scene->density[at + x] + row[x];
        if (row[x] > scene->density[at + x])
            scene->label[at + x] = (uint8_t)label;
        scene->density[at + x] = (uint8_t)(sum > 255 ? 255 : sum);
    }
}

static enum status scene_smooth_mask(struct scene *scene, const struct smoothing *s, int label, struct error *error)
{
    int64_t w = s->voxels.hi[0] - s->voxels.lo[0], h = s->voxels.hi[1] - s->voxels.lo[1];
    int64_t cw = s->taps[0].n_cells, ch = s->taps[1].n_cells;
    int failed = 0;

#pragma omp parallel
    {
        uint32_t *sums = memory_alloc((size_t)w, sizeof *sums);
        uint8_t *planes = memory_alloc((size_t)(w * h + w * ch + cw * ch), 1);
        if (!sums || !planes) {
#pragma omp atomic write
            failed = 1;
        }

#pragma omp barrier
        int stop;

#pragma omp atomic read
        stop = failed;
        if (!stop) {
            uint8_t *b = planes + w * h, *out = b + w * ch;

#pragma omp for schedule(static)
            for (int64_t z = 0; z < s->taps[2].n_cells; z++) {
                scene_smooth_plane(s, z, sums, planes, b, out);
                for (int64_t y = 0; y < ch; y++) {
                    int64_t row = (z + s->cells.lo[2]) * scene->dim[1] + y + s->cells.lo[1];
                    scene_add_row(scene, row * scene->dim[0] + s->cells.lo[0], out + y * cw, cw, label);
                }
            }
        }
        memory_free(sums);
        memory_free(planes);
    }

    return failed ? error_memory(error, (size_t)(w * h), "smoothing a mask") : STATUS_OK;
}

static enum status scene_add(struct scene *scene, const struct grid *grid, const struct render_layer *layer,
                             struct box box, int label, struct error *error)
{
    struct smoothing s = {
        .mask = layer->mask, .within = layer->within ? *layer->within : box_of_grid(grid), .voxels = box};
    enum status status = STATUS_OK;
    for (int a = 0; a < 3 && !status; a++) {
        double spacing = grid_spacing_mm(grid, a), reach = 1.5 * fmax(scene->cell_mm, spacing);
        int64_t lo = (int64_t)floor(((double)box.lo[a] * spacing - reach - scene->lo_mm[a]) / scene->cell_mm);
        int64_t hi = (int64_t)ceil(((double)box.hi[a] * spacing + reach - scene->lo_mm[a]) / scene->cell_mm) + 1;
        s.cells.lo[a] = lo < 0 ? 0 : lo;
        s.cells.hi[a] = hi > scene->dim[a] ? scene->dim[a] : hi;
        status = scene_taps_make(&s.taps[a], s.cells.hi[a] - s.cells.lo[a], scene->cell_mm,
                                 scene->lo_mm[a] + (double)s.cells.lo[a] * scene->cell_mm, spacing, box.lo[a],
                                 box.hi[a], error);
    }
    if (!status)
        status = scene_smooth_mask(scene, &s, label, error);
    for (int a = 0; a < 3; a++)
        scene_taps_done(&s.taps[a]);
    return status;
}

static uint8_t scene_block_max(const struct scene *scene, const int64_t b[3])
{
    int64_t lo[3], hi[3];
    uint8_t highest = 0;
    for (int a = 0; a < 3; a++) {
        lo[a] = b[a] * SCENE_BLOCK - 1 < 0 ? 0 : b[a] * SCENE_BLOCK - 1;
        hi[a] = (b[a] + 1) * SCENE_BLOCK + 1 > scene->dim[a] ? scene->dim[a] : (b[a] + 1) * SCENE_BLOCK + 1;
    }
    for (int64_t z = lo[2]; z < hi[2]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++) {
            const uint8_t *row = scene->density + (z * scene->dim[1] + y) * scene->dim[0];
            for (int64_t x = lo[0]; x < hi[0]; x++)
                highest = row[x] > highest ? row[x] : highest;
        }
    return highest;
}

static void scene_blocks(struct scene *scene)
{
    int64_t n = scene->block_dim[2] * scene->block_dim[1];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < n; row++)
        for (int64_t x = 0; x < scene->block_dim[0]; x++) {
            const int64_t b[3] = {x, row % scene->block_dim[1], row / scene->block_dim[1]};
            scene->away[row * scene->block_dim[0] + x] = scene_block_max(scene, b) >= SCENE_SURFACE ? 0 : FAR;
        }
    distance_chebyshev(scene->away, scene->block_dim);
}

/* One pass of the binomial filter 1 4 6 4 1 along an axis, taps `stride` cells apart. */
static void scene_blur(uint8_t *out, const uint8_t *in, const int64_t dim[3], int axis, int64_t stride)
{
    const int64_t step = (axis == 0 ? 1 : axis == 1 ? dim[0] : dim[0] * dim[1]) * stride;

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < dim[1] * dim[2]; row++) {
        const int64_t at = axis == 1 ? row % dim[1] : row / dim[1], n = dim[axis];
        const uint8_t *from = in + row * dim[0];
        uint8_t *to = out + row * dim[0];
        int64_t lo = 0, hi = dim[0];
        memset(to, 0, (size_t)dim[0]); /* the border is empty: the scene keeps a margin */
        if (axis == 0) {
            lo = 2 * stride;
            hi = dim[0] - 2 * stride;
        } else if (at < 2 * stride || at >= n - 2 * stride)
            hi = 0;
        for (int64_t x = lo; x < hi; x++)
            to[x] = (uint8_t)((from[x - 2 * step] + from[x + 2 * step] + 4 * (from[x - step] + from[x + step]) +
                               6 * from[x] + 8) >>
                              4);
    }
}

static enum status scene_smooth(struct scene *scene, struct error *error)
{
    size_t n = (size_t)(scene->dim[0] * scene->dim[1] * scene->dim[2]);
    uint8_t *spare = memory_alloc(n, 1);

    scene->smooth = memory_alloc(n, 1);
    if (!spare || !scene->smooth) {
        memory_free(spare);
        return error_memory(error, n, "a view's cells");
    }

    scene_blur(scene->smooth, scene->density, scene->dim, 0, 1);
    scene_blur(spare, scene->smooth, scene->dim, 1, 1);
    scene_blur(scene->smooth, spare, scene->dim, 2, 1);
    scene_blur(spare, scene->smooth, scene->dim, 0, 2);
    scene_blur(scene->smooth, spare, scene->dim, 1, 2);
    scene_blur(spare, scene->smooth, scene->dim, 2, 2);
    memory_free(scene->smooth);
    scene->smooth = spare;
    return STATUS_OK;
}

/* Dims, origin and cell from the box of all layers; allocates. */
static enum status scene_layout(struct scene *scene, const struct grid *grid, struct box box, int64_t cells,
                                struct error *error)
{
    double longest = 0, finest = INFINITY;
    for (int a = 0; a < 3; a++) {
        longest = fmax(longest, grid_spacing_mm(grid, a) * (double)(box.hi[a] - box.lo[a]));
        finest = fmin(finest, grid_spacing_mm(grid, a));
    }
    scene->cell_mm = fmax(longest / (double)cells, 0.8 * finest);
    int64_t n = 1, n_blocks = 1;
    for (int a = 0; a < 3; a++) {
        double spacing = grid_spacing_mm(grid, a);
        int64_t margin = SCENE_MARGIN + (int64_t)ceil(1.5 * fmax(1, spacing / scene->cell_mm));
        scene->lo_mm[a] = (double)box.lo[a] * spacing - (double)margin * scene->cell_mm;
        scene->dim[a] = (int64_t)ceil((double)(box.hi[a] - box.lo[a]) * spacing / scene->cell_mm) + 2 * margin;
        scene->block_dim[a] = (scene->dim[a] + SCENE_BLOCK - 1) / SCENE_BLOCK;
        n *= scene->dim[a];
        n_blocks *= scene->block_dim[a];
    }
    scene->density = memory_zalloc((size_t)n, 1);
    scene->label = memory_zalloc((size_t)n, 1);
    scene->away = memory_alloc((size_t)n_blocks, 1);
    if (!scene->density || !scene->label || !scene->away)
        return error_memory(error, (size_t)n * 2, "a view's cells");
    return STATUS_OK;
}

enum status scene_make(struct scene *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                       int64_t cells, struct error *error)
{
    struct scene scene = {0};
    struct box boxes[RENDER_MAX_LAYERS], all = {{0}, {0}};
    if (n_layers < 1 || n_layers > RENDER_MAX_LAYERS)
        return error_set(error, STATUS_FAILED, "picture: %d layers: out of range (1 to %d)", n_layers,
                         RENDER_MAX_LAYERS);

    for (int i = 0; i < n_layers; i++) {
        boxes[i] = scene_layer_box(grid, &layers[i]);
        all = box_join(all, boxes[i]);
        for (int c = 0; c < 3; c++)
            scene.rgb[i][c] = (float)layers[i].rgb[c] / 255;
    }

    if (box_empty(all)) {
        *ret = scene;
        return STATUS_OK;
    }

    enum status status = scene_layout(&scene, grid, all, cells, error);
    for (int i = 0; i < n_layers && !status; i++)
        if (!box_empty(boxes[i]))
            status = scene_add(&scene, grid, &layers[i], boxes[i], i, error);
    if (!status)
        status = scene_smooth(&scene, error);
    if (status) {
        scene_done(&scene);
        return status;
    }

    scene_blocks(&scene);
    *ret = scene;
    return STATUS_OK;
}

void scene_done(struct scene *scene)
{
    if (!scene)
        return;
    memory_free(scene->density);
    memory_free(scene->smooth);
    memory_free(scene->label);
    memory_free(scene->away);
    *scene = (struct scene){0};
}
