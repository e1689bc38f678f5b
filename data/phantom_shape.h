/* phantom_shape.h - one skull of the population: its measures, and the implicit function of its bone. Private to the phantom. */
#ifndef CALVARIA_DATA_PHANTOM_SHAPE_H
#define CALVARIA_DATA_PHANTOM_SHAPE_H

#include <stdbool.h>

#include "base/rng.h"

enum { PHANTOM_WAVES = 11, PHANTOM_PROFILE = 512, PHANTOM_VAULT_Y = 2, PHANTOM_VAULT_Z = 20 /* the vault's centre, mm */ };

/* A plane wave of the surface: amplitude (mm, or a share), k (radians per mm), phase. */
struct phantom_wave {
    double k[3], phase, amplitude;
};

/* Millimetres, in the skull's own frame: x to the left, y to the back, z up; z = 0 at the glabella (between the brows), y = 0
 * midway between glabella and occiput. The ranges are in phantom_draw.c. */
struct phantom_shape {
    /* vault */
    double length, breadth, height;  /* outer; height: vertex above the glabella */
    double profile[PHANTOM_PROFILE]; /* midsagittal outline: distance from the vault's centre by angle from -pi (front) */
    double front_narrow, back_narrow, low_narrow; /* shares of the breadth lost towards forehead, occiput, base */
    double box_axial, box_coronal;                /* exponents of the cross-sections: 2 an ellipse, more is boxier */
    double skew_y, skew_x, lean;                  /* asymmetry: y sheared by x (flat back of one side), x by y, x by z */
    double brow, glabella, temple, eminence_front, eminence_side, inion; /* bumps, the temple a hollow */
    struct phantom_wave wave[PHANTOM_WAVES];
    double suture, suture_phase; /* depth of the grooves */
    /* walls */
    double thickness, thick_front, thick_back, thick_side; /* typical; factors by region */
    double wall_min;                                       /* no vault thinner than this: the grid must not leak */
    struct phantom_wave thick_wave[PHANTOM_WAVES];
    double sinus[2], sinus_h;                     /* frontal sinus: half widths left and right, half height; 0: none */
    bool diploe;                                  /* pores between the tables ... */
    struct phantom_wave pore_wave[PHANTOM_WAVES]; /* ... where this sum is high */
    /* base and face */
    double floor_front, floor_middle, floor_back; /* heights of the three fossae's floors */
    double wide, tall, deep;                      /* the face's scales against the standard one */
    double orbit_w, orbit_h, orbit_tilt, cheek, nose_w, nose_out, septum;
    double arch; /* the cheekbone arches' place, as a share of the breadth */
};

/* Draws all measures. wall_min_mm: see above; sutures, diploe: whether to have them. */
void phantom_draw(struct phantom_shape *shape, struct rng *rng, double wall_min_mm, bool sutures, bool diploe);

/* Value of the wave sum at p. */
double phantom_waves(const struct phantom_wave *wave, int n, const double p[3]);

/* The vault: 1 on its outer surface, less inside, about homogeneous around its centre. */
double vault_level(const struct phantom_shape *shape, const double p[3]);
/* Depth below the outer surface, where level is near 1. */
double vault_depth(const struct phantom_shape *shape, const double p[3], double level);
/* Depth inside the brain's cavity. */
double vault_cavity(const struct phantom_shape *shape, const double p[3], double depth);
/* Shell and base of the braincase. */
double vault_bone(const struct phantom_shape *shape, const double p[3], double depth, double cavity);
/* The whole skull: > 0 in bone; p in the skull's frame. */
double phantom_bone(const struct phantom_shape *shape, const double p[3]);

#endif
