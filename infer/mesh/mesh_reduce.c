/* mesh_reduce.c - the options of decimation, and what is said of it; see mesh.h. Test: tests/cli/test_mesh_command.sh
 */
#include "infer/mesh/mesh.h"

#include <inttypes.h>

#include "base/log.h"

#define OFFSET(member) offsetof(struct mesh_reduction, member)
/* clang-format off */
static const struct config_field mesh_reduction_fields[] = {
    {.key = "mesh_faces", .type = CONFIG_INT, .offset = OFFSET(faces), .text = "0", .min = 0, .max = 1e9,
     .help = "at most this many triangles, as far as the tolerance allows; 0: as many as there are"},
    {.key = "mesh_tolerance_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(tolerance_mm), .text = "0", .min = 0,
     .max = 10, .unit = "mm",
     .help = "fewer triangles, none of them farther than this from the surface before; 0: no bound"},
    {0},
};
/* clang-format on */
const struct config_table mesh_reduction_table = {
    .help = "Decimation", .size = sizeof(struct mesh_reduction), .fields = mesh_reduction_fields};

enum status mesh_reduce(struct mesh *mesh, const struct mesh_reduction *reduction, const char *name,
                        struct error *error)
{
    const int64_t before = mesh->n_triangles;
    if (reduction->faces == 0 && reduction->tolerance_mm <= 0)
        return STATUS_OK;
    if (mesh_decimate(mesh, reduction->faces, reduction->tolerance_mm, &mesh->deviation_mm, error))
        return error->status;
    log_info("%s: %" PRId64 " of %" PRId64 " triangles, at most %.3f mm from the surface before", name,
             mesh->n_triangles, before, mesh->deviation_mm);
    if (reduction->faces > 0 && mesh->n_triangles > reduction->faces)
        log_warn("%s: %" PRId64 " triangles stay: --mesh-faces %" PRId64 " would go beyond the tolerance", name,
                 mesh->n_triangles, reduction->faces);
    return STATUS_OK;
}
