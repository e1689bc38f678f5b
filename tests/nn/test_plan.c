/* The memory plan: no two buffers that live together overlap, lifetimes are used, sizes beyond 2^31 and overflow. */
#include <stdint.h>

#include "base/memory.h"
#include "base/rng.h"
#include "nn/network/arena_plan.h"
#include "tests/check.h"

static bool disjoint(const struct plan_item *a, const struct plan_item *b)
{
    bool apart_in_time = a->last < b->first || b->last < a->first;
    return apart_in_time || a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset || a->bytes == 0 ||
           b->bytes == 0;
}

static void check_plan(const struct plan_item *items, int64_t n, int64_t bytes)
{
    for (int64_t i = 0; i < n; i++) {
        CHECK(items[i].offset >= 0 && items[i].offset % PLAN_ALIGN == 0 && items[i].offset + items[i].bytes <= bytes);
        for (int64_t k = 0; k < i; k++)
            if (!CHECK(disjoint(&items[i], &items[k])))
                return;
    }
}

static void test_random(void)
{
    enum { N = 60 };
    struct error error = {0};
    for (uint64_t round = 0; round < 50; round++) {
        struct rng rng = rng_make(1, round);
        struct plan_item items[N];
        int64_t bytes, together = 0;
        for (int i = 0; i < N; i++) {
            int64_t first = rng_below(&rng, 40);
            items[i] =
                (struct plan_item){.bytes = rng_below(&rng, 5000), .first = first, .last = first + rng_below(&rng, 10)};
        }
        if (!CHECK_OK(plan_place(items, N, &bytes, &error), &error))
            return;
        check_plan(items, N, bytes);
        for (int64_t step = 0; step < 50; step++) { /* no plan is smaller than what lives at one time */
            int64_t live = 0;
            for (int i = 0; i < N; i++)
                live += items[i].first <= step && step <= items[i].last ? items[i].bytes : 0;
            together = live > together ? live : together;
        }
        CHECK(bytes >= together && bytes <= together * 3 / 2);
    }
}

static void test_chain(void)
{
    /* a chain of layers needs its two largest neighbours alone */
    struct plan_item items[] = {{.bytes = 6400, .first = 0, .last = 1},
                                {.bytes = 12800, .first = 1, .last = 2},
                                {.bytes = 6400, .first = 2, .last = 3},
                                {.bytes = 640, .first = 3, .last = 4}};
    struct error error = {0};
    int64_t bytes;
    CHECK_OK(plan_place(items, 4, &bytes, &error), &error);
    check_plan(items, 4, bytes);
    CHECK_INT(bytes, 19200);
}

static void test_large(void)
{
    const int64_t tera = INT64_C(1) << 40;
    struct plan_item items[] = {{.bytes = 5 * tera + 1, .first = 0, .last = 1},
                                {.bytes = 3 * tera, .first = 1, .last = 2},
                                {.bytes = 4 * tera, .first = 2, .last = 3}};
    struct error error = {0};
    int64_t bytes;
    CHECK_OK(plan_place(items, 3, &bytes, &error), &error);
    check_plan(items, 3, bytes);
    CHECK_INT(bytes, 8 * tera + PLAN_ALIGN);
}

static void test_overflow(void)
{
    struct plan_item items[] = {{.bytes = INT64_MAX / 2, .first = 0, .last = 1},
                                {.bytes = INT64_MAX / 2 + 100, .first = 0, .last = 1}};
    struct error error = {0};
    int64_t bytes;
    CHECK_FAILS(plan_place(items, 2, &bytes, &error), &error, STATUS_FAILED, "overflow");
    items[0].bytes = -1;
    CHECK_FAILS(plan_place(items, 2, &bytes, &error), &error, STATUS_FAILED, "overflow");
    memory_fail_at(1);
    items[0].bytes = items[1].bytes = 64;
    CHECK_FAILS(plan_place(items, 2, &bytes, &error), &error, STATUS_FAILED, "memory plan");
    memory_fail_at(0);
    CHECK_OK(plan_place(items, 0, &bytes, &error), &error);
    CHECK_INT(bytes, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"random", test_random}, {"chain", test_chain}, {"large", test_large}, {"overflow", test_overflow}, {0}};
    return check_main(argc, argv, tests);
}
