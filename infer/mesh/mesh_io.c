/* mesh_io.c - binary STL and PLY; see mesh.h. Both formats are little-endian, whatever the machine is. */
#include "infer/mesh/mesh.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "infer/mesh/mesh_write.h"

enum { STL_HEADER_BYTES = 80, STL_TRIANGLE_BYTES = 50 };

static void mesh_put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void mesh_put_f32(uint8_t *at, double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    mesh_put_u32(at, bits);
}

/* LPS and RAS differ by half a turn about z: orientation of the triangles stays. */
static void mesh_put_point(uint8_t *at, const double point[3], enum mesh_space space)
{
    double sign = space == MESH_RAS ? -1 : 1;
    mesh_put_f32(at, sign * point[0]);
    mesh_put_f32(at + 4, sign * point[1]);
    mesh_put_f32(at + 8, point[2]);
}

static const char *mesh_space_text(enum mesh_space space)
{
    return space == MESH_RAS ? "SPACE=RAS" : "SPACE=LPS";
}

static bool mesh_put_stl(FILE *file, const struct mesh *mesh, enum mesh_space space)
{
    uint8_t head[STL_HEADER_BYTES + 4] = {0};
    snprintf((char *)head, STL_HEADER_BYTES, "calvaria implant, millimetres. %s", mesh_space_text(space));
    mesh_put_u32(head + STL_HEADER_BYTES, (uint32_t)mesh->n_triangles);
    bool ok = fwrite(head, sizeof head, 1, file) == 1;

    for (int64_t t = 0; ok && t < mesh->n_triangles; t++) {
        uint8_t row[STL_TRIANGLE_BYTES] = {0};
        double normal[3];
        mesh_cross(mesh, t, normal);
        double length = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
        for (int k = 0; k < 3 && length > 0; k++)
            normal[k] /= length;
        mesh_put_point(row, normal, space);
        for (int k = 0; k < 3; k++)
            mesh_put_point(row + 12 + 12 * k, mesh->point[mesh->triangle[t][k]], space);
        ok = fwrite(row, sizeof row, 1, file) == 1;
    }

    return ok;
}

/* viridis (Smith, van der Walt; CC0), linear between eight samples. */
static void mesh_colour(uint8_t rgb[3], double share)
{
    enum { SAMPLES = 8 };
    static const uint8_t sample[SAMPLES][3] = {{68, 1, 84},    {70, 50, 127},  {54, 92, 141},  {39, 127, 142},
                                               {31, 161, 135}, {74, 194, 109}, {159, 218, 58}, {253, 231, 37}};
    const double at = share > 0 ? (share < 1 ? share : 1) * (SAMPLES - 1) : 0;
    const int low = at < SAMPLES - 1 ? (int)at : SAMPLES - 2;
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)(sample[low][k] + (at - low) * (sample[low + 1][k] - sample[low][k]) + 0.5);
}

static void mesh_put_float(uint8_t *to, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    mesh_put_u32(to, bits);
}

static bool mesh_put_ply(FILE *file, const struct mesh *mesh, enum mesh_space space)
{
    const char *values = "\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nproperty float quality";
    bool ok =
        fprintf(
            file,
            "ply\nformat binary_little_endian 1.0\ncomment calvaria implant, millimetres. %s\nelement vertex %" PRId64
            "\nproperty float x\nproperty float y\nproperty float z%s\nelement face %" PRId64
            "\nproperty list uchar int vertex_indices\nend_header\n",
            mesh_space_text(space), mesh->n_points, mesh->value ? values : "", mesh->n_triangles) > 0;

    for (int64_t i = 0; ok && i < mesh->n_points; i++) {
        uint8_t row[19];
        size_t bytes = 12;
        mesh_put_point(row, mesh->point[i], space);
        if (mesh->value) {
            mesh_colour(row + 12, (double)mesh->value[i] / mesh->value_most);
            mesh_put_float(row + 15, mesh->value[i]);
            bytes = sizeof row;
        }
        ok = fwrite(row, bytes, 1, file) == 1;
    }

    for (int64_t t = 0; ok && t < mesh->n_triangles; t++) {
        uint8_t row[13] = {3};
        for (int k = 0; k < 3; k++)
            mesh_put_u32(row + 1 + 4 * k, (uint32_t)mesh->triangle[t][k]);
        ok = fwrite(row, sizeof row, 1, file) == 1;
    }

    return ok;
}

enum status mesh_write(const char *path, const struct mesh *mesh, enum mesh_space space, mesh_writer *write,
                       struct error *error)
{
    if (mesh->n_triangles > UINT32_MAX || mesh->n_points > INT32_MAX)
        return error_set(error, STATUS_FAILED, "%s: %" PRId64 " triangles: too many for the file format", path,
                         mesh->n_triangles);
    struct file_stream stream;
    if (file_stream_open(&stream, path, error))
        return error->status;
    enum status status = STATUS_OK;
    if (!write(stream.file, mesh, space))
        status = error_system(error, errno, "%s: cannot be written", path);
    return file_stream_close(&stream, status, error);
}

enum status mesh_write_stl(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error)
{
    return mesh_write(path, mesh, space, mesh_put_stl, error);
}

enum status mesh_write_ply(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error)
{
    return mesh_write(path, mesh, space, mesh_put_ply, error);
}

typedef enum status mesh_file_writer(const char *path, const struct mesh *mesh, enum mesh_space space,
                                     struct error *error);

/* NULL: no known ending. */
static mesh_file_writer *mesh_writer_of(const char *path)
{
    static const struct {
        const char *ending;
        mesh_file_writer *write;
    } writers[] = {{".stl", mesh_write_stl}, {".ply", mesh_write_ply}, {".3mf", mesh_write_3mf}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof writers / sizeof *writers; i++)
        if (strcmp(dot, writers[i].ending) == 0)
            return writers[i].write;
    return NULL;
}

bool mesh_path_is_known(const char *path)
{
    return mesh_writer_of(path) != NULL;
}

enum status mesh_write_file(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error)
{
    mesh_file_writer *write = mesh_writer_of(path);
    return write ? write(path, mesh, space, error)
                 : error_set(error, STATUS_USAGE, "%s: the ending chooses the format (.stl, .ply or .3mf)", path);
}
