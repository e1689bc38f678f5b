/* batch_memory.h - private to infer/: what a case may take, known from its header alone. */
#ifndef CALVARIA_INFER_BATCH_MEMORY_H
#define CALVARIA_INFER_BATCH_MEMORY_H

#include "infer/batch.h"

/* How a case is kept within bounds. */
struct memory_plan {
    int64_t bound_bytes; /* at most, over reading, restoring, measuring, surface and pictures */
    int64_t report_voxels, mesh_points;
    bool picture;
};

/* The plan for a volume of which only the header was read. limit 0: none; else what is not needed for the result itself
 * is made smaller until it fits. STATUS_FAILED, naming the least that would do, where it cannot. */
enum status memory_plan_make(struct memory_plan *ret, const struct batch_config *config,
                             const struct restorer *restorer, const struct volume *header, int64_t limit,
                             struct error *error);
/* Points its surface has at most. */
int64_t memory_surface(const struct volume *mask);

#endif
