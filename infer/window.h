/* window.h - the patch scan and stitch: the only code that runs a network over a whole volume, in training's validation
 * and in the deployed inference alike.
 *
 * grid (as published): non-overlapping tiles; the last tile of an axis is shifted inward when the size is no multiple;
 * where tiles overlap the later one holds (the authors stitch in order, later over earlier), so every voxel belongs to
 * exactly one tile; a volume smaller than a patch is zero-padded at its high end. overlap: tiles at a step of
 * patch*(1-overlap), blended with Gaussian weights. whole: the volume is one patch (restore.h resizes it). Tiles are
 * visited slab by slab in z: grid hands every tile on at once and keeps no float of the volume, overlap keeps one slab
 * of patch_z slices. All-empty patches are computed once and reused, exactly. */
#ifndef CALVARIA_INFER_WINDOW_H
#define CALVARIA_INFER_WINDOW_H

#include "base/config.h"
#include "base/log.h"
#include "data/mask/morphology.h"
#include "data/volume/volume.h"
#include "nn/network/network.h"

enum scan { SCAN_GRID, SCAN_OVERLAP, SCAN_WHOLE };
extern const char *const scan_names[]; /* "grid", "overlap", "whole", NULL */

struct window_config {
    int scan;             /* enum scan */
    double overlap_frac;  /* overlap: 0.5 means each voxel of an axis is seen twice */
    int64_t patch_vox[3]; /* x, y, z; the network's input */
    int64_t top_vox;      /* only the top this many slices are scanned (0: all) */
    int64_t batch;        /* patches per forward pass; the network's n */
    bool flip_average;    /* the mean over the patch and its mirror image (left and right), mirrored back */
    double prior_weight;  /* with a prior: its weight in the result; the rest is the network's */
    double min_prior;     /* with a prior: tiles without a value above this are not computed */
};

/* What is scanned. */
struct window_source {
    const struct volume *skull; /* VOXEL_U8 (0 and 1) or VOXEL_F32 */
    const struct volume *prior; /* VOXEL_F32, on any grid of parallel axes: the network's further channels, linear at
                                   the skull's voxels; or NULL */
    int64_t prior_channels;     /* volumes of that grid, one behind the other in its data */
    bool keep;                  /* a tile that is not computed keeps its input; else it is 0 */
};

struct window_stats {
    int64_t n_tiles, n_empty, n_skipped; /* n_empty: reused from the one all-empty patch; n_skipped: by min_prior */
    double network_s;
};

/* Tiles of one axis: writes starts (memory_free), from 0; the last tile ends at size where size >= patch. */
enum status window_starts(int64_t **ret_starts, int64_t *ret_n, int64_t size, int64_t patch, int64_t step,
                          struct error *error);

/* Finished values of the network (its only channel, or the last of a softmax): voxel x,y,z of `box` has
 * p[(z - box.lo[2]) * stride_z + (y - box.lo[1]) * stride_y + (x - box.lo[0])]. */
struct window_block {
    struct box box;
    const float *p;
    int64_t stride_y, stride_z;
};

/* Called once for every scanned voxel, in blocks, from one thread. Voxels below top_vox are never given. */
typedef void window_sink(void *context, const struct window_block *block);

/* The network's input is batch x (1 + prior_channels) x patch, its output of the same d, h, w; STATUS_USAGE otherwise.
 * progress may be NULL; its label is the caller's, it is started and ended here. */
enum status window_scan(struct window_stats *ret, struct network *network, const struct window_config *config,
                        const struct window_source *src, window_sink *sink, void *context, struct progress *progress,
                        struct error *error);

/* What window_scan allocates at most for a volume of these dims; the network's own memory is not counted. */
int64_t window_bytes(const struct window_config *config, const int64_t dim[3]);

/* Counted on the tiles of a grid scan: how many voxels does the network change in tiles without a defect (no voxel of
 * the true implant in the tile)? raw: the network's prediction above the threshold. expected: the input (completion) or
 * an empty mask, NULL (implant). The paper states that such patches stay unchanged. */
struct intact_patches {
    int64_t n_tiles, n_intact;                  /* n_intact: tiles without a defect */
    int64_t intact_vox, added_vox, removed_vox; /* of the intact tiles */
    int64_t n_changed;                          /* intact tiles with any change */
};
enum status intact_patches(struct intact_patches *ret, const struct window_config *config, const uint8_t *raw,
                           const uint8_t *expected, const uint8_t *truth_implant, const int64_t dim[3],
                           struct error *error);

#endif
