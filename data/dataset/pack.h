/* pack.h - the masks of a case found in a folder, checked against each other: for packing and for checking. */
#ifndef CALVARIA_DATA_DATASET_PACK_H
#define CALVARIA_DATA_DATASET_PACK_H

#include "data/dataset/layout.h"
#include "data/volume/volume.h"

/* The complete skull: its own file, or the first defect's defective skull and implant together. */
enum status pack_read_skull(struct volume *ret, const struct layout_case *from, struct error *error);
/* The implant on skull's grid: its file, or skull - defective. Errors: another grid, not a part of the skull, the two
 * files disagree. */
enum status pack_read_implant(struct volume *ret, const struct layout_defect *from, const struct volume *skull,
                              struct error *error);

#endif
