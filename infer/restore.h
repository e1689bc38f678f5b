/* restore.h - from a defective skull to its implant: window scan, threshold, postprocessing. The model states the
 * pipeline.
 *
 *     struct restorer *restorer;
 *     restorer_open(&restorer, "model.h5", NULL, &error);
 *     struct restoration result;
 *     restorer_run(&result, restorer, &skull, NULL, &error);
 *       // result.completed, result.implant: masks on skull's grid
 *
 * completion: p is the completed skull; implant = postprocess(p > threshold and not defective).
 * implant:    p is the implant itself;  implant = postprocess(p > threshold and not defective).
 * Either way completed = defective or implant.
 *
 * correction: the network corrects the depth of the shape model that comes with it (positive inside the implant, mm).
 * implant = shape model's rules of (depth + correction > 0 and not defective), on the skull's own grid: where the
 * correction is nothing, the result is the shape model's to the bit.
 *
 * A shape model beside a cascade (beside.h): the shape model restores, the networks add what lies on no ray of a hole.
 *
 * A shape model (shape/model.h) needs no network: it finds the holes itself, and states the uncertainty of the implant.
 *
 * Ensemble: members run one after the other, and the mean of their fields is restored from (ensemble.h).
 *
 * Cascade: a model with a coarse stage inside. The coarse stage predicts the missing part of the whole
 * skull at its own spacing (of completion: what it adds to the skull). The fine stage runs only where that prediction
 * is above min_prior, and takes it as a second channel. */
#ifndef CALVARIA_INFER_RESTORE_H
#define CALVARIA_INFER_RESTORE_H

#include "infer/mesh/mesh.h"
#include "infer/postprocess.h"
#include "infer/window.h"
#include "data/task.h"
#include "data/volume/volume.h"
#include "nn/model/model_file.h"

/* The whole pipeline: stored in every model as the text "restore". */
/* Of the network's activations: as the model says, or another one. */
enum restore_precision { RESTORE_PRECISION_MODEL, RESTORE_PRECISION_FLOAT32, RESTORE_PRECISION_BFLOAT16 };

struct restore_config {
    int task;
    struct window_config
        window; /* its keys stand among the others: scan, overlap_frac, patch_vox, top_vox, batch ... */
    double working_spacing_mm[3]; /* 0: the native grid; else the skull is resampled (each voxel the share of bone in
                                     its box), the network's values back (linear) */
    double threshold;
    const char *correction; /* the network's layer that corrects a shape model's depth, mm; NULL: it predicts p */
    struct config_list postprocess; /* struct postprocess_rule each */
    int pieces;                     /* enum pieces_rule */
    int precision;                  /* enum restore_precision */
};
extern const struct config_table restore_table;
/* A pipeline from its text, with "key=value" over it (sets may be NULL); errors name `where`. Points into arena. */
enum status restore_config_read(struct restore_config *ret, const char *text, const char *where,
                                const struct config_strings *sets, struct arena *arena, struct error *error);
/* Cuts the network behind the layer that holds the correction; without one it stays. STATUS_USAGE: no such layer, or no
 * task in which there is a depth to correct. */
enum status restore_config_cut(struct network_config *network, const struct restore_config *config,
                               struct error *error);
/* The text of a pipeline, every key written out. In arena. */
enum status restore_config_text(const char **ret, const struct restore_config *config, struct arena *arena,
                                struct error *error);

struct shape_model;
struct shape_restoration; /* shape/restore.h */

struct restoration {
    struct volume completed, implant; /* u8, the input's grid and storage */
    struct volume prediction;         /* p on the working grid; data NULL unless restorer_keep_prediction */
    double threshold;                 /* of p */
    struct mesh_field cuts;           /* what rules cut from the implant, exact between the voxels (part.h) */
    struct volume raw;                /* p > threshold, before anything else; data NULL unless restorer_keep_raw */
    struct window_stats stats;
    double network_s, postprocess_s, total_s;
    struct volume spread; /* of an ensemble (ensemble.h): half the 90 % interval of the surface, mm, on the working
                             grid; data NULL of any other */
    struct shape_restoration *shape; /* of a shape model: pose, holes, surfaces and how sure it is; NULL of any other */
    int64_t peak_bytes;              /* of the process, when the restoration was done */
    struct pieces_removed removed;   /* by the model's rules */
    int64_t changed_vox;             /* raw and input (implant task: raw and nothing) differ, on the scanned slices */
};

struct restorer;

/* The model file that path stands for: itself, a run folder's model.h5, else best.h5, else last.h5; NULL: the model
 * shipped with the program, models/default.h5. In arena. */
enum status restorer_find(const char **ret, const char *path, struct arena *arena, struct error *error);
/* From what restorer_find takes, or "builtin:nothing" (an empty implant), "builtin:mirror" (the
 * skull mirrored at its symmetry plane, mirror.h). sets (may be NULL): "key=value" over the model's restoration, as
 * "threshold=0.4" or "postprocess=[{open: 2}]". */
enum status restorer_open(struct restorer **ret, const char *path, const struct config_strings *sets,
                          struct error *error);
/* From the bytes of a model file or a shape model's file, which are not kept; name stands for the path in messages and
 * reports. */
enum status restorer_open_image(struct restorer **ret, const void *bytes, size_t n, const char *name,
                                const struct config_strings *sets, struct error *error);
/* Over parameters that something else owns (validation during training). config is copied but for its postprocess list,
 * which must live on. coarse: the stage whose prediction is the network's second channel, owned by the caller;
 * NULL: there is none. */
enum status restorer_new(struct restorer **ret, const struct network_config *network, struct params *params,
                         const struct restore_config *config, struct restorer *coarse, struct error *error);
/* The coarse stage alone: of a model that has one inside (a network or a shape model), else the model itself. */
enum status restorer_open_coarse(struct restorer **ret, const char *path, struct error *error);
/* A coarse stage's prediction for one frame of restorer_config()->window.patch_vox voxels, as in restorer_run. */
enum status restorer_predict(float *p, struct restorer *restorer, const float *frame, struct error *error);
const struct restore_config *restorer_config(const struct restorer *restorer);
const struct model *restorer_model(const struct restorer *restorer); /* NULL when made by restorer_new, or builtin */
/* The shape model that predicts: the restorer itself, or the coarse stage of a network; NULL: there is none. */
const struct shape_model *restorer_shape(const struct restorer *restorer);
const void *restorer_shape_file(const struct restorer *restorer, int64_t *ret_bytes);
int64_t restorer_members(const struct restorer *restorer);          /* of an ensemble; 1 of anything else */
const char *restorer_path(const struct restorer *restorer);         /* the model file, "builtin:...", or "" */
bool restorer_hash(const struct restorer *restorer, uint64_t *ret); /* XXH64 of the bytes it was opened from, if so */
void restorer_params_changed(struct restorer *restorer);
void restorer_keep_raw(struct restorer *restorer, bool keep);
/* Where the network has a working grid: its values stay, so that the implant's surface lies between the voxels. */
void restorer_keep_prediction(struct restorer *restorer, bool keep);
int64_t restorer_prediction_bytes(const struct restorer *restorer, const struct grid *grid); /* what stays */
/* p at the voxels of a box of the native grid, x fastest: smooth between the voxels of its own grid. */
enum status prediction_values(float *out, const struct grid *native, struct box box, const struct volume *p,
                              struct error *error);
int64_t restorer_bytes(const struct restorer *restorer, const struct grid *grid); /* the bound, before any work */
/* skull: a u8 mask. */
enum status restorer_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull,
                         struct progress *progress, struct error *error);
/* completed = skull or implant, once the implant was changed. */
void restoration_complete(struct restoration *restoration, const struct volume *skull);
/* Half the width, mm, of the interval that holds the surface nearer to a world position with a probability of 90 %: by
 * an ensemble's spread, else by its shape model; NaN where neither states one. */
double restoration_interval_mm(const struct restoration *restoration, const struct restorer *restorer,
                               const double world[3]);
void restoration_done(struct restoration *restoration);
void restorer_free(struct restorer *restorer);

#endif
