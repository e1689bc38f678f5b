/* restore.h - from a defective skull to its implant by the shape model: pose, maps, holes, prediction, voxels.
 *
 *     struct shape_restoration result;
 *     if (shape_restore(implant, &result, &model, &skull, &(struct shape_options){.with_sd = true}, "case_00", error))
 * ... shape_restoration_done(&result); */
#ifndef CALVARIA_SHAPE_RESTORE_H
#define CALVARIA_SHAPE_RESTORE_H

#include "shape/depth.h"
#include "shape/model.h"
#include "shape/pose_search.h"
#include "shape/surfaces.h"

struct shape_options {
    bool with_sd, with_depth;
};

struct shape_restoration {
    struct pose_found pose;
    struct surfaces surfaces; /* measured, filled; sd empty where not wanted */
    struct box box;           /* of the volume: where the implant can be */
    float *depth;     /* of the box, canonical mm, positive inside the shell; NULL where not wanted or no hole */
    uint8_t *in_hole; /* of the box, the number of the voxel's hole, else 0; NULL as depth */
    double hole_cm2;  /* area of the rays filled, on a head of 85 mm */
    double pose_s, surfaces_s, depth_s;
};

/* implant: u8 on the skull's grid; empty where no hole was found; NULL: not wanted. skull: a u8 mask. STATUS_FAILED: no
 * head (`name` starts the message), memory. */
enum status shape_restore(uint8_t *implant, struct shape_restoration *ret, const struct shape_model *model,
                          const struct volume *skull, const struct shape_options *options, const char *name,
                          struct error *error);
/* The implant of a restoration with depth, where that was changed. */
enum status shape_restoration_implant(uint8_t *implant, const struct shape_restoration *restoration,
                                      const struct volume *skull, struct error *error);
/* Half the width, world mm, of the interval that holds the surface nearer to a world position with a probability of 90
 * % (the model's calibration); NaN where its ray was not filled. */
double shape_restoration_interval_mm(const struct shape_restoration *restoration, const struct shape_model *model,
                                     const double world[3]);
/* The filled surfaces where they stand, for depth.h. */
struct shell shape_shell(const struct shape_model *model, const struct pose *pose, const struct surfaces *surfaces);
void shape_restoration_done(struct shape_restoration *restoration);
int64_t shape_model_bytes(const struct shape_model *model);
/* The bound on memory beside the skull, the implant and the model, before any work. */
int64_t shape_restore_bytes(const struct shape_model *model, const struct grid *grid);

#endif
