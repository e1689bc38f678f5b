/* mask_file.c - masks from files: what the values are, and which of them is bone. See formats.h.
 * Test: tests/data/test_volume.c. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "data/volume/formats.h"
#include "data/volume/voxel_file.h"

#define OFFSET(member) offsetof(struct mask_choice, member)
/* clang-format off */
static const struct config_field mask_fields[] = {
    {.key = "label", .type = CONFIG_STRING, .offset = OFFSET(label),
     .help = "input with several labels: the one that is bone, a number, or a segment's name of a .seg.nrrd"},
    {.key = "threshold", .type = CONFIG_DOUBLE, .offset = OFFSET(threshold), .text = "0", .min = -1e9, .max = 1e9,
     .help = "input with values between background and bone: bone from this value up; 0: not given"},
    {0},
};
/* clang-format on */
const struct config_table mask_table = {
    .help = "which values of a mask are bone", .size = sizeof(struct mask_choice), .fields = mask_fields};

/* ---- the values ---- */

enum { VALUES_MAX = 64, LISTED_MAX = 10 };

/* The different values, by rising value; n VALUES_MAX + 1: more than are listed. */
struct values {
    int n;
    double of[VALUES_MAX + 1];
    int64_t count[VALUES_MAX + 1];
    int64_t n_voxels, n_nan;
    double lowest, highest;
    bool fractions;
};

static double mask_file_value(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((const uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((const int16_t *)volume->data)[i]
                                       : (double)((const float *)volume->data)[i];
}

static void mask_file_values_of_bytes(struct values *values, const uint8_t *bytes)
{
    int64_t count[256] = {0};
#pragma omp parallel for schedule(static) reduction(+ : count)
    for (int64_t i = 0; i < values->n_voxels; i++)
        count[bytes[i]]++;

    for (int v = 0; v < 256; v++) {
        if (count[v] == 0)
            continue;
        if (values->n <= VALUES_MAX) {
            values->of[values->n] = v;
            values->count[values->n++] = count[v];
        }
        values->highest = v;
        values->lowest = v < values->lowest ? v : values->lowest;
    }
}

static void mask_file_add_value(struct values *values, double value)
{
    int at = 0;
    while (at < values->n && values->of[at] < value)
        at++;
    if (at < values->n && values->of[at] == value) {
        values->count[at]++;
        return;
    }
    if (values->n > VALUES_MAX)
        return;
    memmove(values->of + at + 1, values->of + at, (size_t)(values->n - at) * sizeof *values->of);
    memmove(values->count + at + 1, values->count + at, (size_t)(values->n - at) * sizeof *values->count);
    values->of[at] = value;
    values->count[at] = 1;
    values->n++;
}

static void mask_file_find_values(struct values *values, const struct volume *volume)
{
    *values = (struct values){.n_voxels = grid_voxels(&volume->grid), .lowest = INFINITY, .highest = -INFINITY};
    if (volume->type == VOXEL_U8) {
        mask_file_values_of_bytes(values, volume->data);
        return;
    }

    for (int64_t i = 0; i < values->n_voxels; i++) {
        const double value = mask_file_value(volume, i);
        if (isnan(value)) {
            values->n_nan++;
            continue;
        }
        values->lowest = value < values->lowest ? value : values->lowest;
        values->highest = value > values->highest ? value : values->highest;
        values->fractions |= value != floor(value);
        mask_file_add_value(values, value);
    }
}

/* "0, 1 (812 ml), 2 (31 ml)" */
static void mask_file_list(char *text, size_t size, const struct values *values, const struct grid *grid)
{
    size_t length = 0;
    text[0] = '\0';
    for (int v = 0; v < values->n; v++) {
        if (v == LISTED_MAX) {
            snprintf(text + length, size - length, " ...");
            break;
        }
        length += (size_t)snprintf(text + length, size - length, values->of[v] == 0 ? "%s%g" : "%s%g (%.1f ml)",
                                   v ? ", " : "", values->of[v], (double)values->count[v] * grid_voxel_ml(grid));
    }
}

/* ---- the mask ---- */

/* In place of the values: 1 where a voxel is bone. exact: equal to `value`; else from it up. */
static enum status mask_file_set(struct volume *volume, double value, bool exact, const char *path, struct error *error)
{
    const int64_t n = grid_voxels(&volume->grid);
    uint8_t *mask = volume->type == VOXEL_U8 ? volume->data : memory_alloc((size_t)n, 1);
    if (!mask)
        return error_memory(error, (size_t)n, path);

    if (volume->type == VOXEL_U8 && exact) {
        const uint8_t on = (uint8_t)value;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++)
            mask[i] = mask[i] == on;
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            const double v = mask_file_value(volume, i);
            mask[i] = exact ? v == value : v >= value; /* NaN: 0 */
        }
    }

    if (mask != volume->data) {
        memory_free(volume->data);
        volume->data = mask;
        volume->type = VOXEL_U8;
    }
    return STATUS_OK;
}

/* More of the volume is `value` than not, and all its corners are. */
static bool mask_file_is_background(const struct volume *volume, const struct values *values, int v)
{
    const int64_t *dim = volume->grid.dim;
    if (2 * values->count[v] < values->n_voxels)
        return false;
    for (int k = 0; k < 8; k++) {
        const int64_t x = k & 1 ? dim[0] - 1 : 0, y = k & 2 ? dim[1] - 1 : 0, z = k & 4 ? dim[2] - 1 : 0;
        if (mask_file_value(volume, (z * dim[1] + y) * dim[0] + x) != values->of[v])
            return false;
    }
    return true;
}

/* More than two values. */
static enum status mask_file_refuse_many(const struct volume *volume, const struct values *values, const char *path,
                                         struct error *error)
{
    char list[600];
    mask_file_list(list, sizeof list, values, &volume->grid);
    if (values->lowest < -200 && values->highest > 200 && values->n > VALUES_MAX)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: values from %g to %g, as a CT has them ('calvaria segment' turns a CT "
                         "into a mask)",
                         path, values->lowest, values->highest);
    if (values->fractions)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: values between %g and %g, as an interpolated mask or a probability map "
                         "has them (--threshold %g takes what is above as bone)",
                         path, values->lowest, values->highest, 0.5 * (values->lowest + values->highest));
    if (values->n > VALUES_MAX)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: more than %d values from %g to %g: neither a mask nor a map of labels "
                         "(--threshold N takes what is above as bone)",
                         path, VALUES_MAX, values->lowest, values->highest);
    return error_set(error, STATUS_FAILED, "%s: non-binary skull: %d labels: %s (--label N takes one as bone)", path,
                     values->n, list);
}

/* Exactly two values, or one and NaN. *ret: the one that is bone. */
static enum status mask_file_choose(double *ret, struct volume *volume, const struct values *values, const char *path,
                                    struct error *error)
{
    const double a = values->of[0], b = values->of[1];
    if (values->n == 1) { /* NaN for background */
        *ret = a;
        volume->storage.doubts |= 1U << DOUBT_NAN;
        return STATUS_OK;
    }
    if (a != 0 && b != 0)
        return error_set(
            error, STATUS_FAILED,
            "%s: non-binary skull: two values, %g and %g, and neither is 0 (--label %g or --label %g takes "
            "one as bone)",
            path, a, b, a, b);

    /* Which of the two is background? 0, unless 0 is rare and the other value fills the volume and its corners */
    const int zero = b == 0, other = !zero;
    if (mask_file_is_background(volume, values, other))
        return error_set(
            error, STATUS_FAILED,
            "%s: an inverted mask: %g, in %.0f %% of the voxels and all corners, is the background (--label "
            "0 takes 0 as bone)",
            path, values->of[other], 100 * (double)values->count[other] / (double)values->n_voxels);
    if (values->of[other] < 0 && values->count[zero] < values->count[other])
        return error_set(error, STATUS_FAILED,
                         "%s: two values, %g and 0: which of them is bone is not clear (--label %g or --label 0 takes "
                         "one)",
                         path, values->of[other], values->of[other]);
    *ret = values->of[other];
    return STATUS_OK;
}

/* No choice was given. */
static enum status mask_file_convert(struct volume *volume, const char *path, struct error *error)
{
    struct values values;
    double bone = 0;
    mask_file_find_values(&values, volume);
    if (values.n == 0 || (values.n == 1 && values.of[0] == 0))
        return error_set(error, STATUS_FAILED, "%s: empty skull: all %" PRId64 " voxels are %s", path, values.n_voxels,
                         values.n == 0  ? "NaN"
                         : values.n_nan ? "0 or NaN"
                                        : "0");
    if (values.n == 1 && values.n_nan == 0)
        return error_set(error, STATUS_FAILED, "%s: all %" PRId64 " voxels are %g: a mask has a background", path,
                         values.n_voxels, values.of[0]);
    if (values.n == 2 && values.n_nan > 0)
        return error_set(error, STATUS_FAILED,
                         "%s: non-binary skull: %" PRId64 " of %" PRId64
                         " voxels are NaN, the others %g and %g (--label N takes one as bone)",
                         path, values.n_nan, values.n_voxels, values.of[0], values.of[1]);
    if (values.n > 2)
        return mask_file_refuse_many(volume, &values, path, error);
    if (mask_file_choose(&bone, volume, &values, path, error))
        return STATUS_FAILED;
    return mask_file_set(volume, bone, true, path, error);
}

/* ---- a choice: --label, --threshold ---- */

static int64_t mask_file_count(const uint8_t *mask, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += mask[i];
    return count;
}

/* The labelled value, or an error that lists what there is. */
enum status mask_of_label(struct volume *volume, double label, const char *given, const char *path, struct error *error)
{
    struct values values;
    mask_file_find_values(&values, volume);
    for (int v = 0; v < values.n && v < VALUES_MAX; v++)
        if (values.of[v] == label)
            return mask_file_set(volume, label, true, path, error);
    char list[600];
    mask_file_list(list, sizeof list, &values, &volume->grid);
    return error_set(error, STATUS_FAILED, "%s: --label %s: no voxel has it (there are %s)", path, given, list);
}

static enum status mask_file_by_threshold(struct volume *volume, double threshold, const char *path,
                                          struct error *error)
{
    if (mask_file_set(volume, threshold, false, path, error))
        return STATUS_FAILED;
    const int64_t n = grid_voxels(&volume->grid), n_on = mask_file_count(volume->data, n);
    if (n_on == 0 || n_on == n)
        return error_set(error, STATUS_FAILED, "%s: --threshold %g: %s voxel is above it", path, threshold,
                         n_on ? "every" : "no");
    return STATUS_OK;
}

static enum status mask_file_label_value(double *ret, const char *label, const char *path, struct error *error)
{
    char *end;
    *ret = strtod(label, &end);
    if (end == label || *end)
        return error_set(error, STATUS_USAGE, "%s: --label %s: not a number, and the file names no segments", path,
                         label);
    return STATUS_OK;
}

enum status volume_to_mask(struct volume *volume, const char *path, const struct mask_choice *choice,
                           struct error *error)
{
    double value;
    if (choice && choice->label)
        return mask_file_label_value(&value, choice->label, path, error)
                   ? error->status
                   : mask_of_label(volume, value, choice->label, path, error);
    return choice && choice->threshold != 0 ? mask_file_by_threshold(volume, choice->threshold, path, error)
                                            : mask_file_convert(volume, path, error);
}
