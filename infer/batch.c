/* batch.c - many cases, one after the other; see batch.h. */
#include "infer/batch.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/claim.h"
#include "base/file.h"
#include "data/picture/render.h"
#include "data/volume/formats.h"
#include "infer/batch_memory.h"
#include "infer/edit.h"
#include "infer/outcome.h"
#include "infer/report/report_prediction.h"
#include "infer/restoration_file.h"

/* One input on its way. */
struct batch_case {
    const char *path, *name;
    bool failed, skipped; /* skipped: done before */
    double begin, read_s; /* when it began; reading took */
    struct memory_plan plan;
    struct skull_report input;
    struct skull_input file; /* what is read: the input, or of DICOM the converted series */
    struct error unopened;   /* why that could not be made */
    struct edit_report edit;
    struct report report;
    struct insertion insertion;
    struct restoration result;
};

struct batch {
    const struct batch_config *config;
    struct restorer *restorer;
    struct batch_case *cases;
    int n;
    int64_t limit;            /* of memory, bytes; 0: none */
    struct progress progress; /* over the cases, where there are several */
    int n_run, n_failed, n_skipped;
    const char *failed; /* the paths of those */
    struct arena arena;
};

static enum status batch_names(struct batch *batch, char *const *inputs, struct error *error)
{
    batch->cases = arena_alloc(&batch->arena, (size_t)batch->n, sizeof *batch->cases);
    if (!batch->cases)
        return error_memory(error, (size_t)batch->n * sizeof *batch->cases, "the cases");
    for (int i = 0; i < batch->n; i++) {
        batch->cases[i].path = inputs[i];
        batch->cases[i].name = volume_case_name(&batch->arena, inputs[i]);
        if (!batch->cases[i].name)
            return error_memory(error, strlen(inputs[i]), "the cases' names");

        /* Results are named after their case: two equal names would overwrite each other. */
        for (int j = 0; j < i; j++)
            if (strcmp(batch->cases[i].name, batch->cases[j].name) == 0)
                return error_set(
                    error, STATUS_USAGE,
                    "%s: has the name '%s' of %s: their results would overwrite each other (use two --out folders)",
                    inputs[i], batch->cases[i].name, inputs[j]);
    }

    return STATUS_OK;
}

/* OUT/NAME + ending, in arena; NULL with the error set. */
static char *case_file(const struct batch *batch, const struct batch_case *one, struct arena *arena, const char *ending,
                       const char *suffix, struct error *error)
{
    char *name = arena_printf(arena, "%s%s%s", one->name, ending, suffix);
    char *path = name ? file_join(arena, batch->config->out, name) : NULL;
    if (!path)
        error_memory(error, strlen(one->name), "a path");
    return path;
}

/* NAME_implant in an input's own folder may well be the truth. */
static enum status batch_folder(const struct batch *batch, struct error *error)
{
    struct stat out, in;
    if (file_make_folders(batch->config->out, error))
        return error_while(error, "making the folder of --out");
    for (int i = 0; i < batch->n && stat(batch->config->out, &out) == 0; i++) {
        struct arena arena = {0};
        char *folder = file_folder(&arena, batch->cases[i].path);
        if (!folder) /* and nothing is in the arena */
            return error_memory(error, strlen(batch->cases[i].path), "a path");
        const bool same = stat(folder, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
        arena_done(&arena);
        if (same)
            return error_set(
                error, STATUS_USAGE,
                "--out: %s: is the folder of %s: a true implant in it could be overwritten (give another folder)",
                batch->config->out, batch->cases[i].path);
    }

    /* Every case writes its report last: where that exists, an earlier run's results do. */
    for (int i = 0; i < batch->n && !batch->config->join; i++) {
        struct arena arena = {0};
        char *report = case_file(batch, &batch->cases[i], &arena, "_report", ".json", error);
        enum status status = report ? file_check_free(report, batch->config->overwrite, error) : error->status;
        arena_done(&arena);
        if (status)
            return status;
    }

    return STATUS_OK;
}

/* Of DICOM the series is converted here, so that its header is known; what cannot be opened fails with its case. */
static void batch_inputs(struct batch *batch)
{
    for (int i = 0; i < batch->n; i++) {
        struct batch_case *one = &batch->cases[i];
        skull_input_open(&one->file, one->path, batch->config->input.series, &one->unopened);
    }
}

/* A plan for one case, by its header alone. */
static enum status case_plan(struct memory_plan *ret, const struct batch *batch, const struct batch_case *one,
                             struct error *error)
{
    struct volume header;
    if (one->unopened.status) {
        *error = one->unopened;
        return error->status;
    }
    if (volume_read_header(&header, one->file.path, error))
        return error->status;
    enum status status = memory_plan_make(ret, batch->config, batch->restorer, &header, batch->limit, error);
    volume_done(&header);
    return status;
}

/* The largest bound over all cases, logged before any work where `log` is set. A header that cannot be read is reported
 * with its case. Returns whether every case fits. */
static bool batch_log_memory(struct batch *batch, bool log)
{
    int64_t most = 0;
    const char *of = NULL;
    bool all = true;

    for (int i = 0; i < batch->n; i++) {
        struct error why = {0};
        struct memory_plan plan = {0};
        if (case_plan(&plan, batch, &batch->cases[i], &why)) {
            all = all && why.no_memory;
        } else if (plan.bound_bytes > most) {
            most = plan.bound_bytes;
            of = batch->cases[i].name;
        }
    }

    if (of && log)
        log_info("%d case%s; at most %.0f MB of memory, for %s", batch->n, batch->n == 1 ? "" : "s", (double)most / 1e6,
                 of);

    return all;
}

/* Where a limit is too tight for the model's batches of patches: one at a time. */
static enum status batch_open(struct batch *batch, struct error *error)
{
    const struct batch_config *config = batch->config;
    if (memory_parse(&batch->limit, config->max_memory, "--max-memory", error) ||
        restorer_open(&batch->restorer, config->model, &config->set, error))
        return error->status;
    if (batch->limit > 0 && !batch_log_memory(batch, false) && restorer_config(batch->restorer)->window.batch > 1) {
        /* A later setting replaces an earlier one of the same key. */
        struct config_strings sets = {config->set.n + 1,
                                      arena_alloc(&batch->arena, (size_t)config->set.n + 1, sizeof *sets.items)};
        if (!sets.items)
            return error_memory(error, (size_t)sets.n * sizeof *sets.items, "the settings");
        for (int64_t i = 0; i < config->set.n; i++)
            sets.items[i] = config->set.items[i];
        sets.items[config->set.n] = "batch=1";
        restorer_free(batch->restorer);
        batch->restorer = NULL;
        if (restorer_open(&batch->restorer, config->model, &sets, error))
            return error->status;
    }

    if (restorer_members(batch->restorer) > 1)
        log_info("an ensemble of %d networks: in time each case is that many restorations by one, in memory one",
                 (int)restorer_members(batch->restorer));
    restorer_keep_raw(batch->restorer, config->keep_raw);
    restorer_keep_prediction(batch->restorer, !config->no_mesh);
    batch_log_memory(batch, true);

    return STATUS_OK;
}

static enum status case_write_volume(const struct batch *batch, const struct batch_case *one,
                                     const struct volume *volume, const char *ending, struct error *error)
{
    struct arena arena = {0};
    enum volume_format format = batch->config->format ? (enum volume_format)(batch->config->format - 1)
                                : one->file.is_dicom  ? VOLUME_NIFTI_GZ
                                                      : volume->storage.format;
    char *path = volume->data ? case_file(batch, one, &arena, ending, volume_suffix(format), error) : NULL;
    enum status status = path ? volume_write(path, volume, error) : volume->data ? error->status : STATUS_OK;
    arena_done(&arena);
    return status;
}

/* A mesh in every format that --mesh-format names: OUT/NAME + ending. */
static enum status case_write_mesh(const struct batch *batch, const struct batch_case *one, const struct mesh *mesh,
                                   const char *ending, struct error *error)
{
    static const bool stl[] = {true, false, true, false, true, true}, ply[] = {false, true, true, false, false, true},
                      mf[] = {false, false, false, true, true, true};
    const int format = batch->config->mesh_format;
    const enum mesh_space space = (enum mesh_space)batch->config->mesh_space;
    struct arena arena = {0};
    char *path[3] = {case_file(batch, one, &arena, ending, ".stl", error),
                     case_file(batch, one, &arena, ending, ".ply", error),
                     case_file(batch, one, &arena, ending, ".3mf", error)};
    enum status status = path[0] && path[1] && path[2] ? STATUS_OK : error->status;

    if (!status && stl[format])
        status = mesh_write_stl(path[0], mesh, space, error);
    if (!status && ply[format])
        status = mesh_write_ply(path[1], mesh, space, error);
    if (!status && mf[format])
        status = mesh_write_3mf(path[2], mesh, space, error);
    arena_done(&arena);
    return status;
}

/* A whole mask as a mesh, for a test print. */
static enum status case_skull_mesh(const struct batch *batch, const struct batch_case *one, const struct volume *mask,
                                   const char *ending, struct error *error)
{
    struct mesh mesh = {0};
    enum status status = outcome_skull_mesh(&mesh, mask, error);
    if (!status)
        status = mesh_reduce(&mesh, &batch->config->reduction, one->name, error);
    if (!status)
        status = case_write_mesh(batch, one, &mesh, ending, error);
    mesh_done(&mesh);
    return status;
}

/* Several pieces: each in a file of its own too, the largest as _1. */
static enum status case_piece_meshes(const struct batch *batch, const struct batch_case *one, const struct mesh *mesh,
                                     struct error *error)
{
    enum { MOST = 9 };
    struct mesh piece = {0};
    char ending[32];
    int64_t n = 0;
    enum status status = mesh_piece(&piece, &n, mesh, 0, error);
    mesh_done(&piece);
    for (int64_t k = 0; !status && n > 1 && k < n && k < MOST; k++) {
        status = mesh_piece(&piece, &n, mesh, k, error);
        snprintf(ending, sizeof ending, "_implant_%d", (int)k + 1);
        if (!status)
            status = case_write_mesh(batch, one, &piece, ending, error);
        mesh_done(&piece);
    }
    return status;
}

static enum status case_mesh(const struct batch *batch, struct batch_case *one, struct mesh *mesh, struct error *error)
{
    enum status status = outcome_mesh(mesh, &one->result, batch->restorer, one->plan.report_voxels, error);
    if (!status)
        status = mesh_reduce(mesh, &batch->config->reduction, one->name, error);
    if (!status && !mesh->value) /* decimation drops them */
        status = outcome_intervals(mesh, &one->result, batch->restorer, error);
    if (!status)
        status = case_write_mesh(batch, one, mesh, "_implant", error);
    if (!status)
        status = case_piece_meshes(batch, one, mesh, error);
    return status;
}

static enum status case_picture(const struct batch *batch, const struct batch_case *one, const struct volume *skull,
                                struct error *error)
{
    struct arena arena = {0};
    char title[256];
    const struct render_layer layers[] = {{.mask = one->result.implant.data, .rgb = COLOUR_IMPLANT, .name = "implant"},
                                          {.mask = skull->data, .rgb = COLOUR_BONE, .name = "defective skull"}};
    snprintf(title, sizeof title, "%.120s  %s: %.1f ml", one->name, "implant", one->report.volume_ml);
    char *path = case_file(batch, one, &arena, "_implant", ".png", error);
    enum status status = path ? render_sheet(path, &skull->grid, layers, 2, 0, title, error) : error->status;

    char *insertion = status ? NULL : case_file(batch, one, &arena, "_insertion", ".png", error);
    if (!status && !insertion)
        status = error->status;
    snprintf(title, sizeof title, "%.120s  insertion", one->name);
    if (!status && one->insertion.n > 0)
        status = insertion_picture(insertion, &one->insertion, &one->result.implant, skull, title, error);
    arena_done(&arena);
    return status;
}

/* The rules of the command line. */
static enum status case_rules(const struct batch *batch, struct batch_case *one, const struct volume *skull,
                              struct error *error)
{
    return outcome_apply_rules(&one->result, skull, &batch->config->rules, one->plan.report_voxels * REPORT_VOXEL_BYTES,
                               one->name, error);
}

/* The way into the hole, and the cut that makes it free. */
static enum status case_insertion(const struct batch *batch, struct batch_case *one, const struct volume *skull,
                                  struct error *error)
{
    if (batch->limit > 0 && insertion_bytes(&one->result.implant) > one->plan.report_voxels * REPORT_VOXEL_BYTES) {
        log_warn("%s: the direction of insertion is not computed: the memory allowed would not do (--max-memory)",
                 one->name);
        return STATUS_OK;
    }
    return outcome_insertion(&one->insertion, &one->result, skull, batch->config->rules.insertable, error);
}

/* Holes, where they are wanted; last, so that the way into the hole is the whole implant's. */
static enum status case_holes(const struct batch *batch, struct batch_case *one, const struct volume *skull,
                              struct error *error)
{
    const struct perforation *holes = &batch->config->holes;
    struct mesh_field *cuts = &one->result.cuts;
    int64_t n;
    if (holes->hole_mm + holes->screw_mm <= 0)
        return STATUS_OK;
    if (box_empty(cuts->box))
        part_begin(cuts, &one->result.implant, &(struct clearance){0});
    if (box_voxels(cuts->box) > one->plan.report_voxels)
        return error_set(error, STATUS_FAILED,
                         "%s: the implant's box is of %.0f million voxels: holes take more memory on it than the bound "
                         "allows (leave them out, or give more --max-memory)",
                         one->name, (double)box_voxels(cuts->box) / 1e6);
    if (perforate(&n, cuts, &one->result.implant, &one->insertion, holes, error))
        return error->status;
    restoration_complete(&one->result, skull);
    if (n > 0)
        log_info("%s: %" PRId64 " holes made", one->name, n);
    else
        log_warn("%s: no hole was made: none fits (--hole-edge-mm), or the way into the defect is not known",
                 one->name);
    return STATUS_OK;
}

static enum status case_measure(const struct batch *batch, struct batch_case *one, const struct volume *skull,
                                struct error *error)
{
    struct mesh mesh = {0};
    struct arena arena = {0};
    double begin = log_clock_s();
    bool fits = batch->config->no_mesh || memory_surface(&one->result.implant) <= one->plan.mesh_points;
    bool meshed = !batch->config->no_mesh && fits, drawn = !batch->config->no_picture && one->plan.picture;
    enum status status = meshed ? case_mesh(batch, one, &mesh, error) : STATUS_OK;
    if (!status && batch->config->skull_meshes)
        status = case_skull_mesh(batch, one, skull, "_skull", error);
    if (!status && batch->config->skull_meshes)
        status = case_skull_mesh(batch, one, &one->result.completed, "_completed", error);
    char *thickness = status ? NULL : case_file(batch, one, &arena, "_thickness", ".png", error);
    char *interval = status ? NULL : case_file(batch, one, &arena, "_uncertainty", ".png", error);
    const struct report_request request = {.mesh = meshed ? &mesh : NULL,
                                           .thickness_png = drawn ? thickness : NULL,
                                           .interval_png = drawn ? interval : NULL,
                                           .edit = &one->edit,
                                           .insertion = &one->insertion,
                                           .notes = &batch->config->input_notes,
                                           .max_voxels = one->plan.report_voxels,
                                           .mesh_left_out = !fits,
                                           .picture_left_out = !one->plan.picture && !batch->config->no_picture};

    if (!status)
        status = thickness && interval
                     ? report_make(&one->report, &one->result, skull, batch->restorer, &request, error)
                     : error->status;
    mesh_done(&mesh);
    arena_done(&arena);
    one->report.mesh_s = log_clock_s() - begin;

    return status;
}

/* The input as its owner calls it: two files of one case name must not look alike in a report. */
static const char *case_input(const struct batch *batch, const struct batch_case *one)
{
    return batch->config->input_name ? batch->config->input_name : file_base(one->path);
}

static enum status case_write_report(const struct batch *batch, struct batch_case *one, struct error *error)
{
    struct arena arena = {0};
    bool drawn = !batch->config->no_picture && one->plan.picture;
    char *json = case_file(batch, one, &arena, "_report", ".json", error),
         *page = case_file(batch, one, &arena, "_report", ".html", error),
         *sheet = case_file(batch, one, &arena, "_implant", ".png", error),
         *thickness = case_file(batch, one, &arena, "_thickness", ".png", error),
         *interval = case_file(batch, one, &arena, "_uncertainty", ".png", error),
         *insertion = case_file(batch, one, &arena, "_insertion", ".png", error);
    enum status status = json && page && sheet && thickness && interval && insertion ? STATUS_OK : error->status;
    const bool some = drawn && one->report.volume_ml > 0, sure = some && one->report.prediction.made;
    const char *const pictures[REPORT_PICTURES] = {drawn ? sheet : NULL, some ? thickness : NULL,
                                                   sure ? interval : NULL,
                                                   some && one->insertion.n > 0 ? insertion : NULL};

    one->report.peak_bytes = memory_peak_bytes();
    one->report.memory_bound_bytes = one->plan.bound_bytes;
    one->report.memory_limit_bytes = batch->limit;
    if (!status)
        status = report_write(json, &one->report, &one->result, batch->restorer, case_input(batch, one), error);
    if (!status && !batch->config->no_page)
        status =
            report_page(page, &one->report, &one->result, batch->restorer, pictures, case_input(batch, one), error);

    arena_done(&arena);
    return status;
}

/* The volumes are compressed in a thread of their own while measuring and drawing only read them. */
struct case_writer {
    const struct batch *batch;
    struct batch_case *one;
    pthread_t thread;
    bool threaded;
    double seconds;
    struct error error;
};

static void *case_write_volumes(void *context)
{
    struct case_writer *writer = context;
    struct batch_case *one = writer->one;
    double begin = log_clock_s();
    if (!case_write_volume(writer->batch, one, &one->result.completed, "_completed", &writer->error) &&
        !case_write_volume(writer->batch, one, &one->result.implant, "_implant", &writer->error))
        case_write_volume(writer->batch, one, &one->result.raw, "_raw", &writer->error);
    writer->seconds = log_clock_s() - begin;
    return NULL;
}

static void case_writer_start(struct case_writer *writer)
{
    writer->threaded = pthread_create(&writer->thread, NULL, case_write_volumes, writer) == 0;
    if (!writer->threaded)
        case_write_volumes(writer);
}

/* The first error of the two: of the measuring and drawing, or of the volumes. */
static enum status case_writer_end(struct case_writer *writer, enum status status, struct error *error)
{
    if (writer->threaded)
        pthread_join(writer->thread, NULL);
    if (!status && writer->error.status)
        *error = writer->error;
    return status ? status : writer->error.status;
}

static enum status case_outputs(struct batch *batch, struct batch_case *one, const struct volume *skull,
                                struct error *error)
{
    struct case_writer writer = {.batch = batch, .one = one};
    case_writer_start(&writer);
    progress_stage("measuring");
    enum status status = case_measure(batch, one, skull, error);
    if (!status)
        report_warn_input(&one->report, &one->input.warnings);
    progress_stage("writing");

    double drawing = log_clock_s();
    if (!status && !batch->config->no_picture && one->plan.picture)
        status = case_picture(batch, one, skull, error);
    one->report.picture_s = log_clock_s() - drawing;
    status = case_writer_end(&writer, status, error);
    one->report.read_s = one->read_s;
    one->report.write_s = writer.seconds;
    one->report.total_s = log_clock_s() - one->begin;

    return status ? status : case_write_report(batch, one, error);
}

/* By the model, or as an earlier run kept it; then what was changed by hand. */
static enum status case_restore(struct batch *batch, struct batch_case *one, const struct volume *skull,
                                struct progress *progress, struct error *error)
{
    const struct batch_config *config = batch->config;
    enum status status = config->from_result ? restoration_read(&one->result, config->from_result, skull, error)
                                             : restorer_run(&one->result, batch->restorer, skull, progress, error);
    if (!status && config->keep_result)
        status = restoration_write(config->keep_result, &one->result, error);
    if (!status && config->edit) {
        status =
            edit_apply_file(&one->result.implant, &one->edit, config->edit, grid_voxels(&skull->grid), skull, error);
        if (!status)
            restoration_complete(&one->result, skull);
    }
    return status;
}

static enum status case_run(struct batch *batch, struct batch_case *one, struct error *error)
{
    struct volume skull = {0};
    char label[160];

    snprintf(label, sizeof label, "%.100s (%d of %d)", one->name, (int)(one - batch->cases) + 1, batch->n);
    struct progress progress = {.label = label};
    one->begin = log_clock_s();
    progress_stage("reading");

    enum status status = case_plan(&one->plan, batch, one, error);
    if (!status)
        status = skull_read(&skull, &one->input, one->file.path, &batch->config->input, error);
    if (!status && one->input.segmented)
        status = case_write_volume(batch, one, &skull, "_skull", error);
    one->read_s = log_clock_s() - one->begin;
    progress_stage("restoring");

    if (!status)
        status = case_restore(batch, one, &skull, &progress, error);
    if (!status)
        status = outcome_check_pose(&one->result, &one->input.warnings, batch->config->input.strict, one->path, error);
    if (!status)
        status = case_rules(batch, one, &skull, error);
    if (!status)
        status = case_insertion(batch, one, &skull, error);
    if (!status)
        status = case_holes(batch, one, &skull, error);
    if (!status)
        status = case_outputs(batch, one, &skull, error);
    insertion_done(&one->insertion);
    volume_done(&skull);
    const double network_s = one->result.network_s;
    restoration_done(&one->result);
    one->result.network_s = network_s; /* for the table */
    return status ? error_while(error, "restoring %s", one->path) : STATUS_OK;
}

static void case_log_warnings(const struct batch_case *one)
{
    if (one->report.removed.n > 0)
        log_info("%s: %" PRId64 " pieces of the prediction (%.2f ml, the largest %.2f ml) were removed", one->name,
                 one->report.removed.n, one->report.removed.volume_ml, one->report.removed.largest_ml);
    for (int64_t i = 0; i < one->report.n_warnings; i++)
        log_warn("%s: %s", one->name, one->report.warnings[i]);
}

/* One line per case. */
static enum status batch_print(struct batch *batch, FILE *table, struct error *error)
{
    static const char *const header[] = {"case",       "implant ml", "thickness mm", "rim gap mm", "pieces",
                                         "watertight", "network s",  "total s",      "warnings"};
    enum { COLUMNS = sizeof header / sizeof *header };
    const char **cells = arena_alloc(&batch->arena, (size_t)(batch->n + 1) * COLUMNS, sizeof *cells);

    if (!cells)
        return error_memory(error, (size_t)batch->n * COLUMNS * sizeof *cells, "the table of results");
    memcpy(cells, header, sizeof header);
    int64_t rows = 1;

    /* One row per case. */
    for (int i = 0; i < batch->n; i++) {
        const struct batch_case *one = &batch->cases[i];
        const char **row = cells + rows * COLUMNS;
        if (!one->failed && (one->skipped || !one->report.created[0]))
            continue;
        row[0] = one->name;
        if (one->failed) { /* why stands in the log */
            row[1] = "failed";
            for (int k = 2; k < COLUMNS; k++)
                row[k] = "-";
            rows++;
            continue;
        }
        row[1] = arena_printf(&batch->arena, "%.2f", one->report.volume_ml);
        row[2] = arena_printf(&batch->arena, "%.1f", one->report.thickness_mean_mm);
        row[3] = isnan(one->report.rim_gap_mm) ? "-" : arena_printf(&batch->arena, "%.2f", one->report.rim_gap_mm);
        row[4] = arena_printf(&batch->arena, "%" PRId64, one->report.n_components);
        row[5] = batch->config->no_mesh ? "-" : one->report.mesh.watertight && one->report.mesh.manifold ? "yes" : "no";
        row[6] = arena_printf(&batch->arena, "%.1f", one->result.network_s);
        row[7] = arena_printf(&batch->arena, "%.1f", one->report.total_s);
        row[8] = arena_printf(&batch->arena, "%" PRId64, one->report.n_warnings);
        for (int k = 0; k < COLUMNS; k++)
            if (!row[k])
                return error_memory(error, 16, "the table of results");
        rows++;
    }

    if (rows > 1)
        table_print(table, rows, COLUMNS, cells);

    return STATUS_OK;
}

/* Its report, which is written last, is there: by an earlier or another process. */
static enum status batch_case_is_done(bool *ret, const struct batch *batch, const struct batch_case *one,
                                      struct error *error)
{
    struct arena arena = {0};
    const char *report = case_file(batch, one, &arena, "_report", ".json", error);
    *ret = report && file_exists(report);
    arena_done(&arena);
    return report ? STATUS_OK : error->status;
}

/* A case that fails does not stop the others; a single case returns its own error. */
static enum status batch_case_run(void *context, int64_t i, struct error *error)
{
    struct batch *batch = context;
    struct batch_case *one = &batch->cases[i];
    struct error why = {0};
    enum status status = batch->config->join ? batch_case_is_done(&one->skipped, batch, one, &why) : STATUS_OK;
    batch->n_skipped += one->skipped;
    if (!status && !one->skipped)
        status = case_run(batch, one, &why);
    batch->n_run++;
    if (batch->n > 1)
        progress_show(&batch->progress, batch->n_run, status ? "failed" : NULL);
    if (!status) {
        if (!one->skipped)
            case_log_warnings(one);
        return STATUS_OK;
    }

    /* The first error of a single case is the command's error; of several, the list of failed cases. */
    one->failed = true;
    batch->n_failed++;
    if (batch->n == 1) {
        *error = why;
        return why.status;
    }
    log_warn("%s failed: %.*s", one->name, (int)(why.length ? why.length - 1 : 0), why.text);
    batch->failed =
        arena_printf(&batch->arena, "%s%s%s", batch->failed ? batch->failed : "", batch->failed ? ", " : "", one->path);
    return STATUS_OK;
}

static const char *batch_case_name(void *context, int64_t i)
{
    return ((const struct batch *)context)->cases[i].name;
}

/* With --join each case is claimed while it is worked on. */
static enum status batch_cases_shared(struct batch *batch, struct error *error)
{
    const struct claim_work work = {.n = batch->n, .name = batch_case_name, .run = batch_case_run, .context = batch};
    int64_t elsewhere = 0;
    const char *claims = file_join(&batch->arena, batch->config->out, "claims");
    enum status status = claims ? claim_each(&work, claims, &elsewhere, error) : error_memory(error, 0, "a path");
    if (batch->n_skipped > 0 || elsewhere > 0)
        log_info("%d of %d cases were done before, %d are in the hands of other processes", batch->n_skipped, batch->n,
                 (int)elsewhere);
    return status;
}

static enum status batch_cases(struct batch *batch, struct error *error)
{
    enum status status = STATUS_OK;
    if (batch->n > 1)
        progress_start(&batch->progress, "cases", "cases", 0, batch->n);
    if (batch->config->join)
        status = batch_cases_shared(batch, error);
    for (int i = 0; !batch->config->join && !status && i < batch->n; i++)
        status = batch_case_run(batch, i, error);
    if (batch->n > 1)
        progress_end(&batch->progress);
    if (!status && batch->n_failed)
        status = error_set(error, STATUS_FAILED, "infer: %d of %d cases failed: %s", batch->n_failed, batch->n,
                           batch->failed ? batch->failed : "see above");
    return status;
}

enum status batch_run(const struct batch_config *config, int n_inputs, char *const *inputs, FILE *table,
                      struct error *error)
{
    struct batch batch = {.config = config, .n = n_inputs};
    enum status status = n_inputs > 0
                             ? batch_names(&batch, inputs, error)
                             : error_set(error, STATUS_USAGE, "infer: no input (give one defective skull or more)");

    if (!status)
        status = batch_folder(&batch, error);
    if (!status)
        batch_inputs(&batch);
    if (!status)
        status = batch_open(&batch, error);
    if (!status) {
        status = batch_cases(&batch, error);
        struct error printing = {0};
        if (batch_print(&batch, table, &printing) && !status) {
            *error = printing;
            status = printing.status;
        }
    }

    for (int i = 0; batch.cases && i < batch.n; i++) {
        report_done(&batch.cases[i].report);
        skull_input_close(&batch.cases[i].file);
    }

    restorer_free(batch.restorer);
    arena_done(&batch.arena);
    return status;
}
