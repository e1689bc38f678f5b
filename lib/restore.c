/* restore.c - a skull in memory to a result; see calvaria.h. Test: tests/lib/test_library.c
 *
 * The steps are those of infer/batch.c for one case, without files. */
#include <string.h>

#include "base/parallel.h"
#include "data/volume/array.h"
#include "infer/batch_memory.h"
#include "infer/report/report.h"
#include "lib/call.h"
#include "lib/library.h"
#include "lib/options.h"
#include "shape/restore.h"

/* One call's work. */
struct work {
    struct call *call;
    const struct library_options *options;
    struct restorer *restorer;
    struct calvaria_result *result;
    struct skull_report input;
    struct insertion insertion;
    struct memory_plan plan;
    int64_t limit; /* of memory, bytes; 0: none */
};

static enum status restore_read(struct work *work, const struct calvaria_array *skull, struct error *error)
{
    const struct library_options *options = work->options;
    struct voxel_array array = {.values = (void *)(uintptr_t)skull->values, .type = (enum disk_type)skull->type};
    struct volume volume;

    if (!skull->values)
        return error_set(error, STATUS_USAGE, "%s: values: NULL (an array of voxels is needed)", options->name);
    if (skull->type < 0 || skull->type >= (int32_t)DISK_TYPES)
        return error_set(error, STATUS_USAGE, "%s: type: %d is none of enum calvaria_type", options->name,
                         (int)skull->type);
    memcpy(array.dim, skull->dims, sizeof array.dim);
    memcpy(array.stride, skull->strides, sizeof array.stride);
    memcpy(array.affine, skull->affine, sizeof array.affine);
    memcpy(work->result->dims, skull->dims, sizeof work->result->dims);
    if (volume_from_array(&volume, &array, options->name, error))
        return error->status;

    const struct batch_config config = {.no_mesh = options->no_mesh, .no_picture = true, .keep_raw = options->keep_raw};
    if (memory_parse(&work->limit, options->max_memory, "--max-memory", error) ||
        memory_plan_make(&work->plan, &config, work->restorer, &volume, work->limit, error)) {
        volume_done(&volume);
        return error->status;
    }
    return skull_from_volume(&work->result->skull, &work->input, &volume, options->name, &options->input, error);
}

static enum status restore_implant(struct work *work, struct error *error)
{
    const struct library_options *options = work->options;
    struct calvaria_result *result = work->result;
    const int64_t most_bytes = work->plan.report_voxels * REPORT_VOXEL_BYTES;
    struct progress progress = {.label = ""};

    restorer_keep_raw(work->restorer, options->keep_raw);
    restorer_keep_prediction(work->restorer, !options->no_mesh);
    if (restorer_run(&result->restoration, work->restorer, &result->skull, &progress, error) ||
        outcome_check_pose(&result->restoration, &work->input.warnings, options->input.strict, options->name, error) ||
        outcome_apply_rules(&result->restoration, &result->skull, &options->rules, most_bytes, options->name, error))
        return error->status;
    if (options->no_report && !options->rules.insertable)
        return STATUS_OK;
    if (work->limit > 0 && insertion_bytes(&result->restoration.implant) > most_bytes) {
        log_warn("%s: the direction of insertion is not computed: the memory allowed would not do", options->name);
        return STATUS_OK;
    }
    return outcome_insertion(&work->insertion, &result->restoration, &result->skull, options->rules.insertable, error);
}

/* In LPS, as the report wants it. */
static enum status restore_mesh(struct work *work, struct error *error)
{
    struct calvaria_result *result = work->result;
    if (work->options->no_mesh || memory_surface(&result->restoration.implant) > work->plan.mesh_points)
        return STATUS_OK;
    const enum status status =
        outcome_mesh(&result->mesh, &result->restoration, work->restorer, work->plan.report_voxels, error);
    result->has_mesh = !status;
    return status;
}

static void restore_mesh_to_ras(struct mesh *mesh)
{
    for (int64_t i = 0; i < mesh->n_points; i++)
        for (int a = 0; a < 2; a++)
            mesh->point[i][a] = 0.0 - mesh->point[i][a]; /* no -0 */
}

static enum status restore_report(struct work *work, struct error *error)
{
    struct calvaria_result *result = work->result;
    const char *name = work->options->name;
    struct report report = {.n_warnings = 0};
    const struct report_request request = {.mesh = result->has_mesh ? &result->mesh : NULL,
                                           .insertion = &work->insertion,
                                           .max_voxels = work->plan.report_voxels,
                                           .mesh_left_out = !result->has_mesh && !work->options->no_mesh};
    if (report_make(&report, &result->restoration, &result->skull, work->restorer, &request, error))
        return error->status;

    report_warn_input(&report, &work->input.warnings);
    for (int64_t i = 0; i < report.n_warnings; i++)
        log_warn("%s", report.warnings[i]);
    report.peak_bytes = memory_peak_bytes();
    report.memory_bound_bytes = work->plan.bound_bytes;
    report.memory_limit_bytes = work->limit;
    enum status status =
        report_text(&result->report[CALVARIA_JSON], &report, &result->restoration, work->restorer, name, error);
    if (!status)
        status = report_page_text(&result->report[CALVARIA_HTML], &report, &result->restoration, work->restorer, name,
                                  error);
    report_done(&report);
    return status;
}

static enum status restore_steps(struct work *work, const struct calvaria_array *skull, struct error *error)
{
    struct call *call = work->call;
    enum status status = call_stage(call, "reading", 0.05, error);
    if (!status)
        status = restore_read(work, skull, error);
    if (!status)
        status = call_stage(call, "restoring", 0.8, error);
    if (!status)
        status = restore_implant(work, error);
    if (!status)
        status = call_stage(call, "surface", 0.9, error);
    if (!status)
        status = restore_mesh(work, error);
    if (!status)
        status = call_stage(call, "measuring", 1, error);
    if (!status && !work->options->no_report)
        status = restore_report(work, error);
    restore_mesh_to_ras(&work->result->mesh);
    insertion_done(&work->insertion);
    return status;
}

/* With the options read, under the model's lock. */
static enum status restore_run(struct calvaria_result **ret, struct work *work, const struct calvaria_array *skull,
                               struct error *error)
{
    struct calvaria_result *result = memory_zalloc(1, sizeof *result);
    if (!result)
        return error_memory(error, sizeof *result, "a result");
    if (work->options->threads > 0)
        parallel_set_threads((int)work->options->threads);
    work->result = result;
    const enum status status = restore_steps(work, skull, error);
    if (status)
        calvaria_result_free(result);
    else
        *ret = result;
    return status;
}

int calvaria_restore(struct calvaria_result **ret, struct calvaria_model *model, const struct calvaria_array *skull,
                     const char *const *options, const struct calvaria_watch *watch, struct calvaria_error *ret_error)
{
    struct error error = {0};
    struct arena arena = {0};
    struct library_options parsed;
    struct call call;
    struct work work = {.call = &call, .options = &parsed, .restorer = model->restorer};

    if (call_begin(&call, watch, &error))
        return call_refuse(&error, ret_error);
    enum status status = library_options_read(&parsed, options, &arena, &error);
    if (!status) {
        pthread_mutex_lock(&model->mutex);
        status = restore_run(ret, &work, skull, &error);
        pthread_mutex_unlock(&model->mutex);
    }
    arena_done(&arena);
    return call_end(&call, status, &error, ret_error);
}
