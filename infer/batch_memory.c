/* batch_memory.c - the bound on the memory of one case; see batch_memory.h. Stages run one after the other, so the
 * bound is the largest stage plus what stays during all of them: the masks and the network. Test:
 * tests/infer/test_memory_bound.sh */
#include "infer/batch_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/picture/render.h"
#include "infer/report/report.h"

enum {
    MESH_POINT_BYTES = 260, /* point, two triangles, room to grow, and what smoothing and checking take */
    REPORT_VOXELS = 12000000,
    REPORT_VOXELS_LEAST = 500000,
    MESH_POINTS = 1000000,
    MESH_POINTS_LEAST = 50000,
    PREPARED_WEIGHTS = 9, /* times the parameters: kernels as the engine transforms them (measured: 8.2) */
    FIELD_BYTES = 8,      /* of a voxel: the prediction, and what is cut */
    COARSE_STEPS = 16,    /* the plans tried between most and least */
};

int64_t memory_surface(const struct volume *mask)
{
    const int64_t *dim = mask->grid.dim;
    const uint8_t *in = mask->data;
    int64_t n = 0;

#pragma omp parallel for schedule(static) reduction(+ : n)
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++) {
            const uint8_t *row = in + (z * dim[1] + y) * dim[0], *behind = y ? row - dim[0] : NULL,
                          *below = z ? row - dim[0] * dim[1] : NULL;
            for (int64_t x = 0; x < dim[0]; x++)
                n += (row[x] != (x ? row[x - 1] : 0)) + (row[x] != (behind ? behind[x] : 0)) +
                     (row[x] != (below ? below[x] : 0)) + (row[x] && (x + 1 == dim[0])) + (row[x] && y + 1 == dim[1]) +
                     (row[x] && z + 1 == dim[2]);
        }

    return n;
}

/* Bytes a voxel takes until it is a mask. Numbers that do not fit a byte may be a CT's: its values, the mask, and the
 * labels of the pieces of bone. */
static int64_t reading_bytes(const struct volume *header)
{
    const char *type = header->storage.file_type;
    if (strcmp(type, "uint8") == 0 || strcmp(type, "int8") == 0)
        return 2;
    return strcmp(type, "float") == 0 || strcmp(type, "double") == 0 ? 9 : 7;
}

static int64_t plan_bytes(const struct memory_plan *plan, const struct batch_config *config,
                          const struct restorer *restorer, const struct volume *header)
{
    const int64_t voxels = grid_voxels(&header->grid), masks = (3 + config->keep_raw) * voxels;
    struct grid none = header->grid;

    none.dim[0] = none.dim[1] = none.dim[2] = 1;
    const struct model *model = restorer_model(restorer);
    int64_t prepared = model ? PREPARED_WEIGHTS * model->params.n_floats * (int64_t)sizeof(float) : 0;

    /* What stays during all stages: the network and its transformed weights. */
    int64_t standing = prepared + restorer_bytes(restorer, &none),
            meshed = config->no_mesh ? 0 : plan->mesh_points * MESH_POINT_BYTES;
    const int64_t box = plan->report_voxels < voxels ? plan->report_voxels : voxels;
    int64_t after = box * REPORT_VOXEL_BYTES + meshed / 2,
            picture = plan->picture ? render_sheet_bytes(&header->grid) : 0;
    after = meshed > after ? meshed : after;
    after = picture > after ? picture : after;

    /* The largest stage: reading, restoring, or measuring with mesh and picture. */
    int64_t reading = standing + reading_bytes(header) * voxels,
            restoring = prepared + restorer_bytes(restorer, &header->grid);
    after += standing + masks;
    if (!config->no_mesh) /* what the implant's surface is made from */
        after += box * FIELD_BYTES + restorer_prediction_bytes(restorer, &header->grid);
    int64_t most = reading > restoring ? reading : restoring;

    return after > most ? after : most;
}

enum status memory_plan_make(struct memory_plan *ret, const struct batch_config *config,
                             const struct restorer *restorer, const struct volume *header, int64_t limit,
                             struct error *error)
{
    struct memory_plan plan = {
        .report_voxels = REPORT_VOXELS, .mesh_points = MESH_POINTS, .picture = !config->no_picture};
    plan.bound_bytes = plan_bytes(&plan, config, restorer, header);

    /* Measures and mesh get coarser in steps; the picture is given up last. */
    for (int step = 0; limit > 0 && plan.bound_bytes > limit && step < COARSE_STEPS; step++) {
        plan.report_voxels = (int64_t)fmax(REPORT_VOXELS_LEAST, 0.7 * (double)plan.report_voxels);
        plan.mesh_points = (int64_t)fmax(MESH_POINTS_LEAST, 0.7 * (double)plan.mesh_points);
        if (step + 1 == COARSE_STEPS)
            plan.picture = false;
        plan.bound_bytes = plan_bytes(&plan, config, restorer, header);
    }

    if (limit > 0 && plan.bound_bytes > limit)
        return error_set(error, STATUS_FAILED,
                         "--max-memory: %.0f MB: a volume of %lld x %lld x %lld voxels with this model needs %.0f MB "
                         "(give more, or a "
                         "model with smaller patches)",
                         (double)limit / 1e6, (long long)header->grid.dim[0], (long long)header->grid.dim[1],
                         (long long)header->grid.dim[2], (double)plan.bound_bytes / 1e6);

    *ret = plan;

    return STATUS_OK;
}
