/* window.h - the patch scan and stitch: the only code that runs a network over a whole volume, in training's validation and in the
 * deployed inference alike.
 *
 * grid (as published): non-overlapping tiles; the last tile of an axis is shifted inward when the size is no multiple; a volume smaller
 * than a patch is zero-padded. overlap: tiles at a step of patch*(1-overlap), blended with Gaussian weights. Tiles are visited slab by
 * slab in z, so memory is bounded by one slab of the volume, never a float copy of the whole. Equal (all-empty) patches are computed once
 * and reused, exactly. */
#ifndef CALVARIA_INFER_WINDOW_H
#define CALVARIA_INFER_WINDOW_H

#include "base/config.h"
#include "base/log.h"
#include "data/morphology.h"
#include "nn/network.h"

enum scan { SCAN_GRID, SCAN_OVERLAP, SCAN_WHOLE };

struct window_config {
    int scan;              /* enum scan */
    double overlap_frac;   /* overlap: 0.5 means each voxel of an axis is seen twice */
    int64_t patch_vox[3];
    int64_t top_vox;       /* only the top this many slices are scanned (0: all); below them p is the input (completion) or 0 (implant) */
    int64_t batch;
};

struct window_stats {
    int64_t n_tiles, n_empty; /* n_empty: reused from the one all-empty patch */
    double network_s;
};

/* Tiles of one axis: writes starts (memory_free), ends with the last tile inside [0, size) where size >= patch. */
enum status window_starts(int64_t **ret_starts, int64_t *ret_n, int64_t size, int64_t patch, int64_t step, struct error *error);

/* Called with finished rows of output: z0 <= z < z1, p[(z - z0) * h * w ...], values of the network (channel 0, or the last of a softmax). */
typedef void window_sink(void *context, int64_t z0, int64_t z1, const float *p);

/* mask: the volume (u8 0/1), dim x,y,z. progress may be NULL. */
enum status window_scan(struct window_stats *ret, struct network *network, const struct window_config *config, const uint8_t *mask,
                        const int64_t dim[3], window_sink *sink, void *context, struct progress *progress, struct error *error);

#endif
