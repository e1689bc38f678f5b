/* arena_plan.h - where buffers lie in one arena, from when they live: buffers whose lives do not overlap share memory.
 *
 * Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020): the largest
 * buffer first, each into the tightest gap left between the buffers already placed that live at the same time. */
#ifndef CALVARIA_NN_NETWORK_ARENA_PLAN_H
#define CALVARIA_NN_NETWORK_ARENA_PLAN_H

#include <stdint.h>

#include "base/error.h"

enum { PLAN_ALIGN = 64 };

struct plan_item {
    int64_t bytes;       /* may be 0 */
    int64_t first, last; /* steps during which the buffer holds something; both included */
    int64_t offset;      /* written by plan_place: a multiple of PLAN_ALIGN */
};

/* Writes every offset and the arena's size. STATUS_FAILED when sizes overflow 63 bits or memory is out. */
enum status plan_place(struct plan_item *items, int64_t n, int64_t *ret_bytes, struct error *error);

#endif
