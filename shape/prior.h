/* prior.h - the shape model's prediction as further channels of a network (data/sample/prior_field.h).
 *
 *   channel 0   clamp(1/2 + depth / (2 clip_mm), 0, 1) where the voxel's ray is in a hole, else 0: above 1/2 is
 * predicted bone. depth: signed distance into the predicted shell along the ray, canonical mm (depth.h). channel 1
 * optional: clamp(sd / clip_mm, 0, 1), the mean standard deviation of both surfaces there, else 0.
 *
 *     struct shape_prior prior = {.model = &model, .clip_mm = SHAPE_PRIOR_CLIP_MM};
 *     if (shape_prior_predict(&field, &prior, &skull, -1, "case_00", error)) ... memory_free(field.value); */
#ifndef CALVARIA_SHAPE_PRIOR_H
#define CALVARIA_SHAPE_PRIOR_H

#include "data/sample/prior_field.h"
#include "shape/restore.h"

#define SHAPE_PRIOR_CLIP_MM 3.0

struct shape_prior {
    const struct shape_model *model;
    double clip_mm;
    bool with_sd;
};

int64_t shape_prior_channels(const struct shape_prior *prior);
/* head: its number in the model, when the skull is one of the model's own: it is then predicted without itself, its
 * mirrored copy and its group, from its known pose. -1: a new skull; its pose is searched. skull: u8, bone is not 0. An
 * empty box where no hole was found. STATUS_FAILED: no head (`name` starts the message), memory. */
enum status shape_prior_predict(struct prior_field *ret, const struct shape_prior *prior, const struct volume *skull,
                                int64_t head, const char *name, struct error *error);
/* The same of a skull that was restored already, with_sd as the prior wants it. */
enum status shape_prior_of(struct prior_field *ret, const struct shape_prior *prior,
                           const struct shape_restoration *restoration, const struct grid *grid, struct error *error);

#endif
