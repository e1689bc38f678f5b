/* scene.h - what the renderer draws: layers of masks resampled to cubic cells and smoothed, so that surfaces and
 * normals are smooth. Private to the renderer. */
#ifndef CALVARIA_DATA_PICTURE_SCENE_H
#define CALVARIA_DATA_PICTURE_SCENE_H

#include "data/picture/render.h"

enum {
    SCENE_BLOCK = 4,    /* cells on a side of the blocks that let rays skip empty space */
    SCENE_SURFACE = 100 /* density of the surface seen: below the half, so that thin bone stays whole */
};

struct scene {
    double cell_mm;
    int64_t dim[3];   /* cells; the bone keeps a margin of empty ones on all sides */
    double lo_mm[3];  /* corner of cell 0,0,0 in mm along the volume's axes from the corner of voxel 0,0,0 */
    uint8_t *density; /* share of the cell's neighbourhood inside any layer, 0 to 255 */
    uint8_t *smooth;  /* the density blurred over about 2 cells: its gradient does not see the voxels' stairs */
    uint8_t *label;   /* index of the layer seen there */
    int64_t block_dim[3];
    uint8_t *away; /* of each block: blocks to the nearest in which a surface can be met (Chebyshev), at most 64 */
    float rgb[RENDER_MAX_LAYERS][3];
};

/* Empty masks give a scene with dim 0 and no arrays. cells: about how many on the longest side at most. */
enum status scene_make(struct scene *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                       int64_t cells, struct error *error);
void scene_done(struct scene *scene);

/* The box of a layer's voxels on the grid; whether one of them is at a voxel of the grid. */
struct box scene_layer_box(const struct grid *grid, const struct render_layer *layer);
bool scene_layer_at(const struct grid *grid, const struct render_layer *layer, const int64_t at[3]);

/* Draws one view into a fresh white image, px on the longer side. */
enum status scene_shade(struct image *ret, const struct scene *scene, enum render_view view, int64_t px,
                        struct error *error);

#endif
