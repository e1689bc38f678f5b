/* arena_plan.c - buffers placed in one arena; see arena_plan.h. Test: tests/nn/test_plan.c */
#include "nn/network/arena_plan.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

static bool plan_overlap(const struct plan_item *a, const struct plan_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int plan_compare_size(const void *a, const void *b)
{
    const struct plan_item *p = *(struct plan_item *const *)a, *q = *(struct plan_item *const *)b;
    if (p->bytes != q->bytes)
        return p->bytes < q->bytes ? 1 : -1;
    return p < q ? -1 : p > q; /* a total order: the same plan everywhere */
}

/* The tightest gap for `item` among `placed` (n of them, in order of offset); behind all of them when none fits. */
static int64_t plan_gap(const struct plan_item *item, struct plan_item *const *placed, int64_t n)
{
    int64_t end = 0, best = -1, best_slack = INT64_MAX;
    for (int64_t i = 0; i < n; i++) {
        if (!plan_overlap(item, placed[i]))
            continue;
        int64_t slack = placed[i]->offset - end - item->bytes;
        if (slack >= 0 && slack < best_slack) {
            best = end;
            best_slack = slack;
        }
        int64_t placed_end = placed[i]->offset + placed[i]->bytes;
        if (placed_end > end)
            end = placed_end;
    }
    return best >= 0 ? best : end;
}

static void plan_insert(struct plan_item **placed, int64_t n, struct plan_item *item)
{
    int64_t at = n;
    for (; at > 0 && placed[at - 1]->offset > item->offset; at--)
        placed[at] = placed[at - 1];
    placed[at] = item;
}

/* Rounds sizes up; the sum of all of them must stay in 63 bits, so that no later addition can overflow. */
static enum status plan_round(struct plan_item *items, int64_t n, struct error *error)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        bool fits = items[i].bytes >= 0 && items[i].bytes <= INT64_MAX - PLAN_ALIGN;
        int64_t bytes = fits ? (items[i].bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN : 0;
        if (!fits || bytes > INT64_MAX - sum)
            return error_set(error, STATUS_FAILED,
                             "memory plan: the buffers' sizes overflow 63 bits (a smaller patch or batch would fit)");
        items[i].bytes = bytes;
        sum += bytes;
    }
    return STATUS_OK;
}

enum status plan_place(struct plan_item *items, int64_t n, int64_t *ret_bytes, struct error *error)
{
    if (plan_round(items, n, error))
        return error->status;
    struct plan_item **order = memory_alloc(2 * (size_t)n, sizeof(struct plan_item *));
    if (!order)
        return error_memory(error, 2 * (size_t)n * sizeof *order, "memory plan");
    struct plan_item **placed = order + n;
    for (int64_t i = 0; i < n; i++)
        order[i] = &items[i];
    qsort(order, (size_t)n, sizeof *order, plan_compare_size);

    /* The largest first; each into the tightest gap between those that live at the same time. */
    int64_t total = 0;

    for (int64_t i = 0; i < n; i++) {
        order[i]->offset = plan_gap(order[i], placed, i);
        plan_insert(placed, i, order[i]);
        if (order[i]->offset + order[i]->bytes > total)
            total = order[i]->offset + order[i]->bytes;
    }

    memory_free(order);
    *ret_bytes = total;
    return STATUS_OK;
}
