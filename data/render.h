/* render.h - pictures of masks without a display: shaded first-hit views and slices, as PNG (libpng). */
#ifndef CALVARIA_DATA_RENDER_H
#define CALVARIA_DATA_RENDER_H

#include <stdint.h>

#include "base/error.h"
#include "data/volume.h"

struct image {
    int64_t w, h;
    uint8_t *rgb; /* 3 w h */
};

enum render_view { VIEW_LEFT, VIEW_FRONT, VIEW_TOP, VIEW_OBLIQUE, VIEW_BACK };

/* A mask and its colour; the first one hit along a ray is seen. */
struct render_layer {
    const uint8_t *mask;
    uint8_t rgb[3];
};

enum status image_new(struct image *ret, int64_t w, int64_t h, struct error *error); /* white */
void image_done(struct image *image);
void image_paste(struct image *dst, const struct image *src, int64_t x, int64_t y);
void image_text(struct image *dst, int64_t x, int64_t y, const char *text, const uint8_t rgb[3]); /* a small bitmap font */
enum status image_write_png(const char *path, const struct image *image, struct error *error);

/* Orthographic, lit by the surface normal of the distance-smoothed mask; px pixels on the longer side. */
enum status render_shaded(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers, enum render_view view,
                          int64_t px, struct error *error);
/* The slice at `index` across axis a (0 x, 1 y, 2 z), isotropic pixels. */
enum status render_slice(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers, int axis, int64_t index,
                         int64_t px, struct error *error);
/* A sheet: three slices through the middle of layer `focus` and shaded views from left, front, top and oblique, with a title. */
enum status render_sheet(const char *path, const struct grid *grid, const struct render_layer *layers, int n_layers, int focus,
                         const char *title, struct error *error);

#endif
