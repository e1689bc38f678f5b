/* pose_search.c - the pose of a head in a volume: see pose_search.h. Test: tests/shape/test_pose.c
 *
 * On a coarse mask (2 mm, the largest body of bone): directions spread over the sphere as the vertex, turned about it
 * in steps, each fitted for a few iterations; the best few are fitted again from their own centre; the best of these is
 * fitted to the surface of the mask as it is. */
#include "shape/pose_search.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/mask/morphology.h"
#include "shape/field.h"

#define SEARCH_PI 3.14159265358979323846
#define SEARCH_CELL_MM 2.0
#define SEARCH_HEAD_MM 100.0 /* what counts below the top */

enum { SEARCH_DISC_N = 27, SEARCH_KEPT = 6 };

/* --- the coarse mask --- */

/* Cells of about 2 mm: bone where any of their voxels is. */
static enum status search_coarsen(struct volume *ret, const struct volume *skull, struct error *error)
{
    const uint8_t *mask = skull->data;
    const int64_t *dim = skull->grid.dim;
    struct grid grid = skull->grid;
    int64_t step[3];
    for (int a = 0; a < 3; a++) {
        step[a] = (int64_t)fmax(1, floor(SEARCH_CELL_MM / grid_spacing_mm(&skull->grid, a) + 0.5));
        grid.dim[a] = (dim[a] + step[a] - 1) / step[a];
    }
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < 3; i++) {
            grid.axis[a][i] *= (double)step[a];
            grid.origin[i] += skull->grid.axis[a][i] * (double)(step[a] - 1) / 2;
        }
    if (volume_new(ret, &grid, VOXEL_U8, error))
        return STATUS_FAILED;

    uint8_t *cells = ret->data;
#pragma omp parallel for schedule(static)
    for (int64_t cz = 0; cz < grid.dim[2]; cz++)
        for (int64_t z = cz * step[2]; z < (cz + 1) * step[2] && z < dim[2]; z++)
            for (int64_t y = 0; y < dim[1]; y++) {
                const uint8_t *row = mask + (z * dim[1] + y) * dim[0];
                uint8_t *out = cells + (cz * grid.dim[1] + y / step[1]) * grid.dim[0];
                for (int64_t cx = 0; cx < grid.dim[0]; cx++)
                    for (int64_t x = cx * step[0]; x < (cx + 1) * step[0] && x < dim[0]; x++)
                        out[cx] |= row[x] != 0;
            }
    return STATUS_OK;
}

/* World positions of bone, at most about `most` of them, spread evenly. */
static enum status search_points(struct cloud *ret, const struct volume *mask, int64_t most, struct error *error)
{
    const uint8_t *data = mask->data;
    const int64_t *dim = mask->grid.dim, voxels = grid_voxels(&mask->grid), bone = mask_count(data, voxels);
    const int64_t every = bone / most + 1;
    if (cloud_new(ret, (bone + every - 1) / every, error))
        return STATUS_FAILED;
    int64_t seen = 0;
    for (int64_t i = 0; i < voxels; i++)
        if (data[i] && seen++ % every == 0) {
            const int64_t x = i % dim[0], y = i / dim[0] % dim[1], z = i / dim[0] / dim[1];
            const double index[3] = {(double)x, (double)y, (double)z};
            grid_to_world(&mask->grid, index, ret->point[(seen - 1) / every]);
        }
    return STATUS_OK;
}

/* --- where the centre is, the vertex once given --- */

enum { SEARCH_BINS = 2048 };

/* Value below which a share of the counts lies; bins of `width` from `low` on. */
static double search_percentile(const int64_t *bins, int64_t total, double share, double low, double width)
{
    const double wanted = share * (double)total;
    int64_t below = 0;
    for (int64_t i = 0; i < SEARCH_BINS; i++) {
        if (bins[i] && (double)(below + bins[i]) >= wanted)
            return low + width * ((double)i + (wanted - (double)below) / (double)bins[i]);
        below += bins[i];
    }
    return low + width * SEARCH_BINS;
}

/* The 85 mm below the top, in the middle of what is within 100 mm of the top. pose->rotation is given. */
static void search_centre(struct pose *pose, const struct cloud *bone)
{
    const double width = 0.5;
    double low[3] = {INFINITY, INFINITY, INFINITY}, middle[3] = {0}, top = 0;
    int64_t bins[SEARCH_BINS], total;
    for (int pass = 0; pass < 4; pass++) { /* the least of each axis; z's top; x's and y's middle below it */
        const int axis = pass == 1 ? 2 : pass == 2 ? 0 : 1;
        memset(bins, 0, sizeof bins);
        total = 0;
        for (int64_t k = 0; k < bone->n; k++) {
            double q[3];
            for (int i = 0; i < 3; i++)
                q[i] = pose->rotation[i][0] * bone->point[k][0] + pose->rotation[i][1] * bone->point[k][1] +
                       pose->rotation[i][2] * bone->point[k][2];
            for (int i = 0; i < 3 && pass == 0; i++)
                low[i] = fmin(low[i], q[i]);
            if (pass == 0 || (pass > 1 && q[2] <= top - SEARCH_HEAD_MM))
                continue;
            const int64_t bin = (int64_t)((q[axis] - low[axis]) / width);
            bins[bin < 0 ? 0 : bin < SEARCH_BINS ? bin : SEARCH_BINS - 1]++;
            total++;
        }
        if (pass == 1)
            top = search_percentile(bins, total, 0.999, low[2], width);
        else if (pass > 1)
            middle[axis] = (search_percentile(bins, total, 0.01, low[axis], width) +
                            search_percentile(bins, total, 0.99, low[axis], width)) /
                           2;
    }
    middle[2] = top - DISC_HEAD_RADIUS_MM;
    for (int j = 0; j < 3; j++) {
        pose->centre[j] = 0;
        for (int i = 0; i < 3; i++)
            pose->centre[j] += pose->rotation[i][j] * middle[i];
    }
}

enum status pose_initial(struct pose *ret, const struct volume *skull, struct error *error)
{
    struct volume coarse;
    struct cloud bone = {0};
    if (search_coarsen(&coarse, skull, error))
        return STATUS_FAILED;
    struct pose pose = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, .scale = {1, 1, 1}};
    enum status status = search_points(&bone, &coarse, 100000, error);
    if (!status && bone.n < 100)
        status = error_set(error, STATUS_FAILED, "pose: hardly any bone: no head to be found");
    if (!status) {
        search_centre(&pose, &bone);
        *ret = pose;
    }
    cloud_done(&bone);
    volume_done(&coarse);
    return status;
}

/* --- clouds --- */

enum status cloud_from_map(struct cloud *ret, const struct radial_map *map, const struct pose *pose,
                           const struct disc *disc, struct error *error)
{
    int64_t n = 0;
    for (int64_t k = 0; k < disc->n_rays; k++)
        n += isfinite(map->outer[k]);
    if (cloud_new(ret, n, error))
        return STATUS_FAILED;
    n = 0;
    for (int64_t k = 0; k < disc->n_rays; k++) {
        if (!isfinite(map->outer[k]))
            continue;
        const double r = map->outer[k], q[3] = {r * disc->ray[k][0], r * disc->ray[k][1], r * disc->ray[k][2]};
        pose_world(pose, q, ret->point[n++]);
    }
    return STATUS_OK;
}

/* Without the surface at the field's border: that is a cut, none of the head's. */
static enum status search_trace(struct cloud *ret, const struct volume *skull, const struct field *field,
                                const struct pose *pose, const struct disc *disc, double step_mm, struct error *error)
{
    struct radial_map map;
    if (radial_map_new(&map, disc->n_rays, error))
        return STATUS_FAILED;
    radial_map_trace(&map, skull, pose, disc, step_mm);
    if (field)
        radial_map_crop(&map, skull, pose, disc, &field->box);
    for (int64_t k = 0; k < disc->n_rays; k++)
        if (map.outer[k] > map.leave[k] - 1.0F)
            map.outer[k] = NAN;
    enum status status = cloud_from_map(ret, &map, pose, disc, error);
    radial_map_done(&map);
    return status;
}

enum status cloud_trace(struct cloud *ret, const struct volume *skull, const struct pose *pose, const struct disc *disc,
                        double step_mm, struct error *error)
{
    return search_trace(ret, skull, NULL, pose, disc, step_mm, error);
}

/* --- the search --- */

struct search {
    const struct volume *coarse;
    struct field field, coarse_field;
    const struct disc *disc; /* of the template */
    const float *template;
    struct disc rays; /* few rays */
    struct cloud bone;
};

struct candidate {
    struct pose pose;
    double score; /* loss, with a little for being far from upright */
};

/* One start: a cloud from the pose's centre, fitted. A wrong start's loss is 1. False when memory is out. */
static bool search_fit(struct candidate *candidate, const struct search *search, const struct pose_fit *fit)
{
    struct cloud cloud = {0};
    struct error error = {0};
    candidate->score = 1; /* stays where no pose fits */
    if (search_trace(&cloud, search->coarse, &search->coarse_field, &candidate->pose, &search->rays, SEARCH_CELL_MM,
                     &error))
        return false;
    if (cloud.n > search->rays.n_rays / 4)
        pose_refine(&candidate->pose, &candidate->score, &cloud, search->disc, search->template, fit, &error);
    cloud_done(&cloud);
    return true;
}

static enum status search_fit_all(struct candidate *candidates, int n, const struct search *search,
                                  const struct pose_fit *fit, struct error *error)
{
    bool whole = true;
#pragma omp parallel for schedule(dynamic, 1) reduction(&& : whole)
    for (int i = 0; i < n; i++)
        whole = search_fit(&candidates[i], search, fit) && whole;
    return whole ? STATUS_OK : error_memory(error, (size_t)search->rays.n_rays * sizeof(double[3]), "a starting pose");
}

/* Starting rotations: the vertex at each of a Fibonacci lattice of directions, turned about it in steps; the first is
 * upright. */
enum { SEARCH_UPS = 40, SEARCH_TURNS = 9, SEARCH_STARTS = SEARCH_UPS * SEARCH_TURNS };

static void search_start(double rotation[3][3], int start)
{
    const int up = start / SEARCH_TURNS, turn = start % SEARCH_TURNS;
    const double z = up == 0 ? 1 : 1 - (2.0 * up + 1) / SEARCH_UPS, h = sqrt(fmax(0, 1 - z * z)),
                 around = up * SEARCH_PI * (3 - sqrt(5));
    const double about[3] = {0, 0, turn * 2 * SEARCH_PI / SEARCH_TURNS};
    double lean[3][3], spin[3][3];
    /* turns the direction (h cos, h sin, z) onto +z: about the horizontal axis across it */
    const double angle = atan2(h, z), axis[3] = {angle * sin(around), -angle * cos(around), 0};
    pose_rotation(lean, axis);
    pose_rotation(spin, about);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            rotation[i][j] = spin[i][0] * lean[0][j] + spin[i][1] * lean[1][j] + spin[i][2] * lean[2][j];
}

/* The best few of all starts come first. */
static void search_sort(struct candidate *candidates, int n)
{
    for (int i = 0; i < SEARCH_KEPT && i < n; i++) {
        int best = i;
        for (int k = i + 1; k < n; k++)
            best = candidates[k].score < candidates[best].score ? k : best;
        const struct candidate swap = candidates[i];
        candidates[i] = candidates[best];
        candidates[best] = swap;
    }
}

static enum status search_coarse(struct pose *ret, double *ret_loss, const struct search *search, struct error *error)
{
    static const struct pose_fit first = {6, 20, 14, 0.05}, then = {24, 20, 8, 0.05};
    struct candidate *candidates = memory_alloc(SEARCH_STARTS, sizeof *candidates);
    if (!candidates)
        return error_memory(error, SEARCH_STARTS * sizeof *candidates, "starting poses");
    for (int i = 0; i < SEARCH_STARTS; i++) {
        candidates[i].pose = (struct pose){.scale = {1, 1, 1}};
        search_start(candidates[i].pose.rotation, i);
        search_centre(&candidates[i].pose, &search->bone);
    }
    enum status status = search_fit_all(candidates, SEARCH_STARTS, search, &first, error);
    if (!status) {
        search_sort(candidates, SEARCH_STARTS);
        status = search_fit_all(candidates, SEARCH_KEPT, search, &then, error);
    }
    if (!status) {
        search_sort(candidates, SEARCH_KEPT);
        *ret = candidates[0].pose;
        *ret_loss = candidates[0].score;
    }
    memory_free(candidates);
    return status;
}

/* Angles of N = R' = Rz(turn) Rx(nod) Ry(lean), a head that is upside down put upright about x first. */
static void search_angles(struct pose_found *found)
{
    double n[3][3];
    found->upside_down = found->pose.rotation[2][2] < 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            n[i][j] = found->pose.rotation[j][i] * (found->upside_down && i > 0 ? -1 : 1);
    const double degree = 180 / SEARCH_PI;
    found->pitch_deg = asin(fmax(-1, fmin(1, n[2][1]))) * degree;
    found->roll_deg = atan2(-n[2][0], n[2][2]) * degree;
    found->yaw_deg = atan2(-n[0][1], n[1][1]) * degree;
}

/* From five pitches about `start`, on the surface of the mask as it is, seen as in fitting a model: from 85 mm below
 * the top. Where no pose fits, the loss is INFINITY. */
static enum status search_about(struct pose_found *found, const struct pose *start, const struct search *search,
                                const struct volume *skull, struct error *error)
{
    struct pose centred = *start;
    struct cloud cloud = {0};
    struct error no_fit = {0};
    for (int a = 0; a < 3; a++)
        centred.scale[a] = 1;
    search_centre(&centred, &search->bone);
    enum status status = search_trace(&cloud, skull, &search->field, &centred, search->disc, POSE_STEP_MM, error);
    found->n_points = cloud.n;
    if (!status && pose_best(&found->pose, &found->loss, &cloud, search->disc, search->template, &centred,
                             &pose_fit_new_skull, &no_fit))
        found->loss = INFINITY;
    cloud_done(&cloud);
    return status;
}

/* Upright first. A right pose has a loss of .06 to .16 there, also 40 degrees off; a head turned by 180 degrees .21 and
 * more (experiments/shape). Where it is no better than that, every orientation is tried. */
static enum status search_all(struct pose_found *found, const struct search *search, const struct volume *skull,
                              struct error *error)
{
    static const double surely = 0.16;
    const struct pose upright = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    struct pose_found other = {0};
    if (search_about(found, &upright, search, skull, error))
        return error->status;
    struct pose start = found->pose;
    double loss;
    if (found->loss < surely) { /* of a head tilted far, once more along its own axes, as the model's heads were seen */
        const double trace = start.rotation[0][0] + start.rotation[1][1] + start.rotation[2][2];
        const bool tilted = trace < 1 + 2 * cos(25 * SEARCH_PI / 180);
        if (tilted && search_about(&other, &start, search, skull, error))
            return error->status;
        if (tilted && other.loss < surely)
            *found = other;
        return STATUS_OK;
    }
    enum status status = search_coarse(&start, &loss, search, error);
    if (!status)
        status = search_about(&other, &start, search, skull, error);
    if (!status && other.loss < found->loss)
        *found = other;
    return status;
}

/* --- what is no head --- */

#define SEARCH_WORST_LOSS 0.33
#define SEARCH_LEAST_SEEN 0.5
enum { SEARCH_LEAST_CELLS = 1500 };

/* Bone in cells: enough of it, less than the air about it, and one body. Leaves the largest body alone in `coarse`. */
static enum status search_check_mask(struct volume *coarse, const char *name, struct error *error)
{
    const int64_t cells = grid_voxels(&coarse->grid), bone = mask_count(coarse->data, cells);
    int64_t *sizes = NULL, n = 0, first = 0, second = 0;
    if (bone < SEARCH_LEAST_CELLS)
        return error_set(
            error, STATUS_FAILED,
            "%s: no head: hardly any bone: %lld cells of %.1f mm (the mask of a skull is needed, its voxels "
            "6 mm or finer)",
            name, (long long)bone, grid_spacing_mm(&coarse->grid, 2));
    if (2 * bone > cells)
        return error_set(
            error, STATUS_FAILED,
            "%s: no head: more bone than air (a mask that is 1 in bone and 0 elsewhere is needed: is it inside "
            "out?)",
            name);
    if (mask_components(NULL, &sizes, &n, coarse->data, coarse->grid.dim, 26, error))
        return error->status;
    for (int64_t i = 0; i < n; i++) {
        second = sizes[i] > first ? first : sizes[i] > second ? sizes[i] : second;
        first = sizes[i] > first ? sizes[i] : first;
    }
    memory_free(sizes);
    if (2 * second > first)
        return error_set(
            error, STATUS_FAILED,
            "%s: two bodies of bone of %lld and %lld ml apart from each other: two heads? (crop the volume to "
            "one)",
            name, (long long)((double)first * grid_voxel_ml(&coarse->grid)),
            (long long)((double)second * grid_voxel_ml(&coarse->grid)));
    return mask_keep_largest(coarse->data, coarse->grid.dim, 1, 26, error);
}

/* Share of the directions up to 100 degrees from the vertex in which the found pose sees bone. */
static enum status search_seen(double *ret_share, const struct pose *pose, const struct search *search,
                               struct error *error)
{
    struct radial_map map;
    int64_t seen = 0, all = 0;
    if (radial_map_new(&map, search->rays.n_rays, error))
        return error->status;
    radial_map_trace(&map, search->coarse, pose, &search->rays, SEARCH_CELL_MM);
    for (int64_t k = 0; k < search->rays.n_rays; k++) {
        const bool vault = search->rays.ray[k][2] > cos(100 * SEARCH_PI / 180);
        all += vault;
        seen += vault && isfinite(map.outer[k]) && map.outer[k] < map.leave[k] - 1.0F;
    }
    radial_map_done(&map);
    *ret_share = (double)seen / (double)all;
    return STATUS_OK;
}

/* Heads (66 adults) have losses of .06 to .16, with a strap .27; scales of .88 to 1.14, the largest over the smallest
 * up to 1.18. A ball of any size comes to .23 and 1.32 (experiments/shape). */
static bool search_plausible(const struct pose_found *found)
{
    const double *s = found->pose.scale, size = cbrt(s[0] * s[1] * s[2]);
    const double form = fmax(s[0], fmax(s[1], s[2])) / fmin(s[0], fmin(s[1], s[2]));
    const bool ball = found->loss > 0.2 && form > 1.28;
    return found->loss < SEARCH_WORST_LOSS && size > 0.7 && size < 1.4 && !ball;
}

static enum status search_check_pose(struct pose_found *found, const struct search *search, const char *name,
                                     struct error *error)
{
    if (!isfinite(found->loss))
        return error_set(error, STATUS_FAILED, "%s: no head: none of its surface lies where a vault can be", name);
    if (!search_plausible(found))
        return error_set(
            error, STATUS_FAILED,
            "%s: no head: nothing in it fits a vault (loss %.2f, of heads below %.2f): a body other than a "
            "skull, a phantom (models/phantom.h5 restores those), or a skull with straps, a pad or a table about it "
            "(remove them from the mask, or crop the volume to the head)",
            name, found->loss, SEARCH_WORST_LOSS);
    if (search_seen(&found->seen_share, &found->pose, search, error))
        return error->status;
    if (found->seen_share < SEARCH_LEAST_SEEN)
        return error_set(
            error, STATUS_FAILED,
            "%s: only %.0f %% of the vault is there: too little to tell what is missing (at least half of it "
            "is needed)",
            name, 100 * found->seen_share);
    return STATUS_OK;
}

enum status pose_search(struct pose_found *ret, const struct volume *skull, const struct disc *disc,
                        const float *template, const char *name, struct error *error)
{
    struct volume coarse = {0};
    struct search search = {.coarse = &coarse, .disc = disc, .template = template};
    struct pose_found found = {0};
    if (search_coarsen(&coarse, skull, error))
        return STATUS_FAILED;
    enum status status = search_check_mask(&coarse, name, error);
    if (!status)
        status = search_points(&search.bone, &coarse, 8000, error);
    if (!status) {
        search.field = field_of_view(skull);
        search.coarse_field = field_of_view(&coarse);
    }
    if (!status)
        status = disc_init(&search.rays, SEARCH_DISC_N, DISC_TEMPLATE_REACH, error);
    if (!status)
        status = search_all(&found, &search, skull, error);
    if (!status)
        status = search_check_pose(&found, &search, name, error);
    if (!status) {
        search_angles(&found);
        *ret = found;
    }
    cloud_done(&search.bone);
    disc_done(&search.rays);
    volume_done(&coarse);
    return status;
}
