/* report_shape.h - private to infer/: how thick an implant is everywhere, and how it compares with the other side of
 * the head. */
#ifndef CALVARIA_INFER_REPORT_REPORT_SHAPE_H
#define CALVARIA_INFER_REPORT_REPORT_SHAPE_H

#include "infer/crop.h"
#include "infer/report/report.h"

/* The ball around voxel i that just fits lies in no neighbour's. depth, spacing: mm. */
bool shape_on_ridge(const float *depth, const int64_t dim[3], const double spacing[3], int64_t i);
/* thickness (crop-sized, 0 outside): at each voxel the diameter of the largest ball within the implant that holds it
 * (Hildebrand and Rüegsegger, "A new method for the model-independent assessment of thickness", Journal of Microscopy
 * 185, 1997), right to half a voxel. depth: distance to the outside in mm. Writes the report's thickness_*. */
enum status shape_thickness(float *thickness, struct report *report, const struct crop *implant, const float *depth,
                            const double spacing[3], struct error *error);
/* What a picture's eight colours stand for: each from a value on, the last without an end. */
enum { PICTURE_BINS = 8 };
struct picture_scale {
    const char *what;
    double from_mm[PICTURE_BINS];
};
extern const struct picture_scale picture_thickness, picture_interval;
/* The implant coloured by a value of its voxels (crop-sized) from both sides, with a scale. offset_mm: its middle as
 * seen from the skull's. */
enum status shape_picture(const char *path, const struct crop *implant, const float *values, const double spacing[3],
                          const double offset_mm[3], const struct picture_scale *scale, struct error *error);
/* Writes the report's symmetry_*. all: the implant of which `implant` is the crop; near: distance to the bone, in mm;
 * work: room, both crop-sized. */
enum status shape_symmetry(struct report *report, const struct volume *skull, const struct volume *all,
                           const struct crop *implant, const float *near, float *work, struct error *error);

#endif
