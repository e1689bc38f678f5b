/* report.h - quality control of one restoration: NAME_report.json (cJSON), warnings in plain words. */
#ifndef CALVARIA_INFER_REPORT_REPORT_H
#define CALVARIA_INFER_REPORT_REPORT_H

#include "data/segment/plausible.h"
#include "infer/mesh/mesh.h"
#include "infer/edit.h"
#include "infer/insertion.h"
#include "infer/restore.h"

enum { REPORT_PICTURES = 4, REPORT_MAX_WARNINGS = 28, REPORT_DATE_BYTES = 32, REPORT_HASH_BYTES = 17 };

/* Of a shape model: what it found, and how sure it is. Of an ensemble: how far its members agree. */
struct report_prediction {
    bool made;         /* false: the model is none of them */
    int64_t n_members; /* of an ensemble; else 1 */
    int64_t n_holes;   /* -1: no shape model looked for holes */
    double hole_cm2;   /* on a head of 85 mm */
    int64_t n_outside; /* rays that leave the field of view before the vault */
    int64_t n_open;    /* rays of a hole at the end of what the model knows */
    double interval_mean_mm,
        interval_p95_mm; /* half the 90 % interval of the nearer surface, over the implant's voxels */
};

struct report {
    char created[REPORT_DATE_BYTES]; /* 2026-01-02T03:04:05Z */
    double volume_ml, extent_mm[3];  /* extent along the volume's axes x, y, z */
    double thickness_mean_mm, thickness_min_mm, thickness_p5_mm, thickness_p95_mm,
        thickness_max_mm; /* over its voxels, of the largest ball within the implant that holds the voxel; right to half
                             a voxel */
    double rim_gap_mm; /* median gap to the bone over the implant's surface voxels that face bone within 5 mm; NaN where
                          none does */
    double rim_contact_frac;    /* share of those that touch it */
    double overlap_ml;          /* shared with the bone */
    double spill_ml;            /* in front of or behind existing bone, seen from the skull's centroid (within 15 mm) */
    double hollow_ml;           /* enclosed by the implant, without a way out */
    double symmetry_plane_frac; /* share of the bone that the skull's symmetry plane maps on bone; NaN: not computed */
    double symmetry_overlap_frac; /* share of the implant on the mirrored other side */
    double symmetry_mm;   /* mean distance of the implant's surface, off its rim, from that of the mirrored other side;
                             NaN: nothing there */
    int64_t n_components; /* 6-connected pieces */
    struct pieces_removed removed; /* by the model's rules */
    bool touches_border;
    struct report_prediction prediction;
    struct mesh_check mesh;
    int64_t measured_step; /* 1: on the volume's voxels; 2: on every second along each axis, to spare memory ... */
    int64_t memory_bound_bytes, memory_limit_bytes; /* filled by the caller; 0: none */
    int64_t peak_bytes;                             /* filled by the caller: of the process, at the end of the case */
    double read_s, mesh_s, write_s, picture_s, total_s; /* filled by the caller; writing runs in parallel with mesh and
                                                           picture. The other times are the restoration's */
    struct edit_report edit;                            /* by hand */
    struct insertion insertion;                         /* its numbers; n 0: not looked for */
    int64_t n_warnings;
    const char *warnings[REPORT_MAX_WARNINGS];
    bool warning_lost; /* memory was out: report_make fails */
    struct arena arena;
};

struct report_request {
    const struct edit_report *edit;       /* NULL: none */
    const struct insertion *insertion;    /* NULL: not looked for */
    const struct config_strings *notes;   /* of what was done to the input before: become warnings; NULL: none */
    const struct mesh *mesh;              /* NULL: none is wanted */
    const char *thickness_png;            /* NULL: no picture */
    const char *interval_png;             /* of a shape model; NULL: no picture */
    bool mesh_left_out, picture_left_out; /* for want of memory: become warnings */
    int64_t max_voxels; /* of the implant's box, measured on a coarser grid where it has more; 0: no bound */
};

/* An empty implant gives a report that states it. */
enum status report_make(struct report *ret, const struct restoration *restoration, const struct volume *defective,
                        const struct restorer *restorer, const struct report_request *request, struct error *error);
/* Bytes taken at most for one voxel of the implant's box, grown. */
enum { REPORT_VOXEL_BYTES = 24 };
enum status report_write(const char *path, const struct report *report, const struct restoration *restoration,
                         const struct restorer *restorer, const char *input, struct error *error);
/* One page for people, self-contained: the numbers, the warnings, and the pictures named (NULL: left out). */
enum status report_page(const char *path, const struct report *report, const struct restoration *restoration,
                        const struct restorer *restorer, const char *const pictures[REPORT_PICTURES], const char *name,
                        struct error *error);
/* The same as text: memory_free. */
enum status report_text(char **ret, const struct report *report, const struct restoration *restoration,
                        const struct restorer *restorer, const char *input, struct error *error);
enum status report_page_text(char **ret, const struct report *report, const struct restoration *restoration,
                             const struct restorer *restorer, const char *name, struct error *error); /* no pictures */
/* What is odd about the input stands first among the report's warnings. The texts stay with their owner. */
void report_warn_input(struct report *report, const struct warnings *warnings);
/* XXH64 of the model's bytes as 16 digits; "" of a builtin. */
enum status report_model_hash(char text[REPORT_HASH_BYTES], const struct restorer *restorer, struct error *error);
void report_done(struct report *report);

#endif
