/* phantom_shape.h - private to the phantom: one skull's measures, and the implicit function of its bone. */
#ifndef CALVARIA_DATA_PHANTOM_PHANTOM_SHAPE_H
#define CALVARIA_DATA_PHANTOM_PHANTOM_SHAPE_H

#include <stdbool.h>

#include "base/rng.h"

enum { PHANTOM_WAVES = 16 };

/* Millimetres, in the skull's own frame: origin at the middle of the widest axial slice, x to the left, y to the back,
 * z up. The ranges they are drawn from are in phantom.c. */
struct phantom_shape {
    double length, breadth, height; /* outer vault */
    double exponent;                /* of the vault's superellipse: 2 is round, more is boxy */
    double front_narrow;            /* the forehead is narrower than the parietal bones by this share */
    double forehead, occiput;       /* bulge of forehead and occiput */
    double skew_y, skew_x;          /* asymmetry: shear of y by x, and one-sided fullness */
    double thickness, thick_back, thick_front, thick_side; /* median; factors by region */
    double floor_front, floor_middle, floor_back;          /* height of the skull base's inner floor */
    double orbit_w, orbit_h, orbit_gap, face_w, face_depth, arch_w;
    bool sutures, diploe; /* grooves between the bones; pores between their tables */
    struct {
        double k[3], phase, amplitude;
    } wave[PHANTOM_WAVES], thick_wave[PHANTOM_WAVES / 2];
};

/* > 0 in bone, about the depth in mm near its surface; p in the skull's frame. */
double phantom_bone(const struct phantom_shape *shape, const double p[3]);

#endif
