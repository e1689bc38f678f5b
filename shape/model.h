/* model.h - shape.h5: all that is learnt about heads. Readable with h5py; see docs/shape.md.
 *
 *   /               attributes: format "calvaria-shape", format_version 1 or 2, set_hash, licence,
 *                   disc_n, disc_reach, factor_50, factor_90, and every hyper-parameter by its name
 *   /template       float32 (n, n): outer radius over the template disc, mm
 *   /good           uint8 (rays): 1 where the model vouches for its radii
 *   /rough          float32 (rays, 2): roughness of the two surfaces, mm
 *   /scale          float32 (rays, 2): factor of the two surfaces' predicted sd, from skulls left out
 *   /occupancy      uint8 (rays, 16): share of the heads, times 255, with bone there between the two surfaces, from
 *                   the inner one outwards; absent: bone everywhere
 *   /heads/map      float32 (heads, rays, 2): inner and outer radius, mm, gaps filled
 *   /heads/missing  uint8 (heads, rays): 1 where the radius was filled, not measured
 *   /heads/spread   float32 (rows, rays, 2): uncertainty of what was filled, mm
 *   /heads/pose     float64 (heads, 15): rotation, centre, scale of the head in its volume
 *   /heads/group    int32 (heads); /heads/name, /heads/hash, /heads/complete: what each is
 *   /heads/centre   uint8 (heads), format_version 2 alone: 1 where a head belongs to the mean
 *
 *     struct shape_model model;
 *     if (shape_model_read(&model, "shape.h5", error)) ...
 *     struct population *all = &model.population;
 *     hole_find(&hole, &model.disc, &map, &all->mean, &all->sd, model.good, &hole_default, error);
 *     shape_predict(&filled, &sd, all, &model.covariance, &map, &hole, error);
 *     shape_model_done(&model); */
#ifndef CALVARIA_SHAPE_MODEL_H
#define CALVARIA_SHAPE_MODEL_H

#include "shape/covariance.h"
#include "shape/pose.h"

/* Where one head came from. */
struct shape_head {
    const char *name;      /* of the case in the set */
    uint64_t content_hash; /* of its voxels: the same skull in another set is found again by it */
    bool complete;         /* false: a defective skull, whose hole was filled */
    struct pose pose;      /* of the head in its volume */
};

/* Half the width of an interval of this probability is its factor times the standard deviation; from skulls left out,
 * see fit.h. */
struct shape_calibration {
    double factor_50, factor_90;
};

struct shape_model {
    struct arena arena;
    struct disc disc, template_disc;
    float *template;  /* template_disc n x n, mm */
    uint8_t *good;    /* disc rays */
    uint8_t *missing; /* heads x rays */
    struct heads heads;
    struct shape_head *head;
    struct covariance_params covariance;
    struct shape_calibration calibration;
    const char *set_hash, *licence; /* hexadecimal; a note, may be empty */
    struct population population;   /* of all heads */
};

/* Refuses what is no shape model, another version, wrong shapes, values that are not finite. */
enum status shape_model_read(struct shape_model *ret, const char *path, struct error *error);
/* The same from the file's bytes, as a network's model holds them; path: for messages. */
enum status shape_model_read_image(struct shape_model *ret, const void *bytes, int64_t n, const char *path,
                                   struct error *error);
enum status shape_model_write(const char *path, const struct shape_model *model, struct error *error);
void shape_model_done(struct shape_model *model);
/* The file says that it is one (of any version). */
bool shape_model_is(const char *path);
bool shape_model_is_image(const void *bytes, size_t n); /* the same of a file's bytes */
/* A skull of the model predicted without itself, its mirrored copy and its group (leave-one-out by downdate: their rows
 * are left out of the mean, the spread and the covariance). *ret: to be used in place of model->population, also in
 * hole_find; population_done. A skull that is not in the model gets the population of all heads. Thread-safe. Template,
 * good rays and hyper-parameters are the model's. */
enum status shape_model_without(struct population *ret, const struct shape_model *model, const char *name,
                                uint64_t content_hash, struct error *error);
/* The head with these voxels, else the one of this name (NULL: by voxels alone); -1: none. */
int64_t shape_model_find(const struct shape_model *model, const char *name, uint64_t content_hash);

#endif
