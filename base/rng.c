/* rng.c - counter-based random numbers; see rng.h. Test: tests/base/test_rng.c */
#include "base/rng.h"

#include <math.h>

/* Philox4x32-10: Salmon, Moraes, Dror and Shaw, SC 2011, section 3.3 and table 2. Words of the counter: block number,
 * stream. */
static void rng_philox(uint32_t out[4], uint64_t low, uint64_t high, uint64_t key)
{
    uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32), c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)b, c2 = n2, c3 = (uint32_t)a;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

struct rng rng_make(uint64_t seed, uint64_t stream)
{
    return (struct rng){.key = seed, .stream = stream, .used = 4};
}

struct rng rng_child(const struct rng *rng, uint64_t id)
{
    /* Another key than the parent's, so that no child is a piece of its parent's own sequence. */
    const uint64_t apart = 0xA0761D6478BD642Fu;
    uint32_t word[4];
    rng_philox(word, id, rng->stream, rng->key ^ apart);
    return rng_make((uint64_t)word[1] << 32 | word[0], (uint64_t)word[3] << 32 | word[2]);
}

uint64_t rng_hash(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

uint32_t rng_u32(struct rng *rng)
{
    if (rng->used == 4) {
        rng_philox(rng->block, rng->counter++, rng->stream, rng->key);
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

static uint64_t rng_u64(struct rng *rng)
{
    uint64_t low = rng_u32(rng);
    return (uint64_t)rng_u32(rng) << 32 | low;
}

int64_t rng_below(struct rng *rng, int64_t n)
{
    uint64_t range = n < 1 ? 1 : (uint64_t)n;
    uint64_t spare = (0 - range) % range; /* 2^64 mod range: draws below it would favour the small numbers */
    uint64_t word;
    do
        word = rng_u64(rng);
    while (word < spare);
    return (int64_t)(word % range);
}

double rng_uniform(struct rng *rng, double lo, double hi)
{
    double unit = (double)(rng_u64(rng) >> 11) * 0x1p-53;
    double value = lo + (hi - lo) * unit;
    return value < hi || hi <= lo ? value : nextafter(hi, lo); /* the sum may round up to hi */
}

double rng_range(const double range[2], struct rng *rng)
{
    return range[0] < range[1] ? rng_uniform(rng, range[0], range[1]) : range[0];
}

int64_t rng_range_int(const double range[2], struct rng *rng)
{
    const int64_t low = llround(range[0]), high = llround(range[1]);
    return low + rng_below(rng, high - low + 1);
}

double rng_normal(struct rng *rng, double mean, double sd)
{
    const double pi = 3.14159265358979323846;
    double radius = 1.0 - rng_uniform(rng, 0, 1); /* (0, 1] */
    double angle = rng_uniform(rng, 0, 2 * pi);
    return mean + sd * sqrt(-2 * log(radius)) * cos(angle);
}

void rng_fill_uniform(const struct rng *rng, float *out, int64_t n)
{
    const uint64_t fill = 0x66696C6C; /* "fill" */
    const struct rng source = rng_child(rng, fill);
#pragma omp parallel for schedule(static) if (n > 65536)
    for (int64_t block = 0; block < (n + 3) / 4; block++) {
        uint32_t word[4];
        rng_philox(word, (uint64_t)block, source.stream, source.key);
        for (int64_t i = block * 4; i < n && i < block * 4 + 4; i++)
            out[i] = (float)(word[i % 4] >> 8) * 0x1p-24f;
    }
}
