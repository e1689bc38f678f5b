/* restore.h - from a defective skull to its implant: window scan, threshold, postprocessing. A model alone says how.
 *
 *     struct restorer *restorer;
 *     restorer_open(&restorer, "model.h5", &error);
 *     struct restoration result;
 *     restorer_run(&result, restorer, &skull, NULL, &error);      // result.completed, result.implant: masks on skull's grid
 */
#ifndef CALVARIA_INFER_RESTORE_H
#define CALVARIA_INFER_RESTORE_H

#include "infer/postprocess.h"
#include "infer/window.h"
#include "data/volume.h"
#include "nn/model_file.h"

enum restore_task { RESTORE_COMPLETION, RESTORE_IMPLANT };
extern const char *const restore_task_names[]; /* "completion", "implant", NULL */

/* The whole pipeline: stored in every model as the text "restore". */
struct restore_config {
    int task;
    struct window_config window;
    double working_spacing_mm[3]; /* 0: the native grid; else the skull is resampled, and the implant back */
    double threshold;
    struct config_list postprocess; /* struct postprocess_rule each */
};
extern const struct config_table restore_table;

struct restoration {
    struct volume completed, implant; /* u8, the input's grid and storage */
    struct window_stats stats;
    double read_s, network_s, postprocess_s, total_s;
    int64_t peak_bytes;
    int64_t changed_vox; /* completion: voxels where network and input differ before postprocessing, both ways */
};

struct restorer;

/* From a model file, or a run folder (its best.h5, else last.h5). */
enum status restorer_open(struct restorer **ret, const char *path, struct error *error);
/* Over parameters that something else owns (validation during training). */
enum status restorer_new(struct restorer **ret, const struct network_config *network, struct params *params, const struct restore_config *config,
                         struct error *error);
const struct restore_config *restorer_config(const struct restorer *restorer);
const struct model *restorer_model(const struct restorer *restorer); /* NULL when made by restorer_new */
void restorer_params_changed(struct restorer *restorer);
int64_t restorer_bytes(const struct restorer *restorer, const struct grid *grid); /* the bound, before any work */
enum status restorer_run(struct restoration *ret, struct restorer *restorer, const struct volume *skull, struct progress *progress,
                         struct error *error);
void restoration_done(struct restoration *restoration);
void restorer_free(struct restorer *restorer);

#endif
