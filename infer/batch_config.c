/* batch_config.c - the options of `infer`; see batch.h. */
#include "infer/batch.h"

#include "base/options.h"

static const char *const format_names[] = {"input", "nii.gz", "nii", "nrrd", "nhdr", NULL};
static const char *const mesh_format_names[] = {"stl", "ply", "both", "3mf", "stl_and_3mf", "all", NULL};

#define OFFSET(member) offsetof(struct batch_config, member)
/* clang-format off */
static const struct config_field batch_fields[] = {
    {.key = "model", .type = CONFIG_STRING, .offset = OFFSET(model),
     .help = "model file or run folder; default: the shipped shape model; builtin:nothing and "
             "builtin:mirror need no network"},
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "folder for the results, made where absent"},
    {.key = "format", .type = CONFIG_ENUM, .offset = OFFSET(format), .text = "input", .names = format_names,
     .help = "of the volumes written"},
    {.key = "mesh_space", .type = CONFIG_ENUM, .offset = OFFSET(mesh_space), .text = "lps", .names = mesh_space_names,
     .help = "coordinates of the mesh, millimetres; lps as 3D Slicer takes it"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE over the model's restoration, as threshold=0.4 or scan=overlap"},
    {.key = "no_mesh", .type = CONFIG_BOOL, .offset = OFFSET(no_mesh), .text = "false", .help = "write no mesh"},
    {.key = "mesh_format", .type = CONFIG_ENUM, .offset = OFFSET(mesh_format), .text = "stl",
     .names = mesh_format_names,
     .help = "binary STL, binary PLY, both, 3MF (with its unit), STL and 3MF, or all three"},
    {.key = "skull_meshes", .type = CONFIG_BOOL, .offset = OFFSET(skull_meshes), .text = "false",
     .help = "write NAME_skull and NAME_completed as meshes too, for a test print"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(reduction), .table = &mesh_reduction_table},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(rules), .table = &outcome_rules_table},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(holes), .table = &perforation_table},
    {.key = "max_memory", .type = CONFIG_STRING, .offset = OFFSET(max_memory),
     .help = "as 800M or 1.5G: smaller batches and coarser measures where that is needed; a case that cannot fit "
             "is refused"},
    {.key = "no_picture", .type = CONFIG_BOOL, .offset = OFFSET(no_picture), .text = "false",
     .help = "write no PNG, and none in the page"},
    {.key = "no_page", .type = CONFIG_BOOL, .offset = OFFSET(no_page), .text = "false",
     .help = "write no NAME_report.html"},
    {.key = "keep_raw", .type = CONFIG_BOOL, .offset = OFFSET(keep_raw), .text = "false",
     .help = "write NAME_raw: the network's thresholded prediction before the rules"},
    {.key = "join", .type = CONFIG_BOOL, .offset = OFFSET(join), .text = "false",
     .help = "leave out cases that are done: several processes with one --out share the rest, and a stopped one is "
             "gone on with"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(input), .table = &skull_table},
    {0},
};
/* clang-format on */
const struct config_table batch_table = {
    .help = "Restoring skulls", .size = sizeof(struct batch_config), .fields = batch_fields};
