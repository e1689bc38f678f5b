/* report_write.c - a report as JSON; see report.h. Keys name their unit. Numbers that do not exist (a gap where no bone
 * is near) are null. Test: tests/infer/test_report.c */
#include "infer/report/report.h"
#include "shape/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"

static void report_write_input(struct json *json, const struct volume *volume, const char *input)
{
    cJSON *object = json_object(json, json->root, "input");
    const struct grid *grid = &volume->grid;
    const double dim[3] = {(double)grid->dim[0], (double)grid->dim[1], (double)grid->dim[2]};
    const double spacing[3] = {grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2)};
    json_text(json, object, "file", file_base(input));
    json_triple(json, object, "dims_vox", dim);
    json_triple(json, object, "spacing_mm", spacing);
}

static enum status report_file_hash(char text[REPORT_HASH_BYTES], const char *path, struct error *error)
{
    enum { BLOCK = 1 << 16 };
    XXH64_state_t state;
    FILE *file = fopen(path, "rb");
    int number = file ? 0 : errno;
    uint8_t *block = memory_alloc(BLOCK, 1);
    const bool short_of_memory = !block;
    XXH64_reset(&state, 0);

    /* In blocks: a model may be larger than the memory. */
    for (size_t n = 1; file && block && n > 0;) {
        n = fread(block, 1, BLOCK, file);
        XXH64_update(&state, block, n);
    }

    if (file && ferror(file))
        number = EIO;
    if (file)
        fclose(file);
    memory_free(block);
    snprintf(text, 17, "%016" PRIx64, (uint64_t)XXH64_digest(&state));

    if (short_of_memory)
        return error_memory(error, BLOCK, "reading the model once more");
    return number ? error_system(error, number, "%s: the model cannot be read a second time", path) : STATUS_OK;
}

enum status report_model_hash(char text[REPORT_HASH_BYTES], const struct restorer *restorer, struct error *error)
{
    uint64_t known;
    *text = '\0';
    if (!restorer_model(restorer) && !restorer_shape(restorer))
        return STATUS_OK;
    if (!restorer_hash(restorer, &known))
        return report_file_hash(text, restorer_path(restorer), error);
    snprintf(text, REPORT_HASH_BYTES, "%016" PRIx64, known);
    return STATUS_OK;
}

/* A network, and the coarse one inside it. */
static void report_write_network(struct json *json, cJSON *object, const struct model *model)
{
    static const char *const texts[] = {"name", "seed", "step", "dataset_hash", "versions", "metrics", "licence"};
    json_text(json, object, "network", model->network.name ? model->network.name : "");
    json_number(json, object, "parameters", (double)model->params.n_floats);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (model_text(model, texts[i]))
            json_text(json, object, texts[i], model_text(model, texts[i]));
    if (model->coarse)
        report_write_network(json, json_object(json, object, "coarse"), model->coarse);
}

static void report_write_shape(struct json *json, cJSON *object, const struct shape_model *shape)
{
    json_text(json, object, "dataset_hash", shape->set_hash);
    json_text(json, object, "licence", shape->licence);
    json_number(json, object, "heads", (double)shape->heads.n);
}

/* The file; then its network, its shape model, or both: networks on a shape model and beside one. */
static enum status report_write_model(struct json *json, const struct restorer *restorer, struct error *error)
{
    cJSON *object = json_object(json, json->root, "model");
    const struct model *model = restorer_model(restorer);
    const struct shape_model *shape = restorer_shape(restorer);
    json_text(json, object, "file", model || shape ? file_base(restorer_path(restorer)) : restorer_path(restorer));

    json_text(json, object, "task", task_names[restorer_config(restorer)->task]);
    json_text(json, object, "scan", scan_names[restorer_config(restorer)->window.scan]);
    if (!model && !shape)
        return STATUS_OK;

    char hash[REPORT_HASH_BYTES];
    if (report_model_hash(hash, restorer, error))
        return error->status;
    json_text(json, object, "xxh64", hash);
    if (model)
        report_write_network(json, object, model);
    if (shape)
        report_write_shape(json, model ? json_object(json, object, "shape_model") : object, shape);
    return STATUS_OK;
}

static void report_write_implant(struct json *json, const struct report *report)
{
    cJSON *object = json_object(json, json->root, "implant");
    json_number(json, object, "volume_ml", report->volume_ml);
    json_triple(json, object, "extent_mm", report->extent_mm);
    json_number(json, object, "thickness_mean_mm", report->thickness_mean_mm);
    json_number(json, object, "thickness_min_mm", report->thickness_min_mm);
    json_number(json, object, "thickness_p5_mm", report->thickness_p5_mm);
    json_number(json, object, "thickness_p95_mm", report->thickness_p95_mm);
    json_number(json, object, "thickness_max_mm", report->thickness_max_mm);
    json_number(json, object, "rim_gap_mm", report->rim_gap_mm);
    json_number(json, object, "rim_contact_frac", report->rim_contact_frac);
    json_number(json, object, "overlap_ml", report->overlap_ml);
    json_number(json, object, "spill_ml", report->spill_ml);
    json_number(json, object, "hollow_ml", report->hollow_ml);
    json_number(json, object, "components", (double)report->n_components);
    json_number(json, object, "removed_pieces", (double)report->removed.n);
    json_number(json, object, "removed_ml", report->removed.volume_ml);
    json_number(json, object, "removed_largest_ml", report->removed.largest_ml);
    json_number(json, object, "symmetry_plane_frac", report->symmetry_plane_frac);
    json_number(json, object, "symmetry_overlap_frac", report->symmetry_overlap_frac);
    json_number(json, object, "symmetry_mm", report->symmetry_mm);
    json_number(json, object, "measured_every_vox", (double)report->measured_step);
    json_bool(json, object, "touches_border", report->touches_border);

    cJSON *mesh = json_object(json, json->root, "mesh");
    json_bool(json, mesh, "watertight", report->mesh.watertight);
    json_bool(json, mesh, "manifold", report->mesh.manifold);
    json_bool(json, mesh, "oriented", report->mesh.oriented);
    json_number(json, mesh, "triangles", (double)report->mesh.n_triangles);
    json_number(json, mesh, "decimation_deviation_mm", report->mesh.deviation_mm);
    json_number(json, mesh, "crossing_triangles", (double)report->mesh.n_crossing);
    json_number(json, mesh, "volume_ml", report->mesh.volume_ml);
    json_number(json, mesh, "area_cm2", report->mesh.area_cm2);
}

/* Of a shape model or an ensemble; shape: NULL where there is none. */
static void report_write_prediction(struct json *json, const struct report *report,
                                    const struct shape_restoration *shape)
{
    const struct report_prediction *prediction = &report->prediction;
    cJSON *object = json_object(json, json->root, "prediction");
    json_number(json, object, "interval90_mean_mm", prediction->interval_mean_mm);
    json_number(json, object, "interval90_p95_mm", prediction->interval_p95_mm);
    if (prediction->n_members > 1)
        json_number(json, object, "members", (double)prediction->n_members);
    if (!shape)
        return;
    json_number(json, object, "holes", (double)prediction->n_holes);
    json_number(json, object, "hole_cm2", prediction->hole_cm2);
    json_number(json, object, "rays_filled", (double)shape->surfaces.hole.n_unseen);
    json_number(json, object, "rays_observed", (double)shape->surfaces.hole.n_seen);
    json_number(json, object, "rays_outside", (double)prediction->n_outside);
    json_number(json, object, "rays_open", (double)prediction->n_open);
    json_number(json, object, "pose_loss", shape->pose.loss);
    json_number(json, object, "pose_pitch_deg", shape->pose.pitch_deg);
    json_number(json, object, "pose_roll_deg", shape->pose.roll_deg);
    json_number(json, object, "pose_yaw_deg", shape->pose.yaw_deg);
    json_bool(json, object, "pose_upside_down", shape->pose.upside_down);
    json_number(json, object, "vault_seen_frac", shape->pose.seen_share);
}

/* Directions in LPS, as the meshes. */
static void report_write_insertion(struct json *json, const struct insertion *insertion)
{
    cJSON *list = json_list(json, json->root, "insertion");
    for (int k = 0; k < insertion->n; k++) {
        const struct insertion_piece *piece = &insertion->piece[k];
        cJSON *object = json_item(json, list);
        json_number(json, object, "volume_ml", piece->volume_ml);
        json_triple(json, object, "direction_lps", piece->direction);
        json_number(json, object, "undercut_ml", piece->undercut_ml);
        json_number(json, object, "interference_mm", piece->interference_mm);
        json_number(json, object, "trimmed_ml", piece->trimmed_ml);
    }
}

/* What was changed by hand; null: nothing. */
static void report_write_edit(struct json *json, const struct edit_report *edit)
{
    if (!edit->made) {
        json_null(json, json->root, "edit");
        return;
    }
    cJSON *object = json_object(json, json->root, "edit");
    json_number(json, object, "added_ml", edit->added_ml);
    json_number(json, object, "removed_ml", edit->removed_ml);
    json_number(json, object, "excluded_ml", edit->excluded_ml);
    json_bool(json, object, "restricted", edit->restricted);
}

static void report_write_work(struct json *json, const struct report *report, const struct restoration *restoration)
{
    cJSON *scan = json_object(json, json->root, "scan");
    json_number(json, scan, "tiles", (double)restoration->stats.n_tiles);
    json_number(json, scan, "tiles_empty", (double)restoration->stats.n_empty);
    json_number(json, scan, "tiles_skipped", (double)restoration->stats.n_skipped);
    json_number(json, scan, "changed_vox", (double)restoration->changed_vox);

    cJSON *times = json_object(json, json->root, "times_s");
    json_number(json, times, "read", report->read_s);
    json_number(json, times, "network", restoration->network_s);
    json_number(json, times, "postprocess", restoration->postprocess_s);
    json_number(json, times, "restore", restoration->total_s);
    json_number(json, times, "mesh", report->mesh_s);
    json_number(json, times, "write", report->write_s);
    json_number(json, times, "picture", report->picture_s);
    json_number(json, times, "total", report->total_s);
    json_number(json, json->root, "peak_memory_bytes",
                (double)(report->peak_bytes > restoration->peak_bytes ? report->peak_bytes : restoration->peak_bytes));
    json_number(json, json->root, "memory_bound_bytes",
                report->memory_bound_bytes ? (double)report->memory_bound_bytes : NAN);
    json_number(json, json->root, "memory_limit_bytes",
                report->memory_limit_bytes ? (double)report->memory_limit_bytes : NAN);

    cJSON *warnings = json_list(json, json->root, "warnings");
    for (int64_t i = 0; i < report->n_warnings; i++)
        json_list_text(json, warnings, report->warnings[i]);
}

enum status report_text(char **ret, const struct report *report, const struct restoration *restoration,
                        const struct restorer *restorer, const char *input, struct error *error)
{
    struct json json = {.digits = 6}; /* more than any of these numbers is good for */
    json_text(&json, json_root(&json), "format", "calvaria-report");
    json_number(&json, json.root, "format_version", 1);
    json_text(&json, json.root, "created", report->created);
    json_text(&json, json.root, "notice", "Research software: not for clinical use.");
    report_write_input(&json, &restoration->implant, input);

    enum status status = report_write_model(&json, restorer, error);
    report_write_implant(&json, report);
    report_write_edit(&json, &report->edit);
    report_write_insertion(&json, &report->insertion);
    if (report->prediction.made)
        report_write_prediction(&json, report, restoration->shape);
    report_write_work(&json, report, restoration);

    char *text = NULL;
    struct error unbuilt = {0};
    const enum status built = json_end(&text, &json, status ? &unbuilt : error);
    if (status)
        memory_free(text);
    else if (!built)
        *ret = text;
    return status ? status : built;
}

enum status report_write(const char *path, const struct report *report, const struct restoration *restoration,
                         const struct restorer *restorer, const char *input, struct error *error)
{
    char *text;
    if (report_text(&text, report, restoration, restorer, input, error))
        return error->status;
    const enum status status = file_write(path, text, strlen(text), error);
    memory_free(text);
    return status;
}
