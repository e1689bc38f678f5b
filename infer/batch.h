/* batch.h - `infer INPUT... --out DIR`: every output of one or many cases; shared by calvaria and calvaria-infer. */
#ifndef CALVARIA_INFER_BATCH_H
#define CALVARIA_INFER_BATCH_H

#include "infer/mesh.h"
#include "infer/restore.h"

struct batch_config {
    const char *model, *out;
    const char *format;  /* NULL: the input's; nii, nii.gz, nrrd, nhdr */
    int mesh_space;      /* enum mesh_space */
    bool no_mesh, no_picture;
};
extern const struct config_table batch_table; /* also the command's options */

/* Writes NAME_completed, NAME_implant, NAME_implant.stl, NAME_report.json, NAME_implant.png. A case that fails is told on stderr and does not
 * stop the rest: then STATUS_FAILED with the list. Two inputs of one NAME are refused before any work. */
enum status batch_run(const struct batch_config *config, int n_inputs, char *const *inputs, struct error *error);

#endif
