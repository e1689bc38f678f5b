/* phantom.h - procedural healthy skulls: vault of varying thickness, asymmetry, orbits, nasal opening, zygoma, base
 * with foramen. */
#ifndef CALVARIA_DATA_PHANTOM_PHANTOM_H
#define CALVARIA_DATA_PHANTOM_PHANTOM_H

#include "base/config.h"
#include "data/volume/volume.h"

struct phantom_config {
    double spacing_mm[3];
    int64_t dim[3]; /* 0: chosen to hold the skull with a margin */
    bool sutures;   /* grooves between the bones of the vault: seen below about 1 mm of spacing */
    bool diploe;    /* pores between the tables of the vault's bone, likewise */
};
extern const struct config_table phantom_table;

/* Skull number `index` of the population `seed`: a u8 mask, the same bytes on any thread count. */
enum status phantom_skull(struct volume *ret, const struct phantom_config *config, uint64_t seed, int64_t index,
                          struct error *error);

#endif
