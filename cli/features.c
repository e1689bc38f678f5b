/* features.c - `calvaria features`: which feature maps of a network follow existing bone, and which the missing part.
 * Test: tests/cli/test_front_door.sh, tests/infer/test_features.c */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/failures.h"
#include "cli/features_figure.h"
#include "cli/truth.h"
#include "data/volume/formats.h"

struct features_options {
    struct command_options common;
    const char *model, *out, *truth, *against;
    struct config_strings layers, set;
    int projection, axis;
    int64_t maps;
    bool overwrite;
};

static const char *const axis_names[] = {"x", "y", "z", NULL};

#define OFFSET(member) offsetof(struct features_options, member)
/* clang-format off */
static const struct config_field features_fields[] = {
    {.key = "model", .type = CONFIG_STRING, .offset = OFFSET(model),
     .required = true, .help = "model file or run folder of a network; of a cascade, its coarse stage"},
    {.key = "out", .type = CONFIG_PATH, .offset = OFFSET(out), .required = true,
     .help = "folder for features.tsv, features.png and its script"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(overwrite), .table = &overwrite_table},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set),
     .help = "KEY=VALUE over the model's restoration, as threshold=0.4"},
    {.key = "layers", .type = CONFIG_STRINGS, .offset = OFFSET(layers),
     .help = "names of layers; default: the last of every resolution, and the output"},
    {.key = "projection", .type = CONFIG_ENUM, .offset = OFFSET(projection), .text = "max", .names = projection_names,
     .help = "how a 3D map becomes a picture"},
    {.key = "axis", .type = CONFIG_ENUM, .offset = OFFSET(axis), .text = "x", .names = axis_names,
     .help = "axis of the projection"},
    {.key = "maps", .type = CONFIG_INT, .offset = OFFSET(maps), .text = "4", .min = 1, .max = 16,
     .help = "maps of either kind shown of a layer: those that correlate most"},
    {.key = "truth", .type = CONFIG_PATH, .offset = OFFSET(truth),
     .help = "folder with NAME_implant, what is really missing; default: the input's own folder, and where there "
             "is none, the model's own prediction"},
    {.key = "against", .type = CONFIG_STRING, .offset = OFFSET(against),
     .help = "a model of the same network from another seed: how much of each layer is found in it, too"},
    {0},
};
/* clang-format on */

/* Sums over the skulls, of every map of a layer. */
struct sums {
    double *bone, *bone2, *missing, *missing2; /* n_maps: r and r^2 */
    int64_t *n_bone;                           /* skulls on which the map follows bone more than what is missing */
    double *twin, *self;                       /* n_maps^2: r with each map of the other model; with each of its own */
};

struct study {
    const struct features_options *options;
    struct arena arena;
    struct restorer *restorer, *other_restorer;
    struct features features, other;
    struct sums *sums; /* n_layers */
    int64_t n;
};

static enum status features_study_allocate(struct study *study, struct error *error)
{
    study->sums = arena_alloc(&study->arena, (size_t)study->features.n_layers, sizeof *study->sums);
    for (int64_t l = 0; study->sums && l < study->features.n_layers; l++) {
        const size_t n = (size_t)study->features.layers[l].n_maps;
        double *all = arena_alloc(&study->arena, 4 * n + 2 * n * n, sizeof *all);
        int64_t *counts = arena_alloc(&study->arena, n, sizeof *counts);
        if (!all || !counts)
            return error_memory(error, 2 * n * n * sizeof *all, "the correlations");
        study->sums[l] =
            (struct sums){all, all + n, all + 2 * n, all + 3 * n, counts, all + 4 * n, all + 4 * n + n * n};
    }
    return study->sums ? STATUS_OK : error_memory(error, 0, "the correlations");
}

static enum status features_study_open(struct study *study, struct error *error)
{
    const struct features_options *options = study->options;

    static const char *const files[] = {"features.tsv", "features.png"};
    for (int i = 0; i < 2; i++) {
        const char *path = file_join(&study->arena, options->out, files[i]);
        if (!path)
            return error_memory(error, 4096, "a path");
        if (file_check_free(path, options->overwrite, error))
            return error->status;
    }

    if (restorer_open(&study->restorer, options->model, &options->set, error) ||
        features_open(&study->features, study->restorer, &options->layers, error) ||
        file_make_folders(options->out, error))
        return error->status;

    if (options->against && (restorer_open(&study->other_restorer, options->against, &options->set, error) ||
                             features_open(&study->other, study->other_restorer, &options->layers, error)))
        return error->status;

    /* Maps can be matched only between networks of the same layers and sizes. */
    bool same = !options->against || study->other.n_layers == study->features.n_layers;

    for (int64_t l = 0; same && options->against && l < study->features.n_layers; l++) {
        const struct feature_layer *a = &study->features.layers[l], *b = &study->other.layers[l];
        same = a->n_maps == b->n_maps && memcmp(a->size, b->size, sizeof a->size) == 0;
    }

    if (!same)
        return error_set(error, STATUS_USAGE,
                         "--against: %s is another network (the same recipe with another seed would fit)",
                         options->against);

    return features_study_allocate(study, error);
}

static void features_study_close(struct study *study)
{
    if (study->other_restorer)
        features_close(&study->other);
    if (study->restorer)
        features_close(&study->features);
    restorer_free(study->other_restorer);
    restorer_free(study->restorer);
    arena_done(&study->arena);
}

/* The skull of a file and what it lacks. */
static enum status features_read_case(struct volume *skull, struct volume *implant, struct study *study,
                                      const char *path, struct error *error)
{
    const char *folder = study->options->truth ? study->options->truth : file_folder(&study->arena, path);
    const char *name = volume_case_name(&study->arena, path), *truth;
    struct restoration restoration;

    if (!folder || !name)
        return error_memory(error, strlen(path), "a path");
    if (truth_find(&truth, &study->arena, folder, name, "implant", error))
        return error->status;
    if (volume_read_mask(skull, path, error))
        return error->status;

    if (truth && !truth_read_implant(implant, truth, error)) {
        if (memcmp(implant->grid.dim, skull->grid.dim, sizeof skull->grid.dim) == 0)
            return STATUS_OK;
        error_set(error, STATUS_FAILED, "%s: its size is not that of %s", truth, path);
        volume_done(implant);
    }

    /* Without a known implant the prediction stands for it. */
    if (!truth && !restorer_run(&restoration, study->restorer, skull, NULL, error)) {
        log_info("%s: no NAME_implant in its folder: the model's own prediction is taken as the missing part", path);
        *implant = restoration.implant;
        restoration.implant = (struct volume){0};
        restoration_done(&restoration);
        return STATUS_OK;
    }

    volume_done(skull);
    return error->status;
}

/* other: the second model sees it, too. */
static enum status features_study_case(struct study *study, const char *path, bool other, struct error *error)
{
    struct volume skull = {0}, implant = {0};
    enum status status = features_read_case(&skull, &implant, study, path, error);
    if (!status)
        status = features_look(&study->features, &skull, &implant, error);
    if (!status && other)
        status = features_look(&study->other, &skull, &implant, error);
    volume_done(&skull);
    volume_done(&implant);
    return status ? error_while(error, "reading features of %s", path) : STATUS_OK;
}

static void features_study_add(struct study *study)
{
    for (int64_t l = 0; l < study->features.n_layers; l++) {
        const struct feature_layer *layer = &study->features.layers[l];
        const struct sums *sums = &study->sums[l];
        const int64_t n = layer->n_maps, voxels = layer->size[0] * layer->size[1] * layer->size[2];
        for (int64_t m = 0; m < n; m++) {
            sums->bone[m] += layer->r_bone[m];
            sums->bone2[m] += layer->r_bone[m] * layer->r_bone[m];
            sums->missing[m] += layer->r_missing[m];
            sums->missing2[m] += layer->r_missing[m] * layer->r_missing[m];
            sums->n_bone[m] += fabs(layer->r_bone[m]) > fabs(layer->r_missing[m]);
        }
        if (!study->other_restorer)
            continue;

        /* Every map with every map of the other model, and of its own as the level of chance. */
        const float *other = study->other.layers[l].values;
#pragma omp parallel for schedule(dynamic)
        for (int64_t i = 0; i < n * n; i++) {
            sums->twin[i] += feature_correlation(layer->values + i / n * voxels, other + i % n * voxels, voxels);
            sums->self[i] +=
                feature_correlation(layer->values + i / n * voxels, layer->values + i % n * voxels, voxels);
        }
    }

    study->n++;
}

/* The largest |mean r| of map m with any of a table's; except: a column that does not count. */
static double features_best_match(const double *table, int64_t n, int64_t m, int64_t except, int64_t n_skulls)
{
    double best = 0;
    for (int64_t k = 0; k < n; k++)
        if (k != except)
            best = fmax(best, fabs(table[m * n + k]) / (double)n_skulls);
    return best;
}

static double features_sd(double sum, double sum2, int64_t n)
{
    const double mean = sum / (double)n;
    return n > 1 ? sqrt(fmax(0, (sum2 - (double)n * mean * mean) / (double)(n - 1))) : 0;
}

/* Of a layer's maps: the largest |mean r|, and sums. */
struct summary {
    double bone, missing, filling, same, in_other, in_own;
};

/* A row of the table for each map of layer l. */
static struct summary features_layer_write(FILE *table, const struct study *study, int64_t l)
{
    const struct feature_layer *layer = &study->features.layers[l];
    const struct sums *s = &study->sums[l];
    const double n = (double)study->n;
    struct summary summary = {0};

    for (int64_t m = 0; m < layer->n_maps; m++) {
        const bool shape = fabs(s->bone[m]) >= fabs(s->missing[m]);
        const double same = (double)(shape ? s->n_bone[m] : study->n - s->n_bone[m]) / n;
        fprintf(table, "%s\t%" PRId64 "\t%" PRId64 "\t%.4f\t%.4f\t%.4f\t%.4f\t%s\t%.2f", layer->name, m, study->n,
                s->bone[m] / n, features_sd(s->bone[m], s->bone2[m], study->n), s->missing[m] / n,
                features_sd(s->missing[m], s->missing2[m], study->n), shape ? "shape" : "filling", same);

        /* Best counterpart in the other model, and best among the layer's own other maps. */
        if (study->other_restorer) {
            const double in_other = features_best_match(s->twin, layer->n_maps, m, -1, study->n),
                         in_own = features_best_match(s->self, layer->n_maps, m, m, study->n);
            fprintf(table, "\t%.4f\t%.4f", in_other, in_own);
            summary.in_other += in_other;
            summary.in_own += in_own;
        }
        fputc('\n', table);
        summary.bone = fmax(summary.bone, fabs(s->bone[m]) / n);
        summary.missing = fmax(summary.missing, fabs(s->missing[m]) / n);
        summary.filling += !shape;
        summary.same += same;
    }

    return summary;
}

static void features_layer_print(const struct study *study, int64_t l, const struct summary *summary)
{
    const double maps = (double)study->features.layers[l].n_maps;
    printf("%-16s %5.0f %14.2f %14.2f %9.0f%% %9.0f%%", study->features.layers[l].name, maps, summary->bone,
           summary->missing, 100 * summary->filling / maps, 100 * summary->same / maps);
    if (study->other_restorer)
        printf(" %10.2f %9.2f", summary->in_other / maps, summary->in_own / maps);
    putchar('\n');
}

/* features.tsv: a row for each map; and on stdout one for each layer. */
static enum status features_write_table(struct study *study, struct error *error)
{
    const char *path = file_join(&study->arena, study->options->out, "features.tsv");
    const bool other = study->other_restorer != NULL;
    struct file_stream table;

    if (!path)
        return error_memory(error, strlen(study->options->out), "a path");
    if (file_stream_open(&table, path, error))
        return error->status;

    /* The file gets a row for each map, stdout a row for each layer. */
    fprintf(table.file, "layer\tmap\tskulls\tr_bone\tr_bone_sd\tr_missing\tr_missing_sd\tkind\tsame_kind%s\n",
            other ? "\tin_other\tin_own" : "");
    printf("%-16s %5s %14s %14s %10s %10s%s\n", "layer", "maps", "most r(bone)", "most r(miss.)", "filling",
           "same kind", other ? "   in other    in own" : "");
    for (int64_t l = 0; l < study->features.n_layers; l++) {
        const struct summary summary = features_layer_write(table.file, study, l);
        features_layer_print(study, l, &summary);
    }

    return file_stream_close(&table, STATUS_OK, error);
}

static enum status features_study_draw(struct study *study, const char *path, struct error *error)
{
    const struct features_options *options = study->options;
    const struct figure_config config = {.folder = options->out,
                                         .axis = options->axis,
                                         .projection = (enum projection)options->projection,
                                         .maps = options->maps};
    struct error trouble = {0};

    if (features_study_case(study, path, false, error))
        return error->status;

    for (int64_t l = 0; l < study->features.n_layers; l++) /* ranked by their means over the skulls */
        for (int64_t m = 0; m < study->features.layers[l].n_maps; m++) {
            study->features.layers[l].r_bone[m] = study->sums[l].bone[m] / (double)study->n;
            study->features.layers[l].r_missing[m] = study->sums[l].missing[m] / (double)study->n;
        }

    if (figure_draw(&config, &study->features, &trouble))
        log_warn("%.*s", (int)strcspn(trouble.text, "\n"), trouble.text);

    return STATUS_OK;
}

static enum status features_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    struct study study = {.options = value};
    struct progress progress;

    if (features_study_open(&study, error)) {
        features_study_close(&study);
        return error->status;
    }

    enum status status = STATUS_OK;
    struct failures failures = {.n_cases = n_inputs};
    const char *first = NULL; /* of those that could be read: the one drawn */
    progress_start(&progress, "features", "skulls", 0, n_inputs);

    for (int i = 0; i < n_inputs; i++) {
        struct error why = {0};
        if (features_study_case(&study, inputs[i], study.other_restorer != NULL, &why)) {
            failures_add(&failures, &why);
        } else {
            features_study_add(&study);
            first = first ? first : inputs[i];
        }
        progress_show(&progress, i + 1, NULL);
    }

    progress_end(&progress);
    if (first)
        status = features_write_table(&study, error);
    if (first && !status)
        status = features_study_draw(&study, first, error);
    if (!status)
        status = failures_end(&failures, "skulls", "could not be studied", error);

    features_study_close(&study);
    return status;
}

const struct command command_features = {
    .name = "features",
    .arguments = "--model MODEL INPUT... --out DIR [--layers NAME]... [--against MODEL]",
    .example = "calvaria features --model runs/first 000_defective.nrrd --out features",
    .options =
        {
            .help = "show what the feature maps of a trained network respond to: existing bone, or the missing part",
            .size = sizeof(struct features_options),
            .base = &command_base_table,
            .fields = features_fields,
        },
    .min_inputs = 1,
    .max_inputs = -1,
    .run = features_command,
};
