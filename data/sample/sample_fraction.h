/* sample_fraction.h - private to data/: patches of a drawn skull at a working spacing, as shares of bone. */
#ifndef CALVARIA_DATA_SAMPLE_SAMPLE_FRACTION_H
#define CALVARIA_DATA_SAMPLE_SAMPLE_FRACTION_H

#include "data/sample/sample.h"
#include "data/sample/patch_sampler.h"

/* One drawn skull on its way to patches. */
struct sample_pair {
    int64_t i; /* the case */
    struct volume skull;
    struct region implant;
    struct augment augment;
};

/* pair->skull holds bone and what is missing (CODE_BONE, CODE_MISSING). Fills fraction, and frame and at where the
 * loader has a prior. */
enum status sample_fraction(struct sample *sample, const struct sample_source *source, const struct sample_pair *pair,
                            struct rng rng, struct error *error);

#endif
