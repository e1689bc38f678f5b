/* render.h - pictures of masks without a display: shaded first-hit views and slices, as PNG (libpng).
 *
 *     struct render_layer layers[] = {{.mask = skull, .rgb = COLOUR_BONE, .name = "defective skull"},
 *                                     {.mask = implant, .rgb = COLOUR_IMPLANT, .name = "implant"}};
 *     if (render_sheet("case.png", &grid, layers, 2, 1, "case 000", error)) ...
 *
 * Views follow the volume's axes (x left, y posterior, z superior), not an oblique affine. The same pixels on any
 * thread count. */
#ifndef CALVARIA_DATA_PICTURE_RENDER_H
#define CALVARIA_DATA_PICTURE_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "data/mask/morphology.h"
#include "data/picture/colours.h"
#include "data/picture/font.h"
#include "data/volume/volume.h"

struct image {
    int64_t w, h;
    uint8_t *rgb; /* 3 w h */
};

/* Oblique looks from the front, left and above; oblique back from behind, left and above; the next two are their mirror
 * images. Each has its opposite: under oblique looks from behind, right and below. */
enum render_view {
    VIEW_LEFT,
    VIEW_FRONT,
    VIEW_TOP,
    VIEW_OBLIQUE,
    VIEW_BACK,
    VIEW_RIGHT,
    VIEW_BELOW,
    VIEW_OBLIQUE_BACK,
    VIEW_OBLIQUE_RIGHT,
    VIEW_OBLIQUE_BACK_RIGHT,
    VIEW_UNDER_OBLIQUE,
    VIEW_UNDER_OBLIQUE_BACK,
    VIEW_UNDER_OBLIQUE_RIGHT,
    VIEW_UNDER_OBLIQUE_BACK_RIGHT,
    VIEW_N
};

enum { RENDER_MAX_LAYERS = 8 };

/* A mask (u8, not 0 = inside) and its colour; the first one hit along a ray is seen. */
struct render_layer {
    const uint8_t *mask;
    uint8_t rgb[3];
    const char *name;         /* for the sheet's legend; may be NULL */
    bool is_mark;             /* an arrow or the like: its volume is not in the legend */
    const struct box *within; /* the mask holds the voxels of this box alone; NULL: those of the whole grid */
};

enum status image_new(struct image *ret, int64_t w, int64_t h, struct error *error); /* white */
void image_done(struct image *image);
void image_fill(struct image *image, const uint8_t rgb[3]);
/* x, y = top left; parts outside dst are cut */
void image_rectangle(struct image *dst, int64_t x, int64_t y, int64_t w, int64_t h, const uint8_t rgb[3]);
void image_paste(struct image *dst, const struct image *src, int64_t x, int64_t y); /* parts outside dst are cut */
/* UTF-8, x, y = top left; '\n' starts a line. Characters that the font lacks are drawn as '?'. */
void image_text(struct image *dst, int64_t x, int64_t y, const char *text, enum text_size size, const uint8_t rgb[3]);
int64_t image_text_width(const char *text, enum text_size size); /* of its first line, pixels */
int64_t image_text_line(enum text_size size);                    /* from one line to the next, pixels */
enum status image_write_png(const char *path, const struct image *image, struct error *error); /* atomic */

/* Orthographic, lit by the surface normal of the distance-smoothed mask; px pixels on the longer side. Empty masks give
 * a blank image. */
enum status render_shaded(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                          enum render_view view, int64_t px, struct error *error);
/* Several views of the same masks, into ret[0 .. n_views - 1]. */
enum status render_shaded_views(struct image *ret, const struct grid *grid, const struct render_layer *layers,
                                int n_layers, const enum render_view *views, int n_views, int64_t px,
                                struct error *error);
/* The slice at `index` across axis a (0 x, 1 y, 2 z), isotropic pixels, px on the longer side. */
enum status render_slice(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                         int axis, int64_t index, int64_t px, struct error *error);
/* Where a slice is cut, and the box of the volume in the picture. */
struct render_cut {
    int axis; /* 0 x, 1 y, 2 z */
    int64_t index;
    struct box box;
};
enum status render_slice_box(struct image *ret, const struct grid *grid, const struct render_layer *layers,
                             int n_layers, struct render_cut cut, int64_t px, struct error *error);
/* The oblique or side view that faces a point this far (x, y, z, mm) from the skull's middle. */
enum render_view render_view_at(const double offset_mm[3]);
/* The view from the other end of the same line. */
enum render_view render_view_opposite(enum render_view view);
/* A sheet: shaded views (side and oblique from where layer `focus` shows, front, top), three slices through the middle
 * of that layer, and the layers' names and volumes, with a title (may be NULL). */
enum status render_sheet(const char *path, const struct grid *grid, const struct render_layer *layers, int n_layers,
                         int focus, const char *title, struct error *error);

/* What render_sheet takes at most for masks on this grid. */
int64_t render_sheet_bytes(const struct grid *grid);

#endif
