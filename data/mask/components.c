/* components.c - connected components by runs of voxels: rows are cut into runs, runs that touch are united (union-find
 * whose root is the first run in scan order), so that the cost is that of the runs, a hundredth of the voxels.
 * Test: tests/data/test_morphology.c. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "data/mask/bits.h"
#include "data/mask/morphology.h"

struct run {
    int32_t lo, hi; /* voxels lo <= x < hi of its row */
};

struct components {
    int64_t dim[3];
    int64_t *first; /* of each row: its first run; one more at the end */
    struct run *runs;
    int32_t *label; /* of each run, from 0; while uniting: the parent run */
    int64_t n;      /* components */
    int64_t *sizes; /* voxels of each */
};

static void components_done(struct components *set)
{
    memory_free(set->first);
    memory_free(set->runs);
    memory_free(set->label);
    memory_free(set->sizes);
}

/* Where bits change from 0 to 1 or back, word by word; the row ends with 0. `flip`: of the background. */
static int64_t components_row_runs(struct run *runs, const struct bits *bits, int64_t row, bool flip)
{
    const uint64_t *words = bits_row(bits, row);
    int64_t n = 0;
    uint64_t carry = 0;

    for (int64_t w = 0; w < bits->words; w++) {
        uint64_t word = (flip ? ~words[w] : words[w]) & bits_inside(bits, w);
        uint64_t changes = word ^ (word << 1 | carry);
        carry = word >> 63;
        for (; changes; changes &= changes - 1, n++) {
            int32_t x = (int32_t)(64 * w + __builtin_ctzll(changes));
            if (runs && n % 2 == 0)
                runs[n / 2].lo = x;
            else if (runs)
                runs[n / 2].hi = x;
        }
    }

    if (n % 2 && runs)
        runs[n / 2].hi = (int32_t)bits->dim[0];
    return (n + 1) / 2;
}

static enum status components_cut(struct components *set, const uint8_t *mask, bool background, struct error *error)
{
    struct bits bits;
    int64_t rows = set->dim[1] * set->dim[2];
    if (bits_new(&bits, mask, set->dim, 0, error))
        return STATUS_FAILED;
    enum status status = STATUS_OK;
    set->first = memory_zalloc((size_t)rows + 1, sizeof *set->first);
    if (!set->first) {
        status = error_memory(error, (size_t)rows * sizeof *set->first, "rows of a mask");
        goto done;
    }

/* Counting first, so that one block holds the runs of all rows and each thread knows where its rows begin */
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++)
        set->first[row + 1] = components_row_runs(NULL, &bits, row, background);
    for (int64_t row = 0; row < rows; row++)
        set->first[row + 1] += set->first[row];

    int64_t n = set->first[rows];
    if (n > INT32_MAX || set->dim[0] > INT32_MAX) {
        status = error_set(error, STATUS_FAILED, "components: %lld runs of voxels are too many to label", (long long)n);
        goto done;
    }

    set->runs = memory_alloc((size_t)n, sizeof *set->runs);
    set->label = memory_alloc((size_t)n, sizeof *set->label);
    if (!set->runs || !set->label) {
        status = error_memory(error, (size_t)n * sizeof *set->runs, "runs of a mask");
        goto done;
    }

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++)
        components_row_runs(set->runs + set->first[row], &bits, row, background);

done:
    bits_done(&bits);
    return status;
}

static int32_t components_run_root(int32_t *parent, int32_t run)
{
    while (parent[run] != run) {
        parent[run] = parent[parent[run]];
        run = parent[run];
    }
    return run;
}

static void components_runs_unite(int32_t *parent, int32_t a, int32_t b)
{
    a = components_run_root(parent, a);
    b = components_run_root(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

/* Unites runs of two rows that share an x, or touch at a corner when reach is 1. */
static void components_rows_unite(struct components *set, int64_t row, int64_t other, int32_t reach)
{
    int64_t a = set->first[row], b = set->first[other];
    while (a < set->first[row + 1] && b < set->first[other + 1]) {
        struct run u = set->runs[a], v = set->runs[b];
        if (u.lo < v.hi + reach && v.lo < u.hi + reach)
            components_runs_unite(set->label, (int32_t)a, (int32_t)b);
        if (u.hi < v.hi)
            a++;
        else
            b++;
    }
}

/* Slice z with the one below it. */
static void components_slices_unite(struct components *set, int64_t z, int32_t reach)
{
    for (int64_t y = 0; y < set->dim[1]; y++)
        for (int64_t dy = -reach; dy <= reach; dy++)
            if (y + dy >= 0 && y + dy < set->dim[1])
                components_rows_unite(set, z * set->dim[1] + y, (z - 1) * set->dim[1] + y + dy, reach);
}

/* Slabs of slices in parallel, then the slabs with each other. A root is always the first run of its component: the
 * result does not depend on the order. */
static void components_unite(struct components *set, int32_t reach)
{
    int64_t n_runs = set->first[set->dim[1] * set->dim[2]];
    int64_t slabs = parallel_threads() < set->dim[2] ? parallel_threads() : set->dim[2];

    for (int64_t i = 0; i < n_runs; i++)
        set->label[i] = (int32_t)i;

#pragma omp parallel for schedule(static)
    for (int64_t slab = 0; slab < slabs; slab++) {
        int64_t from = set->dim[2] * slab / slabs, to = set->dim[2] * (slab + 1) / slabs;
        for (int64_t z = from; z < to; z++) {
            for (int64_t y = 1; y < set->dim[1]; y++)
                components_rows_unite(set, z * set->dim[1] + y, z * set->dim[1] + y - 1, reach);
            if (z > from)
                components_slices_unite(set, z, reach);
        }
    }

    for (int64_t slab = 1; slab < slabs; slab++)
        components_slices_unite(set, set->dim[2] * slab / slabs, reach);
}

/* Labels in place of parents, and the sizes. */
static enum status components_label(struct components *set, struct error *error)
{
    int64_t n_runs = set->first[set->dim[1] * set->dim[2]];
    for (int64_t i = 0; i < n_runs; i++)
        set->n += set->label[i] == i;
    set->sizes = memory_zalloc((size_t)set->n, sizeof *set->sizes);
    if (!set->sizes)
        return error_memory(error, (size_t)set->n * sizeof *set->sizes, "component sizes");
    int32_t next = 0;
    for (int64_t i = 0; i < n_runs; i++) { /* a parent stands before its run and is labelled already */
        set->label[i] = set->label[i] == i ? next++ : set->label[set->label[i]];
        set->sizes[set->label[i]] += set->runs[i].hi - set->runs[i].lo;
    }
    return STATUS_OK;
}

static enum status components_find(struct components *ret, const uint8_t *mask, const int64_t dim[3], int connectivity,
                                   bool background, struct error *error)
{
    struct components set = {.dim = {dim[0], dim[1], dim[2]}};
    if (connectivity != 6 && connectivity != 26)
        return error_set(error, STATUS_FAILED, "components: connectivity %d (6 and 26 are known)", connectivity);
    if (components_cut(&set, mask, background, error)) {
        components_done(&set);
        return STATUS_FAILED;
    }
    components_unite(&set, connectivity == 26);
    if (components_label(&set, error)) {
        components_done(&set);
        return STATUS_FAILED;
    }
    *ret = set;
    return STATUS_OK;
}

enum status mask_components(int32_t *labels, int64_t **ret_sizes, int64_t *ret_n, const uint8_t *mask,
                            const int64_t dim[3], int connectivity, struct error *error)
{
    struct components set;
    if (components_find(&set, mask, dim, connectivity, false, error))
        return STATUS_FAILED;
    int64_t rows = dim[1] * dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < (labels ? rows : 0); row++) {
        int32_t *out = labels + row * dim[0];
        memset(out, 0, (size_t)dim[0] * sizeof *out);
        for (int64_t i = set.first[row]; i < set.first[row + 1]; i++)
            for (int32_t x = set.runs[i].lo; x < set.runs[i].hi; x++)
                out[x] = set.label[i] + 1;
    }
    *ret_n = set.n;
    *ret_sizes = set.sizes;
    set.sizes = NULL;
    components_done(&set);
    return STATUS_OK;
}

/* Writes `value` over every component whose `chosen` is true. */
static void components_paint(uint8_t *mask, const struct components *set, const bool *chosen, uint8_t value)
{
    int64_t rows = set->dim[1] * set->dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = set->first[row]; i < set->first[row + 1]; i++)
            if (chosen[set->label[i]])
                memset(mask + row * set->dim[0] + set->runs[i].lo, value, (size_t)(set->runs[i].hi - set->runs[i].lo));
}

struct ranked {
    int64_t size, label;
};

static int components_compare(const void *a, const void *b)
{
    const struct ranked *u = a, *v = b;
    if (u->size != v->size)
        return u->size > v->size ? -1 : 1;
    return u->label < v->label ? -1 : u->label > v->label;
}

enum status mask_keep_largest(uint8_t *mask, const int64_t dim[3], int64_t k, int connectivity, struct error *error)
{
    struct components set;
    if (components_find(&set, mask, dim, connectivity, false, error))
        return STATUS_FAILED;
    struct ranked *order = memory_alloc((size_t)set.n, sizeof *order);
    bool *drop = memory_zalloc((size_t)set.n, sizeof *drop);
    enum status status =
        order && drop ? STATUS_OK : error_memory(error, (size_t)set.n * sizeof *order, "component order");
    if (!status) {
        for (int64_t i = 0; i < set.n; i++)
            order[i] = (struct ranked){set.sizes[i], i};
        qsort(order, (size_t)set.n, sizeof *order, components_compare);
        for (int64_t i = k < 0 ? 0 : k; i < set.n; i++)
            drop[order[i].label] = true;
        components_paint(mask, &set, drop, 0);
    }

    memory_free(drop);
    memory_free(order);
    components_done(&set);
    return status;
}

enum status mask_remove_small(uint8_t *mask, const int64_t dim[3], int64_t min_voxels, int connectivity,
                              struct error *error)
{
    struct components set;
    if (components_find(&set, mask, dim, connectivity, false, error))
        return STATUS_FAILED;
    bool *drop = memory_zalloc((size_t)set.n, sizeof *drop);
    enum status status = drop ? STATUS_OK : error_memory(error, (size_t)set.n, "components");
    if (!status) {
        for (int64_t i = 0; i < set.n; i++)
            drop[i] = set.sizes[i] < min_voxels;
        components_paint(mask, &set, drop, 0);
    }
    memory_free(drop);
    components_done(&set);
    return status;
}

enum status mask_fill_holes(uint8_t *mask, const int64_t dim[3], struct error *error)
{
    struct components set;
    if (components_find(&set, mask, dim, 6, true, error))
        return STATUS_FAILED;
    bool *hole = memory_alloc((size_t)set.n, sizeof *hole);
    enum status status = hole ? STATUS_OK : error_memory(error, (size_t)set.n, "components");
    if (!status) {
        memset(hole, true, (size_t)set.n);
        for (int64_t row = 0; row < dim[1] * dim[2]; row++) {
            int64_t y = row % dim[1], z = row / dim[1];
            bool border = y == 0 || y == dim[1] - 1 || z == 0 || z == dim[2] - 1;
            for (int64_t i = set.first[row]; i < set.first[row + 1]; i++)
                if (border || set.runs[i].lo == 0 || set.runs[i].hi == dim[0])
                    hole[set.label[i]] = false;
        }
        components_paint(mask, &set, hole, 1);
    }

    memory_free(hole);
    components_done(&set);
    return status;
}
