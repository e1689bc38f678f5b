/* test_mesh_files.c - what is written as STL, PLY and 3MF is read again by readers of this test: the same points and
 * triangles, of surfaces of random masks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "infer/mesh/mesh.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

enum { MESHES = 6, ROOM = 8 << 20 };

static uint32_t u32_at(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static float f32_at(const char *at)
{
    const uint32_t bits = u32_at(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* As written for a space: RAS turns x and y. */
static double coordinate(const struct mesh *mesh, int64_t point, int k, enum mesh_space space)
{
    return space == MESH_RAS && k < 2 ? -mesh->point[point][k] : mesh->point[point][k];
}

static char *read_back(const char *path, size_t *ret_bytes)
{
    struct error error = {0};
    char *data = NULL;
    CHECK_OK(file_read(&data, ret_bytes, path, ROOM, &error), &error);
    return data;
}

static void check_stl(const struct mesh *mesh, enum mesh_space space)
{
    struct error error = {0};
    size_t bytes;
    int64_t wrong = 0;
    CHECK_OK(mesh_write_stl(check_path("a.stl"), mesh, space, &error), &error);
    char *data = read_back(check_path("a.stl"), &bytes);
    if (!data || !CHECK_INT((int64_t)bytes, 84 + 50 * mesh->n_triangles))
        return;
    CHECK_INT(u32_at(data + 80), mesh->n_triangles);
    for (int64_t t = 0; t < mesh->n_triangles; t++) {
        const char *row = data + 84 + 50 * t;
        double normal[3], length;
        mesh_cross(mesh, t, normal);
        length = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
        for (int k = 0; k < 3; k++) {
            const double sign = space == MESH_RAS && k < 2 ? -1 : 1;
            wrong += length > 0 && fabs((double)f32_at(row + 4 * k) - sign * normal[k] / length) > 1e-6;
            for (int corner = 0; corner < 3; corner++)
                wrong += f32_at(row + 12 + 12 * corner + 4 * k) !=
                         (float)coordinate(mesh, mesh->triangle[t][corner], k, space);
        }
    }
    CHECK_INT(wrong, 0);
    memory_free(data);
}

static void check_ply(const struct mesh *mesh, enum mesh_space space)
{
    struct error error = {0};
    size_t bytes;
    int64_t wrong = 0, n_points = 0, n_triangles = 0;
    const int64_t row = mesh->value ? 19 : 12;
    CHECK_OK(mesh_write_ply(check_path("a.ply"), mesh, space, &error), &error);
    char *data = read_back(check_path("a.ply"), &bytes), *at = data ? strstr(data, "element vertex ") : NULL;
    if (!CHECK(at != NULL))
        return;
    n_points = strtoll(at + 15, NULL, 10);
    at = strstr(at, "element face ");
    n_triangles = at ? strtoll(at + 13, NULL, 10) : -1;
    at = at ? strstr(at, "end_header\n") : NULL;
    CHECK_INT(n_points, mesh->n_points);
    CHECK_INT(n_triangles, mesh->n_triangles);
    if (!CHECK(at && (int64_t)(data + bytes - (at + 11)) == row * n_points + 13 * n_triangles))
        return;
    at += 11;
    for (int64_t i = 0; i < n_points; i++, at += row) {
        for (int k = 0; k < 3; k++)
            wrong += f32_at(at + 4 * k) != (float)coordinate(mesh, i, k, space);
        wrong += mesh->value && f32_at(at + 15) != mesh->value[i];
    }
    for (int64_t t = 0; t < n_triangles; t++, at += 13)
        for (int k = 0; k < 3; k++)
            wrong += at[0] != 3 || u32_at(at + 1 + 4 * k) != (uint32_t)mesh->triangle[t][k];
    CHECK_INT(wrong, 0);
    memory_free(data);
}

/* The model of a 3MF file: its third entry, unpacked. */
static char *unzip_model(const char *data)
{
    enum { LOCAL = 30, ENTRIES = 3 };
    z_stream stream = {0};
    char *text = memory_zalloc(ROOM, 1);
    for (int entry = 0; entry < ENTRIES; entry++) {
        const uint32_t packed = u32_at(data + 18), name = u32_at(data + 26) & 0xffff;
        CHECK(memcmp(data, "PK\3\4", 4) == 0);
        stream.next_in = (Bytef *)(uintptr_t)(data + LOCAL + name);
        stream.avail_in = packed;
        data += LOCAL + name + packed;
    }
    stream.next_out = (Bytef *)text;
    stream.avail_out = ROOM - 1;
    CHECK(memcmp(data, "PK\1\2", 4) == 0);
    CHECK(inflateInit2(&stream, -15) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END);
    inflateEnd(&stream);
    return text;
}

/* Decimals of a ten-thousandth of a millimetre. */
static void check_3mf(const struct mesh *mesh, enum mesh_space space)
{
    struct error error = {0};
    size_t bytes[2];
    char *data[2];
    int64_t n_points = 0, n_triangles = 0, wrong = 0;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(mesh_write_3mf(check_path("a.3mf"), mesh, space, &error), &error);
        data[i] = read_back(check_path("a.3mf"), &bytes[i]);
    }
    if (!CHECK(data[0] && data[1] && bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0))
        return;
    char *text = unzip_model(data[0]);
    CHECK(strstr(text, "unit=\"millimeter\"") != NULL);
    CHECK(strstr(text, space == MESH_RAS ? "SPACE=RAS" : "SPACE=LPS") != NULL);

    for (const char *at = text; (at = strstr(at, "<vertex ")); at++, n_points++) {
        double p[3] = {NAN, NAN, NAN};
        CHECK(sscanf(at, "<vertex x=\"%lf\" y=\"%lf\" z=\"%lf\"", &p[0], &p[1], &p[2]) == 3);
        for (int k = 0; k < 3 && n_points < mesh->n_points; k++)
            wrong += !(fabs(p[k] - coordinate(mesh, n_points, k, space)) < 0.51e-4);
    }
    for (const char *at = text; (at = strstr(at, "<triangle ")); at++, n_triangles++) {
        long long v[3] = {-1, -1, -1};
        CHECK(sscanf(at, "<triangle v1=\"%lld\" v2=\"%lld\" v3=\"%lld\"", &v[0], &v[1], &v[2]) == 3);
        for (int k = 0; k < 3 && n_triangles < mesh->n_triangles; k++)
            wrong += v[k] != mesh->triangle[n_triangles][k];
    }
    CHECK_INT(n_points, mesh->n_points);
    CHECK_INT(n_triangles, mesh->n_triangles);
    CHECK_INT(wrong, 0);
    memory_free(text);
    memory_free(data[0]);
    memory_free(data[1]);
}

static void test_round_trips(void)
{
    for (int i = 0; i < MESHES; i++) {
        struct error error = {0};
        struct volume mask = fixture_volume(15 + i, 13, 11, 0.5, 0.6 + 0.1 * i, 1);
        struct mesh mesh = {0};
        const enum mesh_space space = i % 2 ? MESH_RAS : MESH_LPS;
        fixture_noise(&mask, 70 + (uint64_t)i, 0.1 + 0.15 * i);
        mask.grid.origin[0] = -80.5 * i;
        CHECK_OK(mesh_from_mask(&mesh, &mask, &error), &error);
        CHECK_OK(mesh_smooth(&mesh, 3, 0.2, 0, &error), &error);
        if (i > 2) {
            mesh.value = memory_alloc((size_t)mesh.n_points, sizeof *mesh.value);
            mesh.value_most = 5;
            for (int64_t p = 0; mesh.value && p < mesh.n_points; p++)
                mesh.value[p] = (float)(p % 71) * 0.1F;
        }
        CHECK(mesh.n_triangles > 500);
        check_stl(&mesh, space);
        check_ply(&mesh, space);
        check_3mf(&mesh, space);
        mesh_done(&mesh);
        volume_done(&mask);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"round_trips", test_round_trips}, {0}};
    return check_main(argc, argv, tests);
}
