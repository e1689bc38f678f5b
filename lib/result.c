/* result.c - what a caller takes from a result; see calvaria.h. Test: tests/lib/test_library.c */
#include <string.h>

#include "data/volume/array.h"
#include "lib/call.h"
#include "lib/library.h"

void calvaria_result_dims(const struct calvaria_result *result, int64_t ret_dims[3])
{
    memcpy(ret_dims, result->dims, sizeof result->dims);
}

static struct voxel_array result_array(const struct calvaria_result *result, void *values, enum disk_type type,
                                       const int64_t *strides)
{
    struct voxel_array array = {.values = values, .type = type};
    memcpy(array.dim, result->dims, sizeof array.dim);
    if (strides)
        memcpy(array.stride, strides, sizeof array.stride);
    return array;
}

int calvaria_result_mask(const struct calvaria_result *result, int mask, uint8_t *ret_values, const int64_t strides[3],
                         struct calvaria_error *ret_error)
{
    const struct restoration *restoration = &result->restoration;
    const struct volume *const masks[] = {&restoration->implant, &restoration->completed, &result->skull,
                                          &restoration->raw};
    const int n = sizeof masks / sizeof *masks;
    const struct voxel_array array = result_array(result, ret_values, DISK_U8, strides);
    struct error error = {0};
    if (mask < 0 || mask >= n)
        error_set(&error, STATUS_USAGE, "mask: %d is none of enum calvaria_mask", mask);
    else if (!masks[mask]->data)
        error_set(&error, STATUS_USAGE, "CALVARIA_RAW: was not kept (restore with the option 'keep-raw')");
    else
        volume_to_array(&array, masks[mask]);
    return error.status ? call_refuse(&error, ret_error) : CALVARIA_OK;
}

int calvaria_result_field(const struct calvaria_result *result, float *ret_values, const int64_t strides[3],
                          struct calvaria_error *ret_error)
{
    struct error error = {0};
    struct call call;
    struct outcome_field field;
    const struct voxel_array array = result_array(result, ret_values, DISK_F32, strides);
    if (call_begin(&call, NULL, &error))
        return call_refuse(&error, ret_error);
    const enum status status = outcome_field(&field, &result->restoration, &error);
    if (!status) {
        volume_box_to_array(&array, &result->skull, &field.box, field.value);
        memory_free(field.value);
    }
    return call_end(&call, status, &error, ret_error);
}

int calvaria_result_mesh(const struct calvaria_result *result, struct calvaria_mesh *ret,
                         struct calvaria_error *ret_error)
{
    const struct mesh *mesh = &result->mesh;
    struct error error = {0};
    if (!result->has_mesh) {
        error_set(&error, STATUS_USAGE,
                  "no surface was made (without 'no-mesh', and with more 'max-memory', there would be one)");
        return call_refuse(&error, ret_error);
    }
    *ret = (struct calvaria_mesh){.n_vertices = mesh->n_points,
                                  .n_faces = mesh->n_triangles,
                                  .vertices = (const double *)mesh->point,
                                  .faces = (const int64_t *)mesh->triangle,
                                  .interval_mm = mesh->value};
    return CALVARIA_OK;
}

const char *calvaria_result_report(const struct calvaria_result *result, int format)
{
    return format == CALVARIA_JSON || format == CALVARIA_HTML ? result->report[format] : NULL;
}

void calvaria_result_free(struct calvaria_result *result)
{
    if (!result)
        return;
    volume_done(&result->skull);
    restoration_done(&result->restoration);
    mesh_done(&result->mesh);
    memory_free(result->report[CALVARIA_JSON]);
    memory_free(result->report[CALVARIA_HTML]);
    memory_free(result);
}
