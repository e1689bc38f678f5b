/* mesh.c - `calvaria mesh`: the surface of a mask or of a field, for a printer. Test: tests/cli/test_mesh_command.sh */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "cli/command.h"
#include "data/volume/formats.h"
#include "infer/mesh/mesh.h"

struct mesh_command {
    struct command_options common;
    const char *out;
    struct mask_choice mask;
    struct mesh_reduction reduction;
    double level;
    int space; /* enum mesh_space */
    bool field, no_smooth, pieces, overwrite;
};

enum { SMOOTHING = 15, PIECES_MOST = 99 };
static const double SMOOTHING_SHIFT = 0.45; /* of a voxel's shortest side */

#define OFFSET(member) offsetof(struct mesh_command, member)
/* clang-format off */
static const struct config_field mesh_fields[] = {
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "the surface's file; its ending chooses the format: .stl, .ply or .3mf"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(mask), .table = &mask_table},
    {.key = "field", .type = CONFIG_BOOL, .offset = OFFSET(field), .text = "false",
     .help = "the input is a field: the surface lies where its values cross --level, the larger ones inside"},
    {.key = "level", .type = CONFIG_DOUBLE, .offset = OFFSET(level), .text = "0", .min = -1e9, .max = 1e9,
     .help = "of --field"},
    {.key = "no_smooth", .type = CONFIG_BOOL, .offset = OFFSET(no_smooth), .text = "false",
     .help = "leave the surface as marching cubes make it"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(reduction), .table = &mesh_reduction_table},
    {.key = "pieces", .type = CONFIG_BOOL, .offset = OFFSET(pieces), .text = "false",
     .help = "write every connected piece as a file of its own too, OUT_1 the largest"},
    {.key = "mesh_space", .type = CONFIG_ENUM, .offset = OFFSET(space), .text = "lps", .names = mesh_space_names,
     .help = "coordinates, millimetres; lps as 3D Slicer takes it"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {0},
};
/* clang-format on */

/* Values less the level, and the mask of what is above it. */
static enum status mesh_read_field(struct volume *ret, float **ret_value, const char *path, double level,
                                   struct error *error)
{
    struct volume read = {0}, mask = {0};
    if (volume_read(&read, path, error))
        return error->status;
    const int64_t n = grid_voxels(&read.grid);
    float *value = memory_alloc((size_t)n, sizeof *value);
    enum status status = value ? volume_new(&mask, &read.grid, VOXEL_U8, error)
                               : error_memory(error, (size_t)n * sizeof *value, "the field");
    for (int64_t i = 0; !status && i < n; i++) {
        const double own = read.type == VOXEL_U8    ? (double)((const uint8_t *)read.data)[i]
                           : read.type == VOXEL_I16 ? (double)((const int16_t *)read.data)[i]
                                                    : (double)((const float *)read.data)[i];
        value[i] = (float)(own - level);
        ((uint8_t *)mask.data)[i] = value[i] > 0;
    }
    volume_done(&read);
    if (status) {
        memory_free(value);
        return status;
    }
    *ret = mask;
    *ret_value = value;
    return STATUS_OK;
}

static enum status mesh_make(struct mesh *ret, const struct mesh_command *options, const char *path,
                             struct error *error)
{
    struct volume mask = {0};
    struct mesh_field field = {0};
    struct mesh mesh = {0};
    enum status status = options->field ? mesh_read_field(&mask, &field.value, path, options->level, error)
                                        : volume_read_mask_by(&mask, path, &options->mask, error);
    if (status)
        return status;

    const struct grid *grid = &mask.grid;
    const double finest = fmin(grid_spacing_mm(grid, 0), fmin(grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)));
    field.box = box_of_grid(grid);
    status = mesh_from_field(&mesh, &mask, options->field ? &field : NULL, error);
    if (!status && !options->no_smooth)
        status = mesh_smooth(&mesh, SMOOTHING, SMOOTHING_SHIFT * finest, 0, error);
    volume_done(&mask);
    mesh_field_done(&field);
    if (!status && mesh.n_triangles == 0)
        status = error_set(error, STATUS_FAILED, "%s: no surface: no value is above %g (choose --level)", path,
                           options->level);
    if (!status)
        status = mesh_reduce(&mesh, &options->reduction, path, error);
    if (status)
        mesh_done(&mesh);
    else
        *ret = mesh;
    return status;
}

/* OUT_k.stl of OUT.stl, in arena. */
static char *mesh_piece_path(struct arena *arena, const char *out, int64_t k)
{
    const char *dot = strrchr(out, '.');
    return arena_printf(arena, "%.*s_%" PRId64 "%s", (int)(dot - out), out, k, dot);
}

static enum status mesh_write_pieces(const struct mesh_command *options, const struct mesh *mesh, struct error *error)
{
    struct arena arena = {0};
    int64_t n = 1;
    enum status status = STATUS_OK;
    for (int64_t k = 0; !status && k < n && k < PIECES_MOST; k++) {
        struct mesh piece = {0};
        char *path = mesh_piece_path(&arena, options->out, k + 1);
        status = path ? file_check_free(path, options->overwrite, error)
                      : error_memory(error, strlen(options->out), "a path");
        if (!status)
            status = mesh_piece(&piece, &n, mesh, k, error);
        if (!status)
            status = mesh_write_file(path, &piece, (enum mesh_space)options->space, error);
        mesh_done(&piece);
    }
    arena_done(&arena);
    return status;
}

static enum status mesh_run(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct mesh_command *options = value;
    struct mesh mesh = {0};
    struct mesh_check check;
    (void)n_inputs;

    /* Before any work: a wrong ending, a file that is there. */
    if (!mesh_path_is_known(options->out))
        return error_set(error, STATUS_USAGE, "--out: %s: the ending chooses the format (.stl, .ply or .3mf)",
                         options->out);
    if (file_check_free(options->out, options->overwrite, error) || mesh_make(&mesh, options, inputs[0], error))
        return error->status;

    enum status status = mesh_verify(&check, &mesh, error);
    if (!status)
        status = mesh_write_file(options->out, &mesh, (enum mesh_space)options->space, error);
    if (!status && options->pieces)
        status = mesh_write_pieces(options, &mesh, error);
    if (!status) {
        log_info("%s: %" PRId64 " triangles, %.2f ml, %.1f cm2%s", options->out, mesh.n_triangles, check.volume_ml,
                 check.area_cm2, check.watertight && check.manifold && check.oriented ? ", closed" : "");
        if (!check.watertight || !check.manifold || !check.oriented || check.n_crossing > 0)
            log_warn("%s: the surface is not closed or crosses itself (%" PRId64 " triangles): it may not print",
                     options->out, check.n_crossing);
    }
    mesh_done(&mesh);
    return status;
}

/* clang-format off */
const struct command command_mesh = {
    .name = "mesh",
    .arguments = "MASK|FIELD --out FILE.stl|.ply|.3mf [--mesh-faces N] [--mesh-tolerance-mm X] [--pieces]",
    .example = "calvaria mesh restored/002_implant.nrrd --out implant.3mf --mesh-tolerance-mm 0.05",
    .options = {.help = "the surface of a mask or a field", .size = sizeof(struct mesh_command),
    .base = &command_base_table,
                .fields = mesh_fields},
    .min_inputs = 1,
    .max_inputs = 1,
    .run = mesh_run,
};
/* clang-format on */
