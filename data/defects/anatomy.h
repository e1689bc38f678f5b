/* anatomy.h - where front, left and up are on a skull, found in the bone itself: for generators that aim at a part of
 * the vault.
 *
 * Points are millimetres along the grid's axes (index * spacing; x left, y back, z up in canonical order). The middle
 * of the vault is taken 75 mm under the vertex of a head 145 mm wide. Yaw comes from the vault's longer axis, pitch
 * from the upper rims of the orbits, where the outer surface, followed downwards from the forehead, breaks off. */
#ifndef CALVARIA_DATA_DEFECTS_ANATOMY_H
#define CALVARIA_DATA_DEFECTS_ANATOMY_H

#include "data/volume/volume.h"
#include "data/mask/morphology.h"

struct anatomy {
    double spacing_mm[3];
    int64_t size[3];
    uint8_t *bone;       /* cells of ANATOMY_CELL_MM with any bone in them */
    double middle_mm[3]; /* of the vault */
    double scale;        /* width of the vault / 145 mm */
    double frame[3][3];  /* unit vectors: left, back, up */
    bool rim_found;      /* false: the pitch is the scan's own */
    double rim_deg; /* elevation of the orbits' upper rims, as seen from the middle, before the pitch was corrected */
};

/* Elevation of the upper orbital rims in the corrected frame: the median over real skulls. */
#define ANATOMY_RIM_DEG (-17.0)
#define ANATOMY_CELL_MM 3.0

enum status anatomy_find(struct anatomy *ret, const struct volume *skull, struct box skull_box, struct error *error);
void anatomy_done(struct anatomy *anatomy);

/* azimuth 0 front, 90 left, 180 back; elevation 90 the vertex. Degrees. */
void anatomy_direction(const struct anatomy *anatomy, double azimuth, double elevation, double direction[3]);
void anatomy_angles(const struct anatomy *anatomy, const double point_mm[3], double *ret_azimuth,
                    double *ret_elevation);
/* The outer surface seen from the middle; false where a ray meets no bone. */
bool anatomy_surface(const struct anatomy *anatomy, double azimuth, double elevation, double point_mm[3]);
/* The lowest elevation that is still vault: above the orbits in front, the ear and temporal base at the sides, the
 * nuchal lines behind. */
double anatomy_vault_floor(double azimuth);

#endif
