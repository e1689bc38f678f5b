/* info.c - `calvaria info FILE`: describes any of calvaria's files.
 * Test: tests/cli/test_front_door.sh, tests/cli/test_bad_input.sh */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/configs.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "data/dataset/dataset.h"
#include "data/defects/defect.h"
#include "data/volume/dicom.h"
#include "data/volume/formats.h"
#include "nn/model/ensemble_file.h"
#include "shape/model.h"
#include "train/stages.h"

struct info_options {
    struct command_options common;
    int64_t patch_vox[3];
    int64_t batch;
};

/* clang-format off */
static const struct config_field info_fields[] = {
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = offsetof(struct info_options, patch_vox), .text = "0",
     .min = 0, .max = 1e6, .unit = "voxels", .help = "network: input size x,y,z; 0: as in the file"},
    {.key = "batch", .type = CONFIG_INT, .offset = offsetof(struct info_options, batch), .text = "1", .min = 1,
     .max = 1e6, .help = "network: patches at a time"},
    {0},
};
/* clang-format on */

static enum status info_network(const struct network_config *network, const struct info_options *options,
                                struct error *error)
{
    const int64_t *patch = options->patch_vox[0] ? options->patch_vox : network->patch_vox;
    const struct shape src = {options->batch, network->input_channels, patch[2], patch[1], patch[0]};
    return network_print(stdout, network, src, error);
}

static enum status info_volume(const char *path, struct error *error)
{
    struct volume volume = {0};
    enum status status = volume_read_header(&volume, path, error);

    if (status)
        return status;
    const struct grid *grid = &volume.grid;
    printf("volume     %s\n", path);
    printf("format     %s, voxels %s%s%s\n", volume_suffix(volume.storage.format) + 1, volume.storage.file_type,
           volume.storage.space[0] ? ", space " : "", volume.storage.space);
    printf("dims       %" PRId64 " x %" PRId64 " x %" PRId64 " (x, y, z in LPS)\n", grid->dim[0], grid->dim[1],
           grid->dim[2]);
    printf("spacing    %.6g x %.6g x %.6g mm\n", grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1),
           grid_spacing_mm(grid, 2));
    printf("origin     %.6g %.6g %.6g mm (LPS)\n", grid->origin[0], grid->origin[1], grid->origin[2]);
    printf("file axes ");
    for (int a = 0; a < 3; a++)
        printf(" %s%c", volume.storage.flip[a] ? "-" : "+", "xyz"[volume.storage.axis[a]]);
    printf("\n");
    for (int d = 0; d < VOLUME_DOUBTS; d++)
        if (volume.storage.doubts >> d & 1)
            log_warn("%s: %s", path, volume_doubt_texts[d]);

    volume_done(&volume);
    return STATUS_OK;
}

static enum status info_dicom(const char *path, struct error *error)
{
    struct dicom dicom;
    if (dicom_open(&dicom, path, error))
        return error->status;
    printf("DICOM      %s\n", path);
    for (int s = 0; s < dicom.n; s++) {
        const struct dicom_series *one = &dicom.series[s];
        printf("  series %-6" PRId64 " %-4s %" PRId64 "x%" PRId64 "x%" PRId64 "  %.3g x %.3g x %.3g mm  '%s'%s%s\n",
               one->number, one->modality, one->grid.dim[0], one->grid.dim[1], one->grid.dim[2],
               grid_spacing_mm(&one->grid, 0), grid_spacing_mm(&one->grid, 1), grid_spacing_mm(&one->grid, 2),
               one->description, *one->note ? "  " : "", one->note);
    }
    dicom_done(&dicom);
    return STATUS_OK;
}

static enum status info_dataset(const char *path, struct error *error)
{
    struct dataset *set = NULL;
    enum status status = dataset_open(&set, path, error);

    if (status)
        return status;
    int64_t n_split[SPLIT_N] = {0}, n_implants = 0;

    for (int64_t i = 0; i < dataset_n_cases(set); i++) {
        n_split[dataset_case(set, i)->split]++;
        n_implants += dataset_case(set, i)->n_implants;
    }

    printf("dataset    %s\n", path);

    printf("cases      %" PRId64 " (train %" PRId64 ", val %" PRId64 ", test %" PRId64 "), %" PRId64
           " stored implants\n",
           dataset_n_cases(set), n_split[SPLIT_TRAIN], n_split[SPLIT_VAL], n_split[SPLIT_TEST], n_implants);
    printf("hash       %016" PRIx64 "\n", dataset_hash(set));

    for (int64_t i = 0; i < dataset_n_cases(set); i++) {
        const struct dataset_case *c = dataset_case(set, i);
        printf("  %-24s %-5s  %" PRId64 "x%" PRId64 "x%" PRId64 "  %.3g x %.3g x %.3g mm  %" PRId64 " implants\n",
               c->name, dataset_split_names[c->split], c->grid.dim[0], c->grid.dim[1], c->grid.dim[2],
               grid_spacing_mm(&c->grid, 0), grid_spacing_mm(&c->grid, 1), grid_spacing_mm(&c->grid, 2), c->n_implants);
    }

    dataset_close(set);
    return STATUS_OK;
}

static enum status info_model(const char *path, const struct info_options *options, struct error *error)
{
    struct model model = {0};
    const int64_t n_members = ensemble_members(path);
    enum status status = n_members ? ensemble_read(&model, path, 1, error) : model_read(&model, path, false, error);

    if (status)
        return status;
    printf("model      %s\n", path);
    if (n_members)
        printf("ensemble   %" PRId64 " members, which run one after the other: the mean of their predictions\n",
               n_members);

    for (int64_t i = 0; i < model.n_texts; i++)
        if (strcmp(model.texts[i].key, "network") != 0) /* printed as a table below */
            printf("--- %s\n%s%s", model.texts[i].key, model.texts[i].value,
                   model.texts[i].value[0] && model.texts[i].value[strlen(model.texts[i].value) - 1] == '\n' ? ""
                                                                                                             : "\n");

    printf("--- network\n");
    status = info_network(&model.network, options, error);
    if (!status && model.coarse) {
        const char *restore = model_text(model.coarse, "restore");
        printf("--- coarse stage\n%s", restore ? restore : "");
        status = info_network(&model.coarse->network, options, error);
    }
    if (!status && model.shape)
        printf("--- shape model\n%s\n", model.coarse ? "restores; the networks add what it claims nothing of"
                                                     : "its prediction is the network's further channels");

    model_done(&model);
    return status;
}

static enum status info_dump(const struct config_table *table, const void *value, struct error *error)
{
    return config_dump(table, value, stdout) ? STATUS_OK : error_memory(error, 0, "a configuration");
}

static enum status info_shape(const char *path, struct error *error)
{
    struct shape_model model;
    enum status status = shape_model_read(&model, path, error);
    if (status)
        return status;
    int64_t complete = 0, good = 0;
    for (int64_t h = 0; h < model.heads.n; h++)
        complete += model.head[h].complete;
    for (int64_t k = 0; k < model.disc.n_rays; k++)
        good += model.good[k];
    printf("shape      %s\n", path);
    printf("heads      %" PRId64 " (%" PRId64 " complete, the others with their hole filled)\n", model.heads.n,
           complete);
    printf("rays       %" PRId64 " of %" PRId64 " are good: the vault, %.0f degrees about the vertex at most\n", good,
           model.disc.n_rays, 2 * asin(model.disc.reach / 2) * 180 / acos(-1));
    printf("set        %s\n", model.set_hash);
    if (*model.licence)
        printf("licence    %s\n", model.licence);
    printf("interval   50 %%: +-%.2f sd, 90 %%: +-%.2f sd\n", model.calibration.factor_50, model.calibration.factor_90);
    printf("--- covariance\n");
    status = info_dump(&covariance_table, &model.covariance, error);
    shape_model_done(&model);
    return status;
}

static enum status info_run(const char *folder, struct arena *arena, struct error *error)
{
    static const char *const parts[] = {"STATUS", "environment.txt", "overrides.txt", "recipe.yaml", NULL};
    const char *status_path = file_join(arena, folder, "STATUS");

    if (!status_path || !file_exists(status_path))
        return error_set(error, STATUS_FAILED, "%s: a folder without STATUS is no run folder", folder);
    printf("run        %s\n", folder);

    for (int i = 0; parts[i]; i++) {
        char *text = NULL;
        size_t bytes = 0;
        const char *path = file_join(arena, folder, parts[i]);
        if (!path)
            return error_memory(error, strlen(folder), "a path");
        if (!file_exists(path))
            continue;
        enum status status = file_read(&text, &bytes, path, 1 << 20, error);
        if (status)
            return status;
        printf("--- %s\n%s", parts[i], text);
        memory_free(text);
    }

    return STATUS_OK;
}

static enum status info_stages(const char *path, const struct info_options *options, struct arena *arena,
                               struct error *error)
{
    struct stages stages;
    if (stages_read(&stages, path, 0, NULL, arena, error))
        return error->status;
    char *text = stages_text(&stages);
    if (!text)
        return error_memory(error, 0, "the recipe");
    printf("recipe     %s\nstages     %" PRId64 "\n%s", path, stages.n, text);
    memory_free(text);
    for (int64_t i = 0; i < stages.n; i++) {
        if (stages.items[i].kind != STAGE_NETWORK)
            continue;
        printf("--- %s\n", stages.items[i].name);
        if (info_network(&stages.items[i].recipe.network, options, error))
            return error->status;
    }
    return STATUS_OK;
}

static enum status info_yaml(const char *path, const struct info_options *options, struct arena *arena,
                             struct error *error)
{
    struct yaml_node *root = NULL;
    enum status status = yaml_read_extended(&root, path, arena, error);

    if (status)
        return status;

    /* The top-level keys show which kind of file it is. */
    if (yaml_get(root, "defects")) {
        struct defects_config defects;
        status = defects_read(&defects, path, arena, error);
        if (!status) {
            printf("defects    %s\n", path);
            status = info_dump(&defects_table, &defects, error);
        }
        return status;
    }

    if (yaml_get(root, "network") && !yaml_get(root, "data") && !yaml_get(root, "train")) {
        struct network_config network;
        printf("network    %s\n", path);
        status = config_bind(&network_table, yaml_get(root, "network"), &network, arena, error);
        return status ? status : info_network(&network, options, error);
    }

    if (yaml_get(root, "stages"))
        return info_stages(path, options, arena, error);

    struct recipe recipe;
    status = recipe_read(&recipe, path, 0, NULL, arena, error);
    if (!status) {
        printf("recipe     %s\n", path);
        status = info_dump(&recipe_table, &recipe, error);
        if (!status)
            status = info_network(&recipe.network, options, error);
    }

    return status;
}

/* A recipe, network or mixture of defects that comes with the program; else what was given. */
static enum status info_find(const char **ret, const char *name, struct arena *arena, struct error *error)
{
    static const char *const kinds[] = {"recipes", "networks", "defects"};
    for (int k = 0; k < 3; k++) {
        struct error none = {0};
        if (!configs_find(ret, kinds[k], name, arena, &none) && file_exists(*ret))
            return STATUS_OK;
        if (error_if_memory(error, &none))
            return STATUS_FAILED;
    }
    *ret = name;
    return STATUS_OK;
}

static enum status info_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct info_options *options = value;
    (void)n_inputs;
    struct arena arena = {0};
    const char *path = NULL;
    bool dicom = false;
    enum status status = info_find(&path, inputs[0], &arena, error);

    if (!status)
        status = dicom_is(&dicom, path, error);
    if (status) {
        arena_done(&arena);
        return status;
    }
    if (dicom)
        status = info_dicom(path, error);
    else if (file_is_folder(path))
        status = info_run(path, &arena, error);
    else if (!file_exists(path))
        status = error_set(error, STATUS_FAILED, "%s: no such file", path);
    else if (file_has_suffix(path, ".yaml") || file_has_suffix(path, ".yml"))
        status = info_yaml(path, options, &arena, error);
    else if (shape_model_is(path))
        status = info_shape(path, error);
    else if (dataset_is(path))
        status = info_dataset(path, error);
    else if (file_has_suffix(path, ".h5"))
        status = info_model(path, options, error);
    else
        status = info_volume(path, error);

    arena_done(&arena);
    return status;
}

const struct command command_info = {
    .name = "info",
    .arguments = "FILE [--patch-vox X,Y,Z] [--batch N]",
    .example = "calvaria info configs/networks/mia_ae_patch.yaml",
    .options =
        {
            .help = "describe a volume, dataset, model, run folder, network or recipe",
            .size = sizeof(struct info_options),
            .base = &command_base_table,
            .fields = info_fields,
        },
    .min_inputs = 1,
    .max_inputs = 1,
    .run = info_command,
};
