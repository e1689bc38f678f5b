/* augment_cut.c - filling a patch: where does each voxel come from, and what is there.
 *
 * The way back is computed at nodes 8 voxels apart (2 where bone gets another thickness) and linear between them: exact
 * for what is linear, and for mirrorings to the last bit (the steps are eighths of whole numbers). Test:
 * tests/data/test_augment.c. */
#include "data/sample/augment.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { NODE_BITS = 3, NODE_BITS_WARPED = 1 };

/* Nodes over a patch, 2^bits voxels apart: n points along each axis, 3 coordinates each. */
struct nodes {
    int bits;
    int64_t n[3];
    float *at;
    float *row; /* nodes of the row at hand */
};

static void augment_cut_spline_weights(double w[4], double t)
{
    const double s = 1 - t;
    w[0] = s * s * s / 6;
    w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    w[2] = (3 * s * s * s - 6 * s * s + 4) / 6;
    w[3] = t * t * t / 6;
}

/* Adds the displacement at a point of the skull, in voxels. Beyond the lattice it goes on as at its border. */
static void augment_cut_elastic_add(const struct augment *augment, double at[3])
{
    double w[3][4], moved[3] = {0};
    int64_t first[3];

    for (int a = 0; a < 3; a++) {
        const double last = (double)(augment->n[a] - 3), q = (at[a] - augment->lattice_lo[a]) / augment->lattice_vox[a];
        const double inside = fmin(fmax(q, 0), last);
        first[a] = (int64_t)fmin(floor(inside), last - 1);
        augment_cut_spline_weights(w[a], inside - (double)first[a]);
    }

    for (int z = 0; z < 4; z++)
        for (int y = 0; y < 4; y++) {
            const float *point =
                augment->lattice + 3 * (((first[2] + z) * augment->n[1] + first[1] + y) * augment->n[0] + first[0]);
            const double yz = w[2][z] * w[1][y];
            for (int x = 0; x < 4; x++, point += 3)
                for (int a = 0; a < 3; a++)
                    moved[a] += yz * w[0][x] * (double)point[a];
        }
    for (int a = 0; a < 3; a++)
        at[a] += moved[a] / grid_spacing_mm(&augment->grid, a);
}

static void augment_cut_node_find(float out[3], const struct augment *augment, const double shown[3])
{
    double off[3], at[3];
    for (int a = 0; a < 3; a++)
        off[a] = (augment->flip[a] ? (double)(augment->grid.dim[a] - 1) - shown[a] : shown[a]) - augment->centre[a];
    for (int a = 0; a < 3; a++)
        at[a] = augment->centre[a] + augment->to_skull[a][0] * off[0] + augment->to_skull[a][1] * off[1] +
                augment->to_skull[a][2] * off[2];
    if (augment->lattice)
        augment_cut_elastic_add(augment, at);
    if (augment->warp)
        augment->warp->place(augment->warp, at);
    for (int a = 0; a < 3; a++)
        out[a] = (float)at[a];
}

static enum status augment_cut_nodes_make(struct nodes *nodes, const struct augment *augment,
                                          const struct augment_patch *patch, struct error *error)
{
    nodes->bits = augment->warp ? NODE_BITS_WARPED : NODE_BITS;
    const int64_t step = INT64_C(1) << nodes->bits;
    for (int a = 0; a < 3; a++)
        nodes->n[a] = ((patch->size[a] + step - 2) >> nodes->bits) + 1;
    const int64_t n = nodes->n[0] * nodes->n[1] * nodes->n[2];
    nodes->at = memory_alloc((size_t)(n + nodes->n[0]), 3 * sizeof *nodes->at);
    if (!nodes->at)
        return error_memory(error, (size_t)n * 3 * sizeof *nodes->at, "the way back of a patch");
    nodes->row = nodes->at + 3 * n;
    float *out = nodes->at;
    for (int64_t z = 0; z < nodes->n[2]; z++)
        for (int64_t y = 0; y < nodes->n[1]; y++)
            for (int64_t x = 0; x < nodes->n[0]; x++, out += 3) {
                const int64_t node[3] = {x, y, z};
                double shown[3];
                for (int a = 0; a < 3; a++)
                    shown[a] = patch->lo[a] + (double)(node[a] * step) * patch->step[a];
                augment_cut_node_find(out, augment, shown);
            }
    return STATUS_OK;
}

/* The node before `at` (in voxels of the patch) and the share of the one after it; a little beyond the ends is fine. */
static int64_t augment_cut_node_before(double at, int64_t n, int bits, float *ret_share)
{
    const double step = (double)(INT64_C(1) << bits);
    int64_t node = (int64_t)floor(at / step);
    node = node > n - 2 ? n - 2 : node;
    node = node < 0 ? 0 : node;
    *ret_share = (float)((at - (double)node * step) / step);
    return node;
}

/* The nodes of the row y, z (z need not be whole). */
static void augment_cut_nodes_row(struct nodes *nodes, int64_t y, double z)
{
    float ty, tz;
    const int64_t stride[2] = {3 * nodes->n[0], 3 * nodes->n[0] * nodes->n[1]};
    const int64_t ny = augment_cut_node_before((double)y, nodes->n[1], nodes->bits, &ty),
                  nz = augment_cut_node_before(z, nodes->n[2], nodes->bits, &tz);
    const int64_t up = nodes->n[1] > 1 ? stride[0] : 0, over = nodes->n[2] > 1 ? stride[1] : 0;
    const float *at = nodes->at + ny * stride[0] + nz * stride[1];
    for (int64_t i = 0; i < stride[0]; i++)
        nodes->row[i] =
            (1 - tz) * ((1 - ty) * at[i] + ty * at[i + up]) + tz * ((1 - ty) * at[i + over] + ty * at[i + up + over]);
}

/* ---- what is there ---- */

/* Shares of bone and of missing bone among the eight voxels around `at`. */
static void augment_cut_codes_mix(float share[2], const uint8_t corner[8], const float part[3])
{
    share[0] = share[1] = 0;
    for (int k = 0; k < 8; k++) {
        const float w =
            (k & 1 ? part[0] : 1 - part[0]) * (k & 2 ? part[1] : 1 - part[1]) * (k & 4 ? part[2] : 1 - part[2]);
        share[0] += corner[k] & CODE_BONE ? w : 0;
        share[1] += corner[k] & CODE_MISSING ? w : 0;
    }
}

/* Returns true where all eight are the same, which *ret_code is; else the shares. Outside the volume is air. */
static bool augment_cut_codes_at(uint8_t *ret_code, float share[2], const uint8_t *codes, const int64_t dim[3],
                                 const float at[3])
{
    int64_t lower[3];
    float part[3];
    bool inside = true;

    for (int a = 0; a < 3; a++) {
        if (!(at[a] > -1 && at[a] < (float)dim[a])) {
            *ret_code = 0;
            return true;
        }
        const float floor_at = floorf(at[a]);
        lower[a] = (int64_t)floor_at;
        part[a] = at[a] - floor_at;
        inside = inside && lower[a] >= 0 && lower[a] + 1 < dim[a];
    }

    const int64_t row = dim[0], slice = dim[0] * dim[1];
    uint8_t corner[8];

    /* The eight voxels around the point; beyond the volume there is air */
    if (inside) {
        const uint8_t *base = codes + lower[2] * slice + lower[1] * row + lower[0];
        memcpy(corner, base, 2);
        memcpy(corner + 2, base + row, 2);
        memcpy(corner + 4, base + slice, 2);
        memcpy(corner + 6, base + slice + row, 2);
    } else
        for (int k = 0; k < 8; k++) {
            const int64_t x = lower[0] + (k & 1), y = lower[1] + (k >> 1 & 1), z = lower[2] + (k >> 2);
            const bool there = x >= 0 && x < dim[0] && y >= 0 && y < dim[1] && z >= 0 && z < dim[2];
            corner[k] = there ? codes[z * slice + y * row + x] : 0;
        }

    /* Nine points of ten have eight equal neighbours: nothing to interpolate */
    uint64_t all;
    memcpy(&all, corner, sizeof all);
    *ret_code = corner[0];
    if (all == corner[0] * UINT64_C(0x0101010101010101))
        return true;
    augment_cut_codes_mix(share, corner, part);
    return false;
}

/* The augmented slice that stands for patch slice z, in patch slices; false: outside the field of view. */
static bool augment_cut_slice_shown(double *ret, const struct augment *augment, double lo, double step, int64_t z)
{
    double shown = lo + (double)z * step;
    if (augment->slice_vox > 0) /* the middle of its thick slice */
        shown = (floor((shown - augment->slice_phase) / augment->slice_vox) + 0.5) * augment->slice_vox +
                augment->slice_phase;
    *ret = augment->slice_vox > 0 ? (shown - lo) / step : (double)z;
    return shown >= augment->z_lo && shown < augment->z_hi;
}

/* Where voxel x of the row at hand comes from. */
static inline void augment_cut_row_at(float at[3], const struct nodes *nodes, int64_t x)
{
    const int64_t step = INT64_C(1) << nodes->bits;
    const float *node = nodes->row + 3 * (x >> nodes->bits);
    const float t = (float)(x & (step - 1)) / (float)step;
    for (int a = 0; a < 3; a++)
        at[a] = t > 0 ? (1 - t) * node[a] + t * node[3 + a] : node[a];
}

/* One row, hard (out) or soft (skull, implant). */
static void augment_cut_row_fill(uint8_t *out, float *skull, float *implant, const struct nodes *nodes,
                                 const uint8_t *codes, const int64_t dim[3], int64_t w)
{
    for (int64_t x = 0; x < w; x++) {
        float at[3], share[2];
        uint8_t code;
        augment_cut_row_at(at, nodes, x);
        const bool uniform = augment_cut_codes_at(&code, share, codes, dim, at);
        if (out)
            out[x] = uniform           ? code
                     : share[0] > 0.5F ? (uint8_t)(CODE_BONE | (share[1] > 0.5F * share[0] ? CODE_MISSING : 0))
                                       : 0;
        else {
            skull[x] = uniform ? (float)(code & CODE_BONE) : share[0];
            implant[x] = uniform ? (float)((code & CODE_MISSING) != 0) : share[1];
        }
    }
}

/* Into cleared memory. */
static enum status augment_cut_any(uint8_t *out, float *skull, float *implant, const struct augment *augment,
                                   const uint8_t *codes, const struct augment_patch *patch, struct error *error)
{
    struct nodes nodes;
    const int64_t *size = patch->size;
    if (augment_cut_nodes_make(&nodes, augment, patch, error))
        return error->status;
    for (int64_t z = 0; z < size[2]; z++) {
        double from;
        if (!augment_cut_slice_shown(&from, augment, patch->lo[2], patch->step[2], z))
            continue;
        for (int64_t y = 0; y < size[1]; y++) {
            const int64_t row = (z * size[1] + y) * size[0];
            augment_cut_nodes_row(&nodes, y, from);
            augment_cut_row_fill(out ? out + row : NULL, out ? NULL : skull + row, out ? NULL : implant + row, &nodes,
                                 codes, augment->grid.dim, size[0]);
        }
    }
    memory_free(nodes.at);
    return STATUS_OK;
}

enum status augment_cut(uint8_t *out, const struct augment *augment, const uint8_t *codes,
                        const struct augment_patch *patch, struct error *error)
{
    memset(out, 0, (size_t)(patch->size[0] * patch->size[1] * patch->size[2]));
    return augment_cut_any(out, NULL, NULL, augment, codes, patch, error);
}

/* The mean of fine (samples x samples x samples for each value of one slice) into out. */
static void augment_cut_slice_average(float *out, const float *fine, const int64_t size[3], int64_t samples)
{
    const int64_t row = size[0] * samples, slice = row * size[1] * samples;
    const float share = 1.0F / (float)(samples * samples * samples);
    for (int64_t z = 0; z < samples; z++)
        for (int64_t y = 0; y < size[1] * samples; y++) {
            const float *from = fine + z * slice + y * row;
            float *to = out + y / samples * size[0];
            for (int64_t x = 0; x < size[0]; x++)
                for (int64_t k = 0; k < samples; k++)
                    to[x] += share * *from++;
        }
}

/* Slice by slice at `samples` times the resolution. */
static enum status augment_cut_sampled(float *skull, float *implant, const struct augment *augment,
                                       const uint8_t *codes, const struct augment_patch *patch, struct error *error)
{
    const int64_t k = patch->samples, slice = patch->size[0] * patch->size[1];
    const size_t fine_n = (size_t)(slice * k * k * k);
    struct augment_patch fine = {.size = {patch->size[0] * k, patch->size[1] * k, k}};
    float *both = memory_alloc(fine_n, 2 * sizeof *both);
    enum status status = both ? STATUS_OK : error_memory(error, fine_n * 2 * sizeof *both, "a patch's finer samples");
    for (int64_t z = 0; !status && z < patch->size[2]; z++) {
        const double first[3] = {patch->lo[0], patch->lo[1], patch->lo[2] + (double)z * patch->step[2]};
        for (int a = 0; a < 3; a++) {
            fine.step[a] = patch->step[a] / (double)k;
            fine.lo[a] = first[a] - 0.5 * patch->step[a] + 0.5 * fine.step[a];
        }
        memset(both, 0, fine_n * 2 * sizeof *both);
        status = augment_cut_any(NULL, both, both + fine_n, augment, codes, &fine, error);
        if (!status) {
            augment_cut_slice_average(skull + z * slice, both, patch->size, k);
            augment_cut_slice_average(implant + z * slice, both + fine_n, patch->size, k);
        }
    }
    memory_free(both);
    return status;
}

enum status augment_cut_fraction(float *skull, float *implant, const struct augment *augment, const uint8_t *codes,
                                 const struct augment_patch *patch, struct error *error)
{
    const size_t n = (size_t)(patch->size[0] * patch->size[1] * patch->size[2]);
    memset(skull, 0, n * sizeof *skull);
    memset(implant, 0, n * sizeof *implant);
    return patch->samples > 1 ? augment_cut_sampled(skull, implant, augment, codes, patch, error)
                              : augment_cut_any(NULL, skull, implant, augment, codes, patch, error);
}

/* ---- a field beside the skull ---- */

/* Channel c at a point of the skull. */
static float augment_cut_field_at(const struct prior_field *field, int64_t c, const float at[3])
{
    const int64_t size[3] = {box_size(field->box, 0), box_size(field->box, 1), box_size(field->box, 2)};
    const float *value = field->value + c * size[0] * size[1] * size[2];
    int64_t lower[3];
    float part[3], sum = 0;
    for (int a = 0; a < 3; a++) {
        const float in_box = at[a] - (float)field->box.lo[a], floor_at = floorf(in_box);
        if (!(in_box > -1 && in_box < (float)size[a]))
            return 0;
        lower[a] = (int64_t)floor_at;
        part[a] = in_box - floor_at;
    }

    for (int k = 0; k < 8; k++) {
        const int64_t x = lower[0] + (k & 1), y = lower[1] + (k >> 1 & 1), z = lower[2] + (k >> 2);
        const float w =
            (k & 1 ? part[0] : 1 - part[0]) * (k & 2 ? part[1] : 1 - part[1]) * (k & 4 ? part[2] : 1 - part[2]);
        if (x >= 0 && x < size[0] && y >= 0 && y < size[1] && z >= 0 && z < size[2])
            sum += w * value[(z * size[1] + y) * size[0] + x];
    }
    return sum;
}

enum status augment_cut_field(float *out, const struct augment *augment, const struct prior_field *field,
                              const struct augment_patch *patch, struct error *error)
{
    const int64_t *size = patch->size, n = size[0] * size[1] * size[2];
    struct nodes nodes;
    memset(out, 0, (size_t)(n * field->channels) * sizeof *out);
    if (box_empty(field->box))
        return STATUS_OK;
    if (augment_cut_nodes_make(&nodes, augment, patch, error))
        return error->status;

    for (int64_t z = 0; z < size[2]; z++) {
        double from;
        if (!augment_cut_slice_shown(&from, augment, patch->lo[2], patch->step[2], z))
            continue;
        for (int64_t y = 0; y < size[1]; y++) {
            augment_cut_nodes_row(&nodes, y, from);
            for (int64_t x = 0; x < size[0]; x++) {
                float at[3];
                augment_cut_row_at(at, &nodes, x);
                for (int64_t c = 0; c < field->channels; c++)
                    out[c * n + (z * size[1] + y) * size[0] + x] = augment_cut_field_at(field, c, at);
            }
        }
    }
    memory_free(nodes.at);
    return STATUS_OK;
}
