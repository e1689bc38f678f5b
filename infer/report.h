/* report.h - quality control of one restoration: NAME_report.json (cJSON), warnings in plain words. */
#ifndef CALVARIA_INFER_REPORT_H
#define CALVARIA_INFER_REPORT_H

#include "infer/mesh.h"
#include "infer/restore.h"

enum { REPORT_MAX_WARNINGS = 16 };

struct report {
    double volume_ml, extent_mm[3];             /* extent along the volume's axes x, y, z */
    double thickness_mean_mm, thickness_max_mm; /* twice the inner distance on the ridge of the implant, to half a voxel */
    double
        rim_gap_mm; /* median gap to the bone over the implant's surface voxels that face bone within 5 mm; NaN where none does */
    double rim_contact_frac; /* share of those that touch it */
    double overlap_ml;       /* shared with the bone */
    double spill_ml;         /* in front of or behind existing bone, seen from the skull's centroid (within 15 mm) */
    double hollow_ml;        /* enclosed by the implant, without a way out */
    int64_t n_components;    /* 6-connected pieces */
    bool touches_border;
    struct mesh_check mesh;
    double read_s, mesh_s, write_s, picture_s; /* filled by the caller; the other times are the restoration's */
    int64_t n_warnings;
    const char *warnings[REPORT_MAX_WARNINGS];
    struct arena arena;
};

/* mesh may be NULL: none was asked for. An empty implant gives a report that says so. */
enum status report_make(struct report *ret, const struct restoration *restoration, const struct volume *defective,
                        const struct mesh *mesh, const struct restorer *restorer, struct error *error);
enum status report_write(const char *path, const struct report *report, const struct restoration *restoration,
                         const struct restorer *restorer, const char *input, struct error *error);
void report_done(struct report *report);

#endif
