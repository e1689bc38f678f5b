/* batch.h - `infer INPUT... --out DIR`: every output of one or many cases; shared by calvaria and calvaria-infer. */
#ifndef CALVARIA_INFER_BATCH_H
#define CALVARIA_INFER_BATCH_H

#include "data/segment/skull_file.h"
#include "infer/mesh/mesh.h"
#include "infer/outcome.h"
#include "infer/perforate.h"
#include "infer/restore.h"

enum batch_mesh { BATCH_STL, BATCH_PLY, BATCH_STL_AND_PLY, BATCH_3MF, BATCH_STL_AND_3MF, BATCH_ALL };

struct batch_config {
    const char *model, *out;
    int format;                 /* 0: the input's; else 1 + enum volume_format */
    int mesh_space;             /* enum mesh_space */
    struct config_strings set;  /* over the model's restoration */
    int mesh_format;            /* enum batch_mesh */
    struct outcome_rules rules; /* after the model's */
    struct perforation holes;
    struct mesh_reduction reduction; /* of all surfaces */
    const char *max_memory;          /* "800M"; NULL or "": no limit */
    bool no_mesh, no_picture, no_page, keep_raw, skull_meshes;
    const char *input_name;            /* in reports, in place of the input's file name; NULL: that. Not an option */
    struct config_strings input_notes; /* what was done to the input before, for the report. Not an option */
    /* Not options: where the restoration is kept, or taken from in place of the network, and labels painted by hand
     * (edit.h). NULL: none. */
    const char *keep_result, *from_result, *edit;
    bool join;                  /* cases that are done, or that another process works on, are left out */
    bool overwrite;             /* results of an earlier run are replaced */
    struct skull_options input; /* how an input is read: masks, labels, CTs */
};
extern const struct config_table batch_table; /* also the command's options */

/* Writes NAME_completed, NAME_implant, NAME_implant.stl, NAME_report.json, NAME_report.html, NAME_implant.png,
 * NAME_thickness.png, NAME_insertion.png (and NAME_raw, NAME_implant.ply on request). A case that fails is reported on
 * stderr and does not stop the rest: then STATUS_FAILED with the list. Refused before any work: two inputs of one NAME,
 * results that exist (unless config->overwrite or join), a folder that cannot be made. A CT is segmented first; its
 * skull is NAME_skull. The memory bound is logged before the work; one line per restored case goes to `table`. */
enum status batch_run(const struct batch_config *config, int n_inputs, char *const *inputs, FILE *table,
                      struct error *error);

#endif
