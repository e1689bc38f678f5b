/* test_rng.c - Philox's published answers, independence of streams, moments, bias. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "tests/check.h"

/* Random123's kat_vectors, philox4x32 with 10 rounds: counter (4 words), key (2 words), answer (4 words). */
static void test_known_answers(void)
{
    static const uint32_t known[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const uint32_t *k = known[i];
        struct rng rng = rng_make((uint64_t)k[5] << 32 | k[4], (uint64_t)k[3] << 32 | k[2]);
        rng.counter = (uint64_t)k[1] << 32 | k[0];
        for (int word = 0; word < 4; word++)
            CHECK_INT(rng_u32(&rng), k[6 + word]);
    }
}

/* The published answers of FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv (test vectors of 64 bits). */
static void test_names(void)
{
    CHECK(rng_hash("") == 0xcbf29ce484222325u);
    CHECK(rng_hash("a") == 0xaf63dc4c8601ec8cu);
    CHECK(rng_hash("foobar") == 0x85944171f73967e8u);
}

static void test_counter_goes_on(void)
{
    struct rng rng = rng_make(1, 2), late = rng_make(1, 2);
    for (int i = 0; i < 8; i++)
        rng_u32(&rng);
    late.counter = 2;
    for (int i = 0; i < 8; i++)
        CHECK_INT(rng_u32(&rng), rng_u32(&late));
}

/* No word of one stream in the same place of another; children leave their parent as it was. */
static void test_streams_differ(void)
{
    const struct rng parent = rng_make(7, 0);
    struct rng copy = parent;
    struct rng streams[] = {parent, rng_make(7, 1), rng_make(8, 0), rng_child(&parent, 0), rng_child(&parent, 1)};
    struct rng again = rng_child(&copy, 1);
    CHECK(memcmp(&copy, &parent, sizeof copy) == 0);
    uint32_t words[5][64];
    for (int s = 0; s < 5; s++)
        for (int i = 0; i < 64; i++)
            words[s][i] = rng_u32(&streams[s]);
    for (int i = 0; i < 64; i++)
        CHECK_INT(rng_u32(&again), words[4][i]);
    for (int a = 0; a < 5; a++)
        for (int b = 0; b < a; b++)
            for (int i = 0; i < 64; i++)
                CHECK(words[a][i] != words[b][i]);
}

static void test_below(void)
{
    struct rng rng = rng_make(3, 0);
    int64_t count[7] = {0};
    for (int i = 0; i < 70000; i++) {
        int64_t n = rng_below(&rng, 7);
        CHECK(n >= 0 && n < 7);
        count[n % 7]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK_NEAR((double)count[i], 10000, 500); /* 5 sigma */
    CHECK_INT(rng_below(&rng, 1), 0);
    int64_t high = 0;
    for (int i = 0; i < 1000; i++)
        high += rng_below(&rng, INT64_MAX) > INT64_MAX / 2;
    CHECK_NEAR((double)high, 500, 80);
}

static void test_uniform(void)
{
    struct rng rng = rng_make(4, 0);
    double sum = 0, squares = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = rng_uniform(&rng, -1, 3);
        CHECK(x >= -1 && x < 3);
        sum += x, squares += x * x;
    }
    CHECK_NEAR(sum / N, 1, 0.02);
    CHECK_NEAR(squares / N - 1, 16.0 / 12, 0.02);
    double next = nextafter(1, 2);
    for (int i = 0; i < 1000; i++)
        CHECK(rng_uniform(&rng, 1, next) < next); /* where the sum rounds up to hi */
    CHECK_NEAR(rng_uniform(&rng, 5, 5), 5, 0);
}

static void test_normal(void)
{
    struct rng rng = rng_make(5, 0);
    double sum = 0, squares = 0, fourth = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double z = (rng_normal(&rng, 28, 8) - 28) / 8;
        CHECK(isfinite(z));
        sum += z, squares += z * z, fourth += z * z * z * z;
    }
    CHECK_NEAR(sum / N, 0, 0.012);
    CHECK_NEAR(squares / N, 1, 0.016);
    CHECK_NEAR(fourth / N, 3, 0.12);
}

static void test_fill(void)
{
    enum { N = 200003 };
    static float one[N], two[N], part[101];
    struct rng rng = rng_make(6, 0), used = rng_make(6, 0);
    rng_u32(&used); /* what was drawn before does not matter */
    int threads = parallel_threads();
    parallel_set_threads(1);
    rng_fill_uniform(&rng, one, N);
    parallel_set_threads(4);
    rng_fill_uniform(&used, two, N);
    rng_fill_uniform(&rng, part, 101);
    parallel_set_threads(threads);
    CHECK(memcmp(one, two, sizeof one) == 0);
    CHECK(memcmp(one, part, sizeof part) == 0);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        CHECK(one[i] >= 0 && one[i] < 1);
        sum += (double)one[i];
    }
    CHECK_NEAR(sum / N, 0.5, 0.005);
    rng_fill_uniform(&rng, NULL, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"known_answers", test_known_answers},
                                       {"names", test_names},
                                       {"counter_goes_on", test_counter_goes_on},
                                       {"streams_differ", test_streams_differ},
                                       {"below", test_below},
                                       {"uniform", test_uniform},
                                       {"normal", test_normal},
                                       {"fill", test_fill},
                                       {0}};
    return check_main(argc, argv, tests);
}
