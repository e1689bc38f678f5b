/* rng.h - counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A stream is a pure function of (seed, stream): no state is shared between threads, and any sample can be
 * drawn again from its number alone.
 *
 *     struct rng rng = rng_make(seed, sample_index);
 *     struct rng noise = rng_child(&rng, RNG_NOISE);      // independent stream, does not advance rng */
#ifndef CALVARIA_BASE_RNG_H
#define CALVARIA_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t key, stream, counter;
    uint32_t block[4];
    int used; /* words of block already given out */
};

struct rng rng_make(uint64_t seed, uint64_t stream);
struct rng rng_child(const struct rng *rng, uint64_t id);
/* FNV-1a of 64 bits (Fowler, Noll, Vo), as a stream's number from a name. */
uint64_t rng_hash(const char *text);

uint32_t rng_u32(struct rng *rng);
int64_t rng_below(struct rng *rng, int64_t n);             /* uniform in 0..n-1, unbiased; n >= 1 */
double rng_uniform(struct rng *rng, double lo, double hi); /* uniform in [lo, hi) */
/* A number from range = [low, high]; a whole one, both ends included. */
double rng_range(const double range[2], struct rng *rng);
int64_t rng_range_int(const double range[2], struct rng *rng);
double rng_normal(struct rng *rng, double mean, double sd); /* Box-Muller */
/* out[i] uniform in [0, 1): the same numbers on any thread count, element i depends on i alone. */
void rng_fill_uniform(const struct rng *rng, float *out, int64_t n);

#endif
