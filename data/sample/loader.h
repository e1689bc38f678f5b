/* loader.h - training pairs, endless: draws a skull of one split, gives it a defect (fresh from a generator, or a
 * stored one), cuts patches, on worker threads with a bounded queue.
 *
 * The sequence of batches is a pure function of (dataset, configuration, seed): the same for 1 or 8 workers and after a
 * resume. A position is (sample, patch): `sample` numbers the skulls drawn so far, `patch` the patches of the current
 * one already given.
 *
 * Several processes share one sequence: with config.shares n, process r gets its patches r, r + n, r + 2 n ..., counted
 * from the start; skulls that hold none of them are not drawn. A batch then moves the position by batch * n patches,
 * the same in every process. */
#ifndef CALVARIA_DATA_SAMPLE_LOADER_H
#define CALVARIA_DATA_SAMPLE_LOADER_H

#include "data/sample/augment.h"
#include "data/dataset/fold.h"
#include "data/defects/defect.h"
#include "data/task.h"

enum sampler { SAMPLER_GRID, SAMPLER_RANDOM, SAMPLER_DEFECT, SAMPLER_WHOLE };

/* The network's further channels: a prediction of what is missing from the whole skull, interpolated at the patch's
 * voxels. It comes from `predict` or from `field`; neither: there is no prior. */
struct loader_prior {
    /* A coarse network. p and src: plain, patch_vox, the crop that holds the skull (data/volume/resample.h). Called by
     * loader_next, on its thread, once for each sample. One channel. */
    enum status (*predict)(void *context, const float *src, float *p, struct error *error);
    double spacing_mm;
    int64_t patch_vox[3];
    /* A model of the head. defective: u8, bone is not 0, on the grid of the case. Called by the workers, several at a
     * time, once for each sample; the augmentation moves its values with the bone. */
    enum status (*field)(void *context, struct prior_field *ret, const struct dataset_case *item,
                         const struct volume *defective, struct error *error);
    int64_t field_channels; /* of `field` */
    void *context;
};
/* Gives a drawn skull another head's shape: a share of the way. *ret: NULL where the skull is to stay as it is. Called
 * by the workers, several at a time, where the augmentation's warp_shape is above 0. */
struct loader_warp {
    enum status (*draw)(void *context, struct augment_warp **ret, const struct dataset_case *item, double share,
                        struct rng rng, struct error *error);
    void *context;
};
/* Channels of the prior: 0, 1 or field_channels. */
int64_t loader_prior_channels(const struct loader_prior *prior);

struct loader_config {
    struct fold fold;          /* cross-validation; number 0: the dataset's own split */
    const char *set, *defects; /* paths; defects NULL: the stored implants */
    double stored_frac;        /* with defects: share of drawn skulls that get a stored implant, where they have one */
    double healthy_frac;       /* share of drawn skulls that stay whole: nothing is missing */
    int sampler;          /* enum sampler: all tiles of the grid in order (the paper), at random, around the defect with
                             defect_ratio, whole */
    int64_t patch_vox[3]; /* x, y, z */
    double spacing_mm;    /* of the patches' voxels, which then are shares of bone; 0: the skull's own */
    int64_t patches_per_skull; /* random, defect: patches cut per drawn skull */
    double defect_ratio;       /* defect: share of patches centred on a random implant voxel */
    int64_t top_vox;           /* grid: tiles of the top this many slices (128 in the paper); 0: the whole height */
    int64_t workers, queue;
    struct augment_config augment; /* of the split train alone: the others are not augmented */
    bool distance;                 /* no key: the caller's losses need the distance from each target's surface */
    struct loader_prior prior;     /* no key: set by the program */
    struct loader_warp warp;       /* likewise; needed with warp_shape */
    int64_t share,
        shares; /* no keys: of each `shares` patches of the sequence this loader gives number `share`; 0 shares: all */
};
extern const struct config_table loader_table;

struct loader_position {
    int64_t sample, patch;
};

struct loader;

enum status loader_new(struct loader **ret, const struct loader_config *config, enum task task,
                       enum dataset_split split, uint64_t seed, struct loader_position start, struct error *error);
/* Fills src and target with `batch` patches, each plain D x H x W floats: 0 or 1, shares where spacing_mm is set; src
 * has further channels where there is a prior. With config.distance, `distance` (else ignored):
 * distance_signed of each target above one half. Waits for the workers. *ret_position: where to resume after this
 * batch. */
enum status loader_next(struct loader *loader, int64_t batch, float *src, float *target, float *distance,
                        struct loader_position *ret_position, struct error *error);
double loader_wait_s(const struct loader *loader); /* time loader_next has waited so far */
void loader_free(struct loader *loader);

#endif
