/* beside.h - a network beside a shape model: each where it is the better one.
 *
 * The shape model restores what its rays find missing. Where a ray still meets bone it claims nothing, although part of
 * the bone may be gone: one plate of a brow, the roof of an orbit. There the network's implant is added, as far as it
 * hangs together with the shape model's. */
#ifndef CALVARIA_INFER_BESIDE_H
#define CALVARIA_INFER_BESIDE_H

#include "infer/restore.h"
#include "shape/restore.h"

/* restorer_run of a restorer with a shape model beside its networks: the shape model's restoration, and what the
 * networks add to its implant. A head that does not stand upright in its volume, and one without a hole, is the shape
 * model's alone. */
enum status beside_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull,
                       struct progress *progress, struct error *error);
/* implant: the shape model's; gets the voxels of `network` that lie in restoration->box, on no ray of a hole, and are
 * 6-connected to it through such voxels. Returns how many are added, or -1 where memory is out. */
int64_t beside_add(struct volume *implant, const struct volume *network, const struct shape_restoration *restoration);

#endif
