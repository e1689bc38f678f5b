/* distance.c - exact Euclidean distance transform, one axis at a time.
 *
 * Between passes every voxel keeps where its nearest voxel of the mask is, as whole steps |dx|, |dy| packed into four
 * bytes, not a squared distance: nothing is rounded before the last pass, which computes (dx*sx)^2 + (dy*sy)^2 +
 * (dz*sz)^2 in double, in this order, as scipy.ndimage does. Each line is one thread's: the result does not depend on
 * the number of threads. Test: tests/data/test_distance.c. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <omp.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "data/mask/distance.h"

enum {
    NONE = 0xffff,
    TILE = 16
}; /* no voxel of the mask on this line; lines worked on together (a cache line of packed steps) */

/* What the last pass writes: one of the three. */
struct distance_sink {
    float *distance; /* every voxel */
    uint8_t *within; /* 1 where distance <= limit */
    double limit;
    double *values; /* where query != 0; those of column (y, x) from column[y * W + x] on */
    const uint8_t *query;
    const int64_t *column;
};

struct distance_plan {
    int64_t dim[3];
    double *squares[3];   /* squares[a][n] = (n * spacing[a])^2 */
    double *halves[3];    /* halves[a][n] = 1 / (2 n spacing[a]^2) */
    unsigned char *steps; /* packed steps, 4 bytes per voxel: |dx| + (|dy| << 16) */
    struct distance_sink sink;
};

/* One thread's work space for lines of up to n voxels, TILE at a time. */
struct distance_lines {
    double *out;     /* n x TILE: squared distances of the last pass */
    double *height;  /* n: f(q), the squared distance so far of voxel q */
    double *from;    /* n + 1: parabola i is lowest from here on, from[n] on none */
    uint32_t *tile;  /* n x TILE packed steps */
    uint32_t *steps; /* n: one column of them */
    int32_t *vertex; /* n: the voxel of parabola i */
};

static size_t distance_lines_bytes(int64_t n)
{
    size_t bytes =
        (size_t)n * (TILE * (sizeof(double) + sizeof(uint32_t)) + sizeof(double) + sizeof(uint32_t) + sizeof(int32_t)) +
        (size_t)(n + 1) * sizeof(double);
    return (bytes + 63) / 64 * 64; /* threads share no cache line */
}

static struct distance_lines distance_lines_in(void *memory, int64_t n)
{
    struct distance_lines lines = {.out = memory};
    lines.height = lines.out + n * TILE;
    lines.from = lines.height + n;
    lines.tile = (uint32_t *)(lines.from + n + 1);
    lines.steps = lines.tile + n * TILE;
    lines.vertex = (int32_t *)(lines.steps + n);
    return lines;
}

/* Lower envelope of the parabolas height[q] + (s * (p - q))^2 (Felzenszwalb and Huttenlocher, algorithm 1): how many
 * are on it. halves[n] = 1 / (2 n s^2). Infinite heights have no parabola. */
static int64_t distance_envelope_build(const struct distance_lines *lines, int64_t n, const double *halves)
{
    const double *height = lines->height;
    double *from = lines->from;
    int32_t *vertex = lines->vertex;
    int64_t k = -1;

    for (int64_t q = 0; q < n; q++) {
        if (height[q] == INFINITY)
            continue;
        double cross = -INFINITY;
        for (; k >= 0; k--) {
            int64_t v = vertex[k];
            cross = (height[q] - height[v]) * halves[q - v] + 0.5 * (double)(q + v);
            if (cross > from[k])
                break;
        }
        k++;
        vertex[k] = (int32_t)q;
        from[k] = k == 0 ? -INFINITY : cross;
    }

    from[k + 1] = INFINITY;
    return k + 1;
}

/* Past the last voxel of 0 .. n-1 whose nearest is parabola k. */
static int64_t distance_envelope_end(const struct distance_lines *lines, int64_t k, int64_t n)
{
    double next = lines->from[k + 1]; /* above -1: parabola 0 alone starts at -infinity */
    return next >= (double)(n - 1) ? n : next < 0 ? 0 : (int64_t)next + 1;
}

/* Along x: steps to the nearest voxel of the mask in the row. */
static void distance_pass_x(const struct distance_plan *plan, const uint8_t *mask, int64_t row, uint32_t *line)
{
    const int64_t n = plan->dim[0];
    mask += row * n;
    uint32_t away = NONE;
    for (int64_t x = 0; x < n; x++) {
        away = mask[x] ? 0 : away < NONE ? away + 1 : NONE;
        line[x] = away;
    }
    away = NONE;
    for (int64_t x = n - 1; x >= 0; x--) {
        away = mask[x] ? 0 : away < NONE ? away + 1 : NONE;
        line[x] = away < line[x] ? away : line[x];
    }
    memcpy(plan->steps + 4 * row * n, line, 4 * (size_t)n);
}

/* Along y, for `width` columns of slice z from x on. */
static void distance_pass_y(const struct distance_plan *plan, const struct distance_lines *lines, int64_t z, int64_t x,
                            int64_t width)
{
    const int64_t *dim = plan->dim;
    for (int64_t y = 0; y < dim[1]; y++)
        memcpy(lines->tile + y * TILE, plan->steps + 4 * ((z * dim[1] + y) * dim[0] + x), 4 * (size_t)width);
    for (int64_t c = 0; c < width; c++) {
        for (int64_t y = 0; y < dim[1]; y++) {
            lines->steps[y] = lines->tile[y * TILE + c];
            lines->height[y] = lines->steps[y] == NONE ? INFINITY : plan->squares[0][lines->steps[y]];
        }
        int64_t n = distance_envelope_build(lines, dim[1], plan->halves[1]);
        for (int64_t k = 0, y = 0; k < n; k++) {
            int64_t v = lines->vertex[k], end = distance_envelope_end(lines, k, dim[1]);
            for (; y < end; y++)
                lines->tile[y * TILE + c] = lines->steps[v] | (uint32_t)(v < y ? y - v : v - y) << 16;
        }
    }
    for (int64_t y = 0; y < dim[1]; y++)
        memcpy(plan->steps + 4 * ((z * dim[1] + y) * dim[0] + x), lines->tile + y * TILE, 4 * (size_t)width);
}

static void distance_sink_write(const struct distance_plan *plan, const struct distance_lines *lines, int64_t y,
                                int64_t x, int64_t width)
{
    const struct distance_sink *sink = &plan->sink;
    const int64_t *dim = plan->dim;
    for (int64_t z = 0; z < dim[2] && !sink->values; z++) {
        const double *squared = lines->out + z * TILE;
        int64_t at = (z * dim[1] + y) * dim[0] + x;
        if (sink->distance)
            for (int64_t c = 0; c < width; c++)
                sink->distance[at + c] = (float)sqrt(squared[c]);
        else
            for (int64_t c = 0; c < width; c++)
                sink->within[at + c] = sqrt(squared[c]) <= sink->limit;
    }
    for (int64_t c = 0; c < width && sink->values; c++) {
        double *values = sink->values + sink->column[y * dim[0] + x + c];
        for (int64_t z = 0; z < dim[2]; z++)
            if (sink->query[(z * dim[1] + y) * dim[0] + x + c])
                *values++ = sqrt(lines->out[z * TILE + c]);
    }
}

/* Along z, for `width` columns of row y from x on, and out. */
static void distance_pass_z(const struct distance_plan *plan, const struct distance_lines *lines, int64_t y, int64_t x,
                            int64_t width)
{
    const int64_t *dim = plan->dim;
    for (int64_t z = 0; z < dim[2]; z++)
        memcpy(lines->tile + z * TILE, plan->steps + 4 * ((z * dim[1] + y) * dim[0] + x), 4 * (size_t)width);
    for (int64_t c = 0; c < width; c++) {
        for (int64_t z = 0; z < dim[2]; z++) {
            uint32_t steps = lines->tile[z * TILE + c], across = steps & NONE;
            lines->height[z] = across == NONE ? INFINITY : plan->squares[0][across] + plan->squares[1][steps >> 16];
        }
        int64_t n = distance_envelope_build(lines, dim[2], plan->halves[2]);
        for (int64_t z = 0; z < dim[2] && n == 0; z++)
            lines->out[z * TILE + c] = INFINITY;
        for (int64_t k = 0, z = 0; k < n; k++) {
            int64_t v = lines->vertex[k], end = distance_envelope_end(lines, k, dim[2]);
            for (; z < end; z++)
                lines->out[z * TILE + c] = lines->height[v] + plan->squares[2][v < z ? z - v : v - z];
        }
    }
    distance_sink_write(plan, lines, y, x, width);
}

static void distance_passes(const struct distance_plan *plan, const uint8_t *mask, char *memory, int64_t longest)
{
    const int64_t *dim = plan->dim, tiles = (dim[0] + TILE - 1) / TILE;

#pragma omp parallel
    {
        struct distance_lines lines =
            distance_lines_in(memory + (size_t)omp_get_thread_num() * distance_lines_bytes(longest), longest);

#pragma omp for schedule(static)
        for (int64_t row = 0; row < dim[1] * dim[2]; row++)
            distance_pass_x(plan, mask, row, lines.steps);

#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < dim[2] * tiles; i++) {
            int64_t x = i % tiles * TILE;
            distance_pass_y(plan, &lines, i / tiles, x, dim[0] - x < TILE ? dim[0] - x : TILE);
        }

#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < dim[1] * tiles; i++) {
            int64_t x = i % tiles * TILE;
            distance_pass_z(plan, &lines, i / tiles, x, dim[0] - x < TILE ? dim[0] - x : TILE);
        }
    }
}

static enum status distance_run(struct distance_plan *plan, const uint8_t *mask, const double spacing[3],
                                struct error *error)
{
    int64_t longest = 1;
    for (int a = 0; a < 3; a++)
        longest = plan->dim[a] > longest ? plan->dim[a] : longest;
    if (longest >= NONE)
        return error_set(error, STATUS_FAILED, "distance transform: an axis of %lld voxels (at most %d fit)",
                         (long long)longest, NONE - 1);
    size_t lines = distance_lines_bytes(longest), squares = (size_t)(longest + 1);
    char *memory = memory_alloc((size_t)parallel_threads(), lines);
    double *table = memory_alloc(6 * squares, sizeof *table);
    enum status status = memory && table ? STATUS_OK : error_memory(error, lines, "distance transform");
    if (!status) {
        for (int a = 0; a < 3; a++) {
            plan->squares[a] = table + (size_t)a * squares;
            plan->halves[a] = table + (size_t)(a + 3) * squares;
            for (int64_t n = 0; n <= longest; n++) {
                plan->squares[a][n] = ((double)n * spacing[a]) * ((double)n * spacing[a]);
                plan->halves[a][n] = 0.5 / ((double)n * spacing[a] * spacing[a]);
            }
        }
        distance_passes(plan, mask, memory, longest);
    }
    memory_free(table);
    memory_free(memory);
    return status;
}

enum status distance_to_mask(float *out, const uint8_t *mask, const int64_t dim[3], const double spacing[3],
                             struct error *error)
{
    _Static_assert(sizeof *out == 4, "the packed steps lie where the distances will");
    struct distance_plan plan = {
        .dim = {dim[0], dim[1], dim[2]}, .steps = (unsigned char *)out, .sink = {.distance = out}};
    return distance_run(&plan, mask, spacing, error);
}

/* Runs with steps of its own. */
static enum status distance_aside(struct distance_plan *plan, const uint8_t *mask, const double spacing[3],
                                  struct error *error)
{
    size_t n = (size_t)(plan->dim[0] * plan->dim[1] * plan->dim[2]);
    plan->steps = memory_alloc(n, 4);
    if (!plan->steps)
        return error_memory(error, 4 * n, "distance transform");
    enum status status = distance_run(plan, mask, spacing, error);
    memory_free(plan->steps);
    return status;
}

enum status distance_within(uint8_t *within, const uint8_t *mask, const int64_t dim[3], const double spacing[3],
                            double limit, struct error *error)
{
    struct distance_plan plan = {.dim = {dim[0], dim[1], dim[2]}, .sink = {.within = within, .limit = limit}};
    return distance_aside(&plan, mask, spacing, error);
}

enum status distance_at(double **ret_values, int64_t *ret_n, const uint8_t *query, const uint8_t *mask,
                        const int64_t dim[3], const double spacing[3], struct error *error)
{
    int64_t area = dim[0] * dim[1], total = 0;
    int64_t *column = memory_zalloc((size_t)area, sizeof *column);
    if (!column)
        return error_memory(error, (size_t)area * sizeof *column, "distance transform");

    /* Where the values of each column of query voxels begin, so that columns are independent of each other */
    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t i = 0; i < area; i++)
            column[i] += query[z * area + i] != 0;
    for (int64_t i = 0; i < area; i++) {
        int64_t count = column[i];
        column[i] = total;
        total += count;
    }

    double *values = memory_alloc((size_t)total, sizeof *values);
    struct distance_plan plan = {.dim = {dim[0], dim[1], dim[2]},
                                 .sink = {.values = values, .query = query, .column = column}};
    enum status status = values ? distance_aside(&plan, mask, spacing, error)
                                : error_memory(error, (size_t)total * sizeof *values, "distances");
    memory_free(column);

    if (status) {
        memory_free(values);
        return status;
    }
    *ret_values = values;
    *ret_n = total;
    return STATUS_OK;
}

enum status distance_signed(float *out, const uint8_t *mask, const int64_t dim[3], struct error *error)
{
    const double unit[3] = {1, 1, 1};
    int64_t n = dim[0] * dim[1] * dim[2], inside = 0;
    uint8_t *outside = memory_alloc((size_t)n, 1);
    float *depth = memory_alloc((size_t)n, sizeof *depth);
    enum status status =
        outside && depth ? STATUS_OK : error_memory(error, (size_t)n * sizeof *depth, "signed distance");

    for (int64_t i = 0; !status && i < n; i++) {
        outside[i] = mask[i] == 0;
        inside += mask[i] != 0;
    }

    if (!status && (inside == 0 || inside == n)) {
        memset(out, 0, (size_t)n * sizeof *out);
    } else if (!status) {
        status = distance_to_mask(out, mask, dim, unit, error);
        if (!status)
            status = distance_to_mask(depth, outside, dim, unit, error);
        for (int64_t i = 0; !status && i < n; i++)
            out[i] = mask[i] ? 1 - depth[i] : out[i];
    }

    memory_free(depth);
    memory_free(outside);
    return status;
}

/* One pass over the grid, forward or backward: each voxel takes what those passed before it have, and one more. */
static void distance_chebyshev_pass(uint8_t *away, const int64_t dim[3], bool backward)
{
    const int64_t n = dim[0] * dim[1] * dim[2], sign = backward ? -1 : 1;
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = backward ? n - 1 - k : k, at[3] = {i % dim[0], i / dim[0] % dim[1], i / dim[0] / dim[1]};
        int least = away[i];
        for (int side = 0; side < 13; side++) {
            const int64_t x = at[0] + sign * (side % 3 - 1), y = at[1] + sign * (side / 3 % 3 - 1),
                          z = at[2] + sign * (side / 9 - 1);
            if (x < 0 || y < 0 || z < 0 || x >= dim[0] || y >= dim[1] || z >= dim[2])
                continue;
            const int near = away[(z * dim[1] + y) * dim[0] + x] + 1;
            least = near < least ? near : least;
        }
        away[i] = (uint8_t)least;
    }
}

/* Two passes do (Rosenfeld and Pfaltz, "Distance functions on digital pictures", Pattern Recognition 1, 1968). */
void distance_chebyshev(uint8_t *away, const int64_t dim[3])
{
    distance_chebyshev_pass(away, dim, false);
    distance_chebyshev_pass(away, dim, true);
}
