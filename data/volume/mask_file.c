/* mask_file.c - masks from files. See formats.h. Test: tests/data/test_volume.c. */
#include <inttypes.h>

#include "base/memory.h"
#include "data/volume/formats.h"

static double mask_file_value(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((const uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((const int16_t *)volume->data)[i]
                                       : (double)((const float *)volume->data)[i];
}

static uint8_t mask_file_highest_byte(const uint8_t *bytes, int64_t n)
{
    uint8_t highest = 0;
#pragma omp parallel for schedule(static) reduction(max : highest)
    for (int64_t i = 0; i < n; i++)
        highest = bytes[i] > highest ? bytes[i] : highest;
    return highest;
}

/* In place: 1 where `on`, else 0; counts what is neither `on` nor 0. */
static int64_t mask_file_bytes_to_mask(uint8_t *bytes, int64_t n, uint8_t on)
{
    enum { BLOCK = 4096 };
    int64_t n_other = 0;
#pragma omp parallel for schedule(static) reduction(+ : n_other)
    for (int64_t block = 0; block < n; block += BLOCK) {
        int64_t end = block + BLOCK < n ? block + BLOCK : n;
        uint32_t other = 0;
        for (int64_t i = block; i < end; i++) {
            other += bytes[i] != on && bytes[i] != 0;
            bytes[i] = bytes[i] == on;
        }
        n_other += other;
    }
    return n_other;
}

/* The one value other than 0 of a mask: its largest, or its smallest where none is above 0. Counts NaN. */
static double mask_file_value_of(const struct volume *volume, int64_t *ret_nan)
{
    int64_t n = grid_voxels(&volume->grid), n_nan = 0;
    double lowest = 0, highest = 0;
    *ret_nan = 0;
    if (volume->type == VOXEL_U8)
        return mask_file_highest_byte(volume->data, n);
#pragma omp parallel for schedule(static) reduction(min : lowest) reduction(max : highest) reduction(+ : n_nan)
    for (int64_t i = 0; i < n; i++) {
        double value = mask_file_value(volume, i);
        lowest = value < lowest ? value : lowest;
        highest = value > highest ? value : highest;
        n_nan += value != value;
    }
    *ret_nan = n_nan;
    return highest > 0 ? highest : lowest;
}

/* 1 where the value is `on`, else 0; counts what is neither `on` nor 0. */
static int64_t mask_file_values_to_mask(uint8_t *mask, const struct volume *volume, double on)
{
    int64_t n = grid_voxels(&volume->grid), n_other = 0;
#pragma omp parallel for schedule(static) reduction(+ : n_other)
    for (int64_t i = 0; i < n; i++) {
        double value = mask_file_value(volume, i);
        n_other += value != on && !(value == 0);
        mask[i] = value == on;
    }
    return n_other;
}

static enum status mask_file_convert(struct volume *volume, const char *path, struct error *error)
{
    int64_t n = grid_voxels(&volume->grid), n_nan;
    double on = mask_file_value_of(volume, &n_nan);
    if (on == 0 && n_nan == 0)
        return error_set(error, STATUS_FAILED, "%s: empty skull: all %" PRId64 " voxels are 0", path, n);
    uint8_t *mask = volume->type == VOXEL_U8 ? volume->data : memory_alloc((size_t)n, 1);
    if (!mask)
        return error_memory(error, (size_t)n, path);
    int64_t n_other = on == 0                    ? n_nan
                      : volume->type == VOXEL_U8 ? mask_file_bytes_to_mask(mask, n, (uint8_t)on)
                                                 : mask_file_values_to_mask(mask, volume, on);
    if (mask != volume->data) {
        memory_free(volume->data);
        volume->data = mask;
        volume->type = VOXEL_U8;
    }

    if (n_other > 0)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: %" PRId64 " of %" PRId64
                         " voxels are neither 0 nor %g ('calvaria segment' turns a CT into a mask)",
                         path, n_other, n, on);
    return STATUS_OK;
}

enum status volume_read_mask(struct volume *ret, const char *path, struct error *error)
{
    struct volume volume = {0};
    if (volume_read(&volume, path, error))
        return STATUS_FAILED;
    if (mask_file_convert(&volume, path, error)) {
        volume_done(&volume);
        return STATUS_FAILED;
    }
    *ret = volume;
    return STATUS_OK;
}
