/* batch.h - `infer INPUT... --out DIR`: every output of one or many cases; shared by calvaria and calvaria-infer. */
#ifndef CALVARIA_INFER_BATCH_H
#define CALVARIA_INFER_BATCH_H

#include "infer/mesh.h"
#include "infer/restore.h"

struct batch_config {
    const char *model, *out;
    int format;                /* 0: the input's; else 1 + enum volume_format */
    int mesh_space;            /* enum mesh_space */
    struct config_strings set; /* over the model's restoration */
    bool no_mesh, ply, no_picture, keep_raw;
};
extern const struct config_table batch_table; /* also the command's options */

/* Writes NAME_completed, NAME_implant, NAME_implant.stl, NAME_report.json, NAME_implant.png (and NAME_raw, NAME_implant.ply on
 * request). A case that fails is told on stderr and does not stop the rest: then STATUS_FAILED with the list. Two inputs of one
 * NAME are refused before any work; so is a folder that cannot be made. The memory bound is told before the work, one
 * line per restored case goes to `table`. */
enum status batch_run(const struct batch_config *config, int n_inputs, char *const *inputs, FILE *table, struct error *error);

#endif
