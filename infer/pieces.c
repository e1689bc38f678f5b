/* pieces.c - see pieces.h. Test: tests/infer/test_postprocess.c */
#include "infer/pieces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/mask/distance.h"
#include "data/mask/morphology.h"

const char *const pieces_rule_names[] = {"by_size", "by_rule", NULL};
const double PIECE_LEAST_ML = 0.5, PIECE_LEAST_FRAC = 0.05, PIECE_REACH_MM = 2.5, PIECE_RIM_FRAC = 0.05,
             PIECE_OVER_FRAC = 0.5;
static const double OVER_REACH_MM = 15;

enum { CONNECTIVITY = 6, PIECES_RANKED = 64 /* judged at most */ };

/* One piece: its voxels, those of its surface near bone, and those with bone over them. */
struct piece {
    int64_t voxels, surface, near, over;
    bool keep;
};

void bone_centre(const struct volume *bone, double ret[3])
{
    enum { STRIDE = 4 };
    const int64_t *dim = bone->grid.dim;
    double count = 0;
    memset(ret, 0, 3 * sizeof *ret);

    for (int64_t z = 0; z < dim[2]; z += STRIDE)
        for (int64_t y = 0; y < dim[1]; y += STRIDE)
            for (int64_t x = 0; x < dim[0]; x += STRIDE)
                if (((const uint8_t *)bone->data)[(z * dim[1] + y) * dim[0] + x]) {
                    ret[0] += (double)x;
                    ret[1] += (double)y;
                    ret[2] += (double)z;
                    count++;
                }

    for (int a = 0; a < 3; a++)
        ret[a] = count > 0 ? ret[a] / count : 0.5 * (double)dim[a];
}

bool bone_lies_on_ray(const struct volume *bone, const double centre[3], const int64_t at[3], double reach_mm)
{
    const int64_t *dim = bone->grid.dim;
    double spacing[3], way[3], length = 0, finest = INFINITY;
    for (int a = 0; a < 3; a++) {
        spacing[a] = grid_spacing_mm(&bone->grid, a);
        finest = fmin(finest, spacing[a]);
        way[a] = (double)at[a] - centre[a];
        length += way[a] * way[a] * spacing[a] * spacing[a];
    }
    length = sqrt(length);
    if (length <= reach_mm)
        return false;

    /* Along the ray, in steps of the finest voxel side. */
    for (double step = -reach_mm; step <= reach_mm; step += finest) {
        int64_t v[3];
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            double place = (double)at[a] + way[a] * step / length + 0.5;
            inside &= place >= 0 && place < (double)dim[a];
            v[a] = inside ? (int64_t)place : 0;
        }
        if (inside && ((const uint8_t *)bone->data)[(v[2] * dim[1] + v[1]) * dim[0] + v[0]])
            return true;
    }
    return false;
}

/* Does voxel x, y, z of the crop have a face to the outside of the mask? */
static bool pieces_on_surface(const struct crop *crop, int64_t x, int64_t y, int64_t z)
{
    const int64_t *dim = crop->dim, at[3] = {x, y, z}, step[3] = {1, dim[0], dim[0] * dim[1]};
    const uint8_t *voxel = crop->mask + (z * dim[1] + y) * dim[0] + x;
    for (int a = 0; a < 3; a++)
        if (at[a] == 0 || at[a] + 1 == dim[a] || !voxel[-step[a]] || !voxel[step[a]])
            return true;
    return false;
}

/* rank: of each voxel's piece, 1 the largest. near: within reach of bone. Every third voxel of a piece is enough to see
 * whether bone lies over it. */
static void pieces_measure(struct piece *pieces, int64_t n, const struct crop *crop, const uint8_t *rank,
                           const uint8_t *near, const struct volume *defective)
{
    enum { STRIDE = 3 };
    double centre[3];
    bone_centre(defective, centre);

    for (int64_t z = 0, i = 0; z < crop->dim[2]; z++)
        for (int64_t y = 0; y < crop->dim[1]; y++)
            for (int64_t x = 0; x < crop->dim[0]; x++, i++) {
                struct piece *piece = rank[i] && rank[i] <= n ? &pieces[rank[i] - 1] : NULL;
                if (!piece || piece->keep)
                    continue;
                if (pieces_on_surface(crop, x, y, z)) {
                    piece->surface++;
                    piece->near += near[i];
                }
                const int64_t at[3] = {crop->box.lo[0] + x, crop->box.lo[1] + y, crop->box.lo[2] + z};
                if (i % STRIDE == 0)
                    piece->over += STRIDE * bone_lies_on_ray(defective, centre, at, OVER_REACH_MM);
            }
}

/* The n largest pieces, ranked voxel by voxel: a voxel that the j largest pieces do not hold is of a later one. A byte
 * for each voxel does, where labels of all pieces would take four. */
static enum status pieces_rank(uint8_t *rank, uint8_t *work, const struct crop *crop, int64_t n, struct error *error)
{
    const int64_t voxels = crop_voxels(crop);
    for (int64_t i = 0; i < voxels; i++)
        rank[i] = crop->mask[i] != 0;
    for (int64_t j = 1; j <= n; j++) {
        memcpy(work, crop->mask, (size_t)voxels);
        if (mask_keep_largest(work, crop->dim, j, CONNECTIVITY, error))
            return error->status;
        for (int64_t i = 0; i < voxels; i++)
            rank[i] = (uint8_t)(rank[i] + (crop->mask[i] && !work[i]));
    }
    return STATUS_OK;
}

/* Of the n largest pieces, of which some stay already, those that close a hole stay too; the others go. */
static enum status pieces_judge(struct piece *pieces, int64_t n, struct crop *crop, const struct volume *defective,
                                struct error *error)
{
    const double spacing[3] = {grid_spacing_mm(&defective->grid, 0), grid_spacing_mm(&defective->grid, 1),
                               grid_spacing_mm(&defective->grid, 2)};
    const int64_t voxels = crop_voxels(crop);
    struct crop bone = {0};
    uint8_t *rank = memory_alloc((size_t)voxels, 2), *near = rank ? rank + voxels : NULL;
    enum status status = rank ? pieces_rank(rank, near, crop, n, error)
                              : error_memory(error, 2 * (size_t)voxels, "the implant's pieces");

    if (!status)
        status = crop_take(&bone, defective, crop->box, error);
    if (!status)
        status = distance_within(near, bone.mask, crop->dim, spacing, PIECE_REACH_MM, error);
    if (!status)
        pieces_measure(pieces, n, crop, rank, near, defective);

    for (int64_t i = 0; !status && i < n; i++)
        pieces[i].keep |= (double)pieces[i].near >= PIECE_RIM_FRAC * (double)pieces[i].surface &&
                          (double)pieces[i].over <= PIECE_OVER_FRAC * (double)pieces[i].voxels;
    for (int64_t i = 0; !status && i < voxels; i++)
        crop->mask[i] = rank[i] && rank[i] <= n && pieces[rank[i] - 1].keep;

    crop_done(&bone);
    memory_free(rank);
    return status;
}

static void pieces_record(struct pieces_removed *removed, int64_t voxels, double voxel_ml)
{
    const double ml = (double)voxels * voxel_ml;
    removed->n++;
    removed->volume_ml += ml;
    removed->largest_ml = fmax(removed->largest_ml, ml);
    removed->n_large += ml >= PIECE_LEAST_ML;
}

static int pieces_compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Sizes of all pieces, the largest first (memory_free). */
static enum status pieces_sizes(int64_t **ret, int64_t *ret_n, const struct crop *crop, struct error *error)
{
    if (mask_components(NULL, ret, ret_n, crop->mask, crop->dim, CONNECTIVITY, error))
        return error->status;
    if (*ret_n)
        qsort(*ret, (size_t)*ret_n, sizeof **ret, pieces_compare);
    return STATUS_OK;
}

enum status pieces_keep(struct crop *crop, const struct volume *defective, int64_t keep_largest, enum pieces_rule rule,
                        struct pieces_removed *removed, struct error *error)
{
    const double voxel_ml = grid_voxel_ml(&defective->grid);
    struct piece pieces[PIECES_RANKED] = {{0}};
    int64_t *sizes = NULL, n = 0, n_ranked;
    if (pieces_sizes(&sizes, &n, crop, error))
        return error->status;

    /* The largest stay; those after them are candidates as long as they are large enough. */
    for (n_ranked = 0; n_ranked < n && n_ranked < PIECES_RANKED; n_ranked++) {
        const int64_t voxels = sizes[n_ranked];
        const bool large =
            (double)voxels * voxel_ml >= PIECE_LEAST_ML && (double)voxels >= PIECE_LEAST_FRAC * (double)sizes[0];
        if (n_ranked >= keep_largest && (rule == PIECES_BY_RULE || !large))
            break;
        pieces[n_ranked] = (struct piece){.voxels = voxels, .keep = n_ranked < keep_largest};
    }

    /* Most implants have one piece and dust: nothing to judge. */
    const bool judge = n_ranked > keep_largest;
    enum status status = judge ? pieces_judge(pieces, n_ranked, crop, defective, error)
                               : mask_keep_largest(crop->mask, crop->dim, keep_largest, CONNECTIVITY, error);
    for (int64_t i = 0; !status && removed && i < n; i++)
        if (judge ? i >= n_ranked || !pieces[i].keep : i >= keep_largest)
            pieces_record(removed, sizes[i], voxel_ml);
    memory_free(sizes);
    return status;
}

enum status pieces_remove_small(struct crop *crop, const struct volume *defective, int64_t min_voxels,
                                struct pieces_removed *removed, struct error *error)
{
    int64_t *sizes = NULL, n = 0;
    enum status status = pieces_sizes(&sizes, &n, crop, error);
    if (!status)
        status = mask_remove_small(crop->mask, crop->dim, min_voxels, CONNECTIVITY, error);
    for (int64_t i = 0; !status && removed && i < n; i++)
        if (sizes[i] < min_voxels)
            pieces_record(removed, sizes[i], grid_voxel_ml(&defective->grid));
    memory_free(sizes);
    return status;
}
