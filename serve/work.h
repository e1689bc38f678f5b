/* work.h - what the child process of one job does: `calvaria serve-job --folder DIR ...`, see runner.h and job.h.
 *
 * It reads FOLDER/in/upload (or makes the example there), leaves results in FOLDER/out and reports on `progress`, line
 * by line:
 *   stage NAME       part DONE TOTAL       segment true|false       mesh_grid_mm F       error TEXT
 * The restoration itself is infer/batch.h's, so its files are those of `calvaria infer`. */
#ifndef CALVARIA_SERVE_WORK_H
#define CALVARIA_SERVE_WORK_H

#include "base/config.h"
#include "data/volume/volume.h"

enum work_kind { WORK_AUTO, WORK_MASK, WORK_CT };

struct work_config {
    const char *folder, *model;
    int64_t max_voxels, max_memory_bytes;
    bool example, no_picture;
    int kind; /* enum work_kind */
    double threshold_hu;
    struct config_strings set;
};
extern const struct config_table work_table;

/* Bounds the process first (memory, priority, it dies with its parent), then works. */
enum status work_run(const struct work_config *config, FILE *progress, struct error *error);

/* A mask's surface for a 3D view, in RAS millimetres as PLY: on a grid of whole multiples of the mask's spacing, about
 * target_mm or the mask's own where that is coarser; a coarse voxel is bone where half of it is. *ret_mm (may be NULL):
 * that grid's largest spacing. */
enum status view_write(const char *path, const struct volume *mask, double target_mm, double *ret_mm,
                       struct error *error);
/* A CT for the slices behind skull and implant: 16-bit HU, thinned by a whole factor (the mean of each block) to at
 * most VIEW_MOST_VOXELS, as the page thins masks. */
enum { VIEW_MOST_VOXELS = 1 << 24 };
enum status view_write_ct(const char *path, const struct volume *ct, struct error *error);
/* FILE: the example, a phantom skull with a piece missing, always the same. */
enum status example_write(const char *path, struct error *error);

#endif
