/* features.h - what the feature maps of a trained network respond to: the interpretability study of Li et al. 2021
 * (section 4.3): some keep the shape of the bone that is there, others light up where it is missing.
 *
 *     struct features features;
 *     features_open(&features, restorer, &layers, &error);
 *     features_look(&features, &skull, &implant, &error);       // any number of skulls, one after the other
 *     features.layers[l].values, .r_bone[m], .r_missing[m] ...
 *     features_close(&features);
 *
 * One patch of each skull is shown to the network: as restorer_run cuts it, centred on the missing part (the frame of a
 * coarse stage, the whole volume of scan whole). Of a cascade, the coarse stage is studied. */
#ifndef CALVARIA_INFER_FEATURES_H
#define CALVARIA_INFER_FEATURES_H

#include "infer/restore.h"

struct feature_layer {
    const char *name, *type;
    int64_t index, n_maps, size[3]; /* x, y, z of a map */
    float *values;                  /* n_maps x size, of the last skull */
    float *bone, *missing;          /* size: shares of bone and of missing bone in each voxel of a map */
    double *r_bone,
        *r_missing; /* n_maps: Pearson's correlation of a map with either; 0 where one of them is constant */
};

struct features {
    struct arena arena;
    struct restorer *restorer;
    int64_t patch[3];     /* x, y, z */
    float *src, *missing; /* the patch: the defective skull, and what is missing in it */
    int64_t n_layers;
    struct feature_layer *layers;
};

/* layers: names as `calvaria info` shows them; none: the last layer of every resolution on the way down and up, and the
 * output. The restorer is the caller's. STATUS_USAGE: no such layer (with the nearest name), or a restorer without a
 * network. */
enum status features_open(struct features *ret, struct restorer *restorer, const struct config_strings *layers,
                          struct error *error);
/* implant: what is missing, on skull's grid. */
enum status features_look(struct features *features, const struct volume *skull, const struct volume *implant,
                          struct error *error);
void features_close(struct features *features);

/* A 3D map seen along one axis: out is size of the two others (the lower axis fastest). slice: the middle one. */
enum projection { PROJECT_MEAN, PROJECT_MAX, PROJECT_SLICE };
extern const char *const projection_names[]; /* "mean", "max", "slice", NULL */
void feature_project(float *out, const float *map, const int64_t size[3], int axis, enum projection how);

/* Pearson's correlation of n values; 0 where either is constant. */
double feature_correlation(const float *a, const float *b, int64_t n);

#endif
