/* skulls.h - small stand-ins for skulls: hollow ellipsoids, and folders of them. */
#ifndef CALVARIA_TESTS_DATA_SKULLS_H
#define CALVARIA_TESTS_DATA_SKULLS_H

#include "data/volume/volume.h"

/* A closed shell of 8 mm in a volume of dim voxels of spacing_mm; `kind` varies its size, so that each is another
 * skull. */
void skull_make(struct volume *ret, const int64_t dim[3], const double spacing_mm[3], int kind);
/* The part of the skull in the box [lo, hi) of voxels. */
void implant_make(struct volume *ret, const struct volume *skull, const int64_t lo[3], const int64_t hi[3]);
/* a = a and not b */
void mask_minus(struct volume *a, const struct volume *b);
/* check_path(FOLDER)/name, the folder made. Kept to the end of the program. */
const char *path_in(const char *folder, const char *name);
void volume_put(const char *folder, const char *name, const struct volume *volume);
void text_put(const char *path, const char *text);

#endif
