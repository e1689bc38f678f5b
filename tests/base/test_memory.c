/* test_memory.c - alignment, overflow, counters, arenas. */
#include "base/memory.h"

#include <string.h>

#include "tests/check.h"

static void test_aligned_and_counted(void)
{
    int64_t before = memory_alloc_count();
    void *a = memory_alloc(3, 7), *b = memory_alloc(0, 8), *c = memory_zalloc(100, 4);
    CHECK(a && b && c);
    CHECK_INT((int64_t)((uintptr_t)a % 64), 0);
    CHECK_INT((int64_t)((uintptr_t)c % 64), 0);
    CHECK_INT(memory_alloc_count() - before, 3);
    for (int i = 0; c && i < 400; i++)
        CHECK_INT(((char *)c)[i], 0);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free(NULL);
}

static void test_overflow(void)
{
    struct arena arena = {0};
    CHECK(!memory_alloc(SIZE_MAX / 2 + 1, 2));
    CHECK(!memory_zalloc(SIZE_MAX, SIZE_MAX));
    CHECK(!memory_alloc(SIZE_MAX, 1));
    CHECK(!arena_alloc(&arena, SIZE_MAX / 2 + 1, 2));
    CHECK(!arena_alloc(&arena, SIZE_MAX, 1));
    arena_done(&arena);
}

static void test_resize(void)
{
    char *text = memory_strdup("abcdef");
    CHECK(text);
    char *larger = text ? memory_resize(text, 7, 1000) : NULL;
    CHECK_TEXT(larger, "abcdef");
    memory_fail_at(1);
    CHECK(!memory_resize(larger, 1000, 2000));
    CHECK_TEXT(larger, "abcdef"); /* untouched */
    char *smaller = memory_resize(larger, 1000, 3);
    CHECK(smaller && memcmp(smaller, "abc", 3) == 0);
    memory_free(smaller);
    void *fresh = memory_resize(NULL, 0, 10);
    CHECK(fresh);
    memory_free(fresh);
}

static void test_fail_at(void)
{
    memory_fail_at(2);
    void *a = memory_alloc(1, 1), *b = memory_alloc(1, 1), *c = memory_alloc(1, 1);
    CHECK(a && !b && c);
    memory_free(a);
    memory_free(c);
    memory_fail_at(1);
    memory_fail_at(0);
    a = memory_alloc(1, 1);
    CHECK(a);
    memory_free(a);
}

static void test_texts(void)
{
    char *text = memory_printf("%s-%03d", "case", 7);
    CHECK_TEXT(text, "case-007");
    memory_free(text);
    memory_fail_at(1);
    CHECK(!memory_printf("x"));
    memory_fail_at(1);
    CHECK(!memory_strdup("x"));
}

static void test_arena(void)
{
    struct arena arena = {0};
    enum { N = 5000 };
    static int64_t *many[N];
    for (int i = 0; i < N; i++) {
        many[i] = arena_alloc(&arena, (size_t)(i % 40), sizeof(int64_t));
        CHECK(many[i] && (uintptr_t)many[i] % 16 == 0);
        for (int k = 0; many[i] && k < i % 40; k++) {
            CHECK_INT(many[i][k], 0);
            many[i][k] = i;
        }
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; many[i] && k < i % 40; k++)
            if (many[i][k] != i) {
                CHECK_INT(many[i][k], i); /* overwritten by another */
                break;
            }
    char *large = arena_alloc(&arena, 5 << 20, 1);
    CHECK(large && large[0] == 0 && large[(5 << 20) - 1] == 0);
    CHECK_TEXT(arena_printf(&arena, "%d/%d", 1, 2), "1/2");
    CHECK_TEXT(arena_strdup(&arena, "copy"), "copy");
    memory_fail_at(1);
    CHECK(!arena_alloc(&arena, 1, 1));
    arena_done(&arena);
    CHECK(!arena.chunks);
    arena_done(&arena);
}

static void test_peak(void)
{
    int64_t before = memory_peak_bytes();
    CHECK(before > 100 << 10 && before < (int64_t)1 << 40);
    size_t bytes = (size_t)64 << 20;
    char *block = memory_alloc(bytes, 1);
    CHECK(block);
    if (block)
        memset(block, 1, bytes);
    CHECK(memory_peak_bytes() >= before + (32 << 20));
    memory_free(block);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"aligned_and_counted", test_aligned_and_counted},
                                       {"overflow", test_overflow},
                                       {"resize", test_resize},
                                       {"fail_at", test_fail_at},
                                       {"texts", test_texts},
                                       {"arena", test_arena},
                                       {"peak", test_peak},
                                       {0}};
    return check_main(argc, argv, tests);
}
