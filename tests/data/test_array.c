/* test_array.c - a volume from memory is the volume that a file of it would give; and back. */
#include "data/volume/array.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/volume/formats.h"
#include "tests/check.h"

enum { NX = 5, NY = 4, NZ = 3, N = NX * NY * NZ };

/* Axes of every kind: patient axes as they are, turned, exchanged, oblique. All numbers are exact as float32. */
static const double affines[][4][4] = {
    {{0.5, 0, 0, -20}, {0, 0.75, 0, 30.5}, {0, 0, 1.25, -7.25}, {0, 0, 0, 1}},
    {{-0.5, 0, 0, 20}, {0, -0.75, 0, 30.5}, {0, 0, 1.25, -7.25}, {0, 0, 0, 1}},
    {{0, 0, 1.25, 3}, {-0.5, 0, 0, 4}, {0, -0.75, 0, 5}, {0, 0, 0, 1}},
    {{0.5, 0.0625, 0, 3}, {-0.0625, 0.75, 0.125, 4}, {0, -0.125, -1.25, 5}, {0, 0, 0, 1}},
};
enum { N_AFFINES = sizeof affines / sizeof *affines };

static double value_of(int64_t i, enum disk_type type)
{
    const double whole = (double)(i % 7 == 0 ? 0 : i);
    return type == DISK_F32 || type == DISK_F64 ? whole + 0.25 : type == DISK_I16 ? whole - 30 : whole;
}

static void put(void *at, double value, enum disk_type type)
{
    switch (type) {
    case DISK_U8:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case DISK_I16:
        *(int16_t *)at = (int16_t)value;
        break;
    case DISK_F32:
        *(float *)at = (float)value;
        break;
    default:
        *(double *)at = value;
    }
}

/* Dense in the order of a file, dense in C order (the last axis fastest), backwards along the first axis. */
static void layout(struct voxel_array *array, char *memory, int kind)
{
    const int64_t size = (int64_t)disk_types[array->type].bytes;
    const int64_t stride[3][3] = {{0, 0, 0}, {NY * NZ * size, NZ * size, size}, {-size, NX * size, NX * NY * size}};
    memcpy(array->stride, stride[kind], sizeof array->stride);
    array->values = memory + (kind == 2 ? (NX - 1) * size : 0);
}

static void fill(const struct voxel_array *array)
{
    const int64_t size = (int64_t)disk_types[array->type].bytes;
    const int64_t dense[3] = {size, NX * size, NX * NY * size}, *stride = array->stride[0] ? array->stride : dense;
    for (int64_t i = 0; i < N; i++)
        put((char *)array->values + i % NX * stride[0] + i / NX % NY * stride[1] + i / (NX * NY) * stride[2],
            value_of(i, array->type), array->type);
}

/* Through a file and back: the same grid, type and values. */
static void check_like_file(const struct volume *volume)
{
    struct error error = {0};
    struct volume file;
    CHECK_OK(volume_write(check_path("a.nii"), volume, &error), &error);
    if (!CHECK_OK(volume_read(&file, check_path("a.nii"), &error), &error))
        return;
    CHECK_INT(memcmp(&file.grid, &volume->grid, sizeof file.grid), 0);
    CHECK_INT(file.type, volume->type);
    CHECK_INT(memcmp(file.data, volume->data, N * voxel_bytes(file.type)), 0);
    CHECK_INT(memcmp(file.storage.axis, volume->storage.axis, sizeof file.storage.axis), 0);
    volume_done(&file);
}

static void test_like_a_file(void)
{
    static const enum disk_type types[] = {DISK_U8, DISK_I16, DISK_F32, DISK_F64};
    static const enum voxel_type expected[] = {VOXEL_U8, VOXEL_I16, VOXEL_F32, VOXEL_F32};
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 3; k++)
            for (int a = 0; a < N_AFFINES; a++) {
                double in[N] = {0}, out[N] = {0};
                struct error error = {0};
                struct volume volume;
                struct voxel_array array = {.type = types[t], .dim = {NX, NY, NZ}};
                memcpy(array.affine, affines[a], sizeof array.affine);
                layout(&array, (char *)in, k);
                fill(&array);
                if (!CHECK_OK(volume_from_array(&volume, &array, "a skull", &error), &error))
                    continue;
                CHECK_INT(volume.type, expected[t]);
                check_like_file(&volume);
                layout(&array, (char *)out, k);
                if (types[t] != DISK_F64) {
                    volume_to_array(&array, &volume);
                    CHECK_INT(memcmp(in, out, sizeof in), 0);
                }
                volume_done(&volume);
            }
}

static void test_box(void)
{
    uint8_t in[N] = {0};
    float out[N], values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct error error = {0};
    struct volume volume;
    struct voxel_array array = {.values = in, .type = DISK_U8, .dim = {NX, NY, NZ}};
    const struct box box = {{1, 1, 0}, {3, 3, 2}};
    memcpy(array.affine, affines[1], sizeof array.affine); /* LPS: the array's order is the volume's */
    if (!CHECK_OK(volume_from_array(&volume, &array, "a skull", &error), &error))
        return;
    array.values = out;
    array.type = DISK_F32;
    volume_box_to_array(&array, &volume, &box, values);
    int inside = 0;
    for (int i = 0; i < N; i++)
        inside += !isnan(out[i]);
    CHECK_INT(inside, 8);
    for (int i = 0; i < 8; i++)
        CHECK_INT((int64_t)out[(i / 4 * NY + 1 + i / 2 % 2) * NX + 1 + i % 2], i);
    volume_done(&volume);
}

static void test_refused(void)
{
    uint8_t in[N] = {0};
    struct error error = {0};
    struct volume volume;
    struct voxel_array array = {.values = in, .type = DISK_U8, .dim = {NX, NY, NZ}};
    CHECK_FAILS(volume_from_array(&volume, &array, "a skull", &error), &error, STATUS_USAGE,
                "a skull: affine: its last row is 0 0 0 0");
    array.affine[3][3] = 1;
    CHECK_FAILS(volume_from_array(&volume, &array, "a skull", &error), &error, STATUS_FAILED, "a skull");
    memcpy(array.affine, affines[0], sizeof array.affine);
    array.affine[0][0] = NAN;
    CHECK_FAILS(volume_from_array(&volume, &array, "a skull", &error), &error, STATUS_FAILED, "a skull");
    array.affine[0][0] = 1;
    array.dim[1] = -4;
    CHECK_FAILS(volume_from_array(&volume, &array, "a skull", &error), &error, STATUS_FAILED, "a skull");
    array.dim[0] = array.dim[1] = array.dim[2] = INT64_MAX / 4;
    CHECK_FAILS(volume_from_array(&volume, &array, "a skull", &error), &error, STATUS_FAILED, "a skull");
}

static enum status make(void *context, struct error *error)
{
    struct volume volume = {0};
    const enum status status = volume_from_array(&volume, context, "a skull", error);
    volume_done(&volume);
    return status;
}

static void test_memory(void)
{
    float in[N];
    struct voxel_array array = {.values = in, .type = DISK_F32, .dim = {NX, NY, NZ}};
    memcpy(array.affine, affines[0], sizeof array.affine);
    fill(&array);
    check_allocation_failures(make, &array, 4);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"like_a_file", test_like_a_file}, {"box", test_box}, {"refused", test_refused}, {"memory", test_memory}, {0}};
    return check_main(argc, argv, tests);
}
