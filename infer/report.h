/* report.h - quality control of one restoration: NAME_report.json (cJSON), warnings in plain words. */
#ifndef CALVARIA_INFER_REPORT_H
#define CALVARIA_INFER_REPORT_H

#include "infer/mesh.h"
#include "infer/restore.h"

struct report {
    double volume_ml, extent_mm[3];
    double thickness_mean_mm, thickness_max_mm;  /* twice the inner distance on the ridge of the implant */
    double rim_gap_mm, overlap_ml;               /* median gap between implant and bone along the rim; shared voxels */
    int64_t n_components;
    struct mesh_check mesh;
    int64_t n_warnings;
    const char *warnings[16];
    struct arena arena;
};

enum status report_make(struct report *ret, const struct restoration *restoration, const struct volume *defective, const struct mesh *mesh,
                        struct error *error);
enum status report_write(const char *path, const struct report *report, const struct restoration *restoration, const struct restorer *restorer,
                         const char *input, struct error *error);
void report_done(struct report *report);

#endif
