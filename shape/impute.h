/* impute.h - heads with gaps: which radii can be believed, and what the others were, by expectation and maximisation
 * (Dempster, Laird, Rubin 1977).
 *
 * E step: the radii a head lacks are its conditional mean given those it has, and what is not known about them is kept
 * as rows of the posterior covariance. M step: the population of the completed heads and these rows. A head's own rows
 * are left out when it is filled: among few heads its last values would confirm themselves. */
#ifndef CALVARIA_SHAPE_IMPUTE_H
#define CALVARIA_SHAPE_IMPUTE_H

#include "base/log.h"
#include "shape/covariance.h"

/* In: heads->map with NaN where nothing was met; complete: 1 where a head has no defect (n); missing: 1 where the
 * volume ends, so that nothing could be met. missing (n x rays): 1 where a radius is not to be believed: not met, or
 * farther from the median of the heads than max(5 MAD, 4 mm), on either surface; of a defective head also what lies
 * within 6 mm of a ray that meets nothing. Fewer than 8 heads do not show what is odd: there also what stands 4 mm off
 * the head's own smoothed surface. good (rays): MAD below 6 mm on the outer surface, bone is met in all but 12 % of the
 * heads, and the mirrored ray is good. Holes of defective heads do not count, as long as a quarter of the heads, and 3,
 * are known there. With fewer than 64 heads a margin about what any head lacks is not good either. Where the inner
 * surface varies (brow, temple) that is part of the model. Values that are missing become the median. With a centre,
 * its heads alone say what is good; the others are compared with each other. */
enum status impute_find(uint8_t *missing, uint8_t *good, struct heads *heads, const uint8_t *complete,
                        const struct disc *disc, struct error *error);

struct impute_result {
    int64_t n_filled; /* radii, in good rays */
    int64_t rounds;
    double change_mm; /* mean absolute change in the last round */
};

/* Fills the missing radii of good rays of the centre's heads in place and sets heads->spread (memory_free). progress,
 * if not NULL, counts n * IMPUTE_ROUNDS. */
enum { IMPUTE_ROUNDS = 2 };
enum status impute_fill(struct heads *heads, const uint8_t *missing, const uint8_t *good, const struct disc *disc,
                        const struct covariance_params *params, struct impute_result *ret_result,
                        struct progress *progress, struct error *error);

#endif
