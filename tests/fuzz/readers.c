/* readers.c - see readers.h. Test: tests/fuzz/fuzz.c with the corpus. */
#include "tests/fuzz/readers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/yaml.h"
#include "data/dataset/dataset.h"
#include "data/dataset/layout.h"
#include "data/dataset/split.h"
#include "data/volume/formats.h"
#include "data/volume/volume.h"
#include "infer/exchange/keras.h"
#include "infer/exchange/keras_config.h"
#include "infer/restoration_file.h"
#include "nn/model/ensemble_file.h"
#include "nn/model/model_file.h"
#include "serve/http.h"
#include "shape/model.h"
#include "train/ablate.h"
#include "train/recipe.h"
#include "train/stages.h"

enum { TEXT_MAX = 1 << 24 };

/* ---- what was written is read as it was ---- */

static void fuzz_differs(const char *what, const struct error *error)
{
    fprintf(stderr, "fuzz: %s: not the same once it was written and read (%s)\n", what, error ? error->text : "");
    abort();
}

static char *fuzz_text(const char *path, size_t *ret_bytes)
{
    struct error error = {0};
    char *text;
    return file_read(&text, ret_bytes, path, TEXT_MAX, &error) ? NULL : text;
}

/* Two files of the same bytes. */
static void fuzz_check_same(const char *what, const char *a, const char *b)
{
    size_t n = 0, m = 0;
    char *first = fuzz_text(a, &n), *second = fuzz_text(b, &m);
    if (!first || !second || n != m || memcmp(first, second, n) != 0)
        fuzz_differs(what, NULL);
    memory_free(first);
    memory_free(second);
}

/* ---- volumes ---- */

/* A float32 header keeps seven digits. */
static double fuzz_tolerance(const struct grid *grid)
{
    double most = 0;
    for (int a = 0; a < 3; a++) {
        most = fmax(most, fabs(grid->origin[a]));
        for (int k = 0; k < 3; k++)
            most = fmax(most, (double)grid->dim[a] * fabs(grid->axis[a][k]));
    }
    return 1e-6 * most;
}

static bool fuzz_volume(const char *path)
{
    struct error error = {0};
    struct volume volume, again;
    if (volume_read(&volume, path, &error))
        return false;
    char *copy = memory_printf("%s.copy%s", path, volume_suffix(volume.storage.format));
    if (copy && !volume_write(copy, &volume, &error)) {
        if (volume_read(&again, copy, &error))
            fuzz_differs("volume", &error);
        if (again.type != volume.type || !grid_same(&again.grid, &volume.grid, fuzz_tolerance(&volume.grid)) ||
            memcmp(again.data, volume.data, (size_t)grid_voxels(&volume.grid) * voxel_bytes(volume.type)) != 0)
            fuzz_differs("volume", NULL);
        volume_done(&again);
    }
    if (copy)
        unlink(copy);
    memory_free(copy);
    volume_done(&volume);

    error = (struct error){0};
    if (!volume_read_mask(&volume, path, &error))
        volume_done(&volume);
    return true;
}

/* ---- HDF5 ---- */

/* A reader and a writer of one kind of content. */
struct fuzz_format {
    const char *what;
    enum status (*read)(void *content, const char *path, struct error *error);
    enum status (*write)(const char *path, const void *content, struct error *error);
    void (*done)(void *content);
};

/* What is written, read and written again is the same file. again: room for another content. */
static bool fuzz_twice(const struct fuzz_format *format, const char *path, void *content, void *again)
{
    struct error error = {0};
    if (format->read(content, path, &error))
        return false;
    char *first = memory_printf("%s.1", path), *second = memory_printf("%s.2", path);
    if (first && second && !format->write(first, content, &error)) {
        if (format->read(again, first, &error) || format->write(second, again, &error))
            fuzz_differs(format->what, &error);
        fuzz_check_same(format->what, first, second);
        format->done(again);
        unlink(first);
        unlink(second);
    }
    memory_free(first);
    memory_free(second);
    format->done(content);
    return true;
}

static enum status fuzz_model_read(void *content, const char *path, struct error *error)
{
    return model_read(content, path, true, error);
}

static enum status fuzz_model_write(const char *path, const void *content, struct error *error)
{
    return model_write(path, content, error);
}

static void fuzz_model_done(void *content)
{
    model_done(content);
}

static bool fuzz_model(const char *path)
{
    static const struct fuzz_format format = {"model", fuzz_model_read, fuzz_model_write, fuzz_model_done};
    struct model read = {0}, again = {0};
    return fuzz_twice(&format, path, &read, &again);
}

static bool fuzz_ensemble(const char *path)
{
    struct error error = {0};
    struct model read = {0};
    const int64_t n = ensemble_members(path);
    int64_t accepted = 0;
    for (int64_t i = 1; i <= n && i <= 4; i++)
        if (!ensemble_read(&read, path, i, &error)) {
            model_done(&read);
            accepted++;
        }
    return accepted > 0;
}

static bool fuzz_dataset(const char *path)
{
    struct error error = {0};
    struct volume volume = {0};
    struct dataset *set;
    if (dataset_open(&set, path, &error))
        return false;
    for (int64_t i = 0; i < dataset_n_cases(set); i++)
        if (!dataset_read_skull(&volume, set, i, &error))
            volume_done(&volume);
    dataset_close(set);
    return true;
}

static enum status fuzz_shape_read(void *content, const char *path, struct error *error)
{
    return shape_model_read(content, path, error);
}

static enum status fuzz_shape_write(const char *path, const void *content, struct error *error)
{
    return shape_model_write(path, content, error);
}

static void fuzz_shape_done(void *content)
{
    shape_model_done(content);
}

static bool fuzz_shape(const char *path)
{
    static const struct fuzz_format format = {"shape model", fuzz_shape_read, fuzz_shape_write, fuzz_shape_done};
    struct shape_model read, again;
    return fuzz_twice(&format, path, &read, &again);
}

static bool fuzz_keras(const char *path)
{
    struct error error = {0};
    struct model read = {0};
    if (keras_import(&read, path, &(struct keras_options){0}, &error))
        return false;
    model_done(&read);
    return true;
}

/* An architecture as Keras stores it. */
static bool fuzz_json(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct keras_network network;
    size_t n;
    char *text = fuzz_text(path, &n);
    const bool accepted =
        text && !keras_network_derive(&network, text, "2.2.4", (const int64_t[3]){16, 16, 16}, path, &arena, &error);
    memory_free(text);
    arena_done(&arena);
    return accepted;
}

/* ---- texts ---- */

static bool fuzz_yaml(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct yaml_node *root;
    const bool accepted = !yaml_read_file(&root, path, &arena, &error);
    arena_done(&arena);
    return accepted;
}

/* The lines "#set KEY=VALUE" of a recipe are its overrides. */
enum { SETS_MAX = 16 };
static int fuzz_sets(char *sets[SETS_MAX], char *text)
{
    int n = 0;
    for (char *line = text; line && *line && n < SETS_MAX;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        if (strncmp(line, "#set ", 5) == 0)
            sets[n++] = line + 5;
        line = end ? end + 1 : NULL;
    }
    return n;
}

/* A reader of a recipe's kind, and the text of what it read. */
struct fuzz_text_format {
    const char *what;
    enum status (*read)(void *content, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error);
    char *(*text)(const void *content); /* memory_free */
};

/* A text that was dumped is a file that gives the same text. */
static bool fuzz_dumped(const struct fuzz_text_format *format, const char *path, void *content)
{
    struct error error = {0};
    struct arena arena = {0};
    char *sets[SETS_MAX], *again = memory_printf("%s.dump.yaml", path);
    size_t n;
    char *text = fuzz_text(path, &n);
    const bool accepted = text && again && !format->read(content, path, fuzz_sets(sets, text), sets, &arena, &error);
    if (accepted) {
        char *first = format->text(content), *second = NULL;
        if (first && !file_write(again, first, strlen(first), &error)) {
            if (format->read(content, again, 0, NULL, &arena, &error))
                fuzz_differs(format->what, &error);
            second = format->text(content);
            if (!second || strcmp(first, second) != 0)
                fuzz_differs(format->what, NULL);
            unlink(again);
        }
        memory_free(first);
        memory_free(second);
    }
    memory_free(text);
    memory_free(again);
    arena_done(&arena);
    return accepted;
}

static enum status fuzz_recipe_read(void *content, const char *path, int n_sets, char *const *sets, struct arena *arena,
                                    struct error *error)
{
    return recipe_read(content, path, n_sets, sets, arena, error);
}

static char *fuzz_recipe_text(const void *content)
{
    return config_dump_text(&recipe_table, content);
}

static bool fuzz_recipe(const char *path)
{
    static const struct fuzz_text_format format = {"recipe", fuzz_recipe_read, fuzz_recipe_text};
    struct recipe recipe;
    return fuzz_dumped(&format, path, &recipe);
}

/* A recipe without stages is refused here. */
static enum status fuzz_stages_read(void *content, const char *path, int n_sets, char *const *sets, struct arena *arena,
                                    struct error *error)
{
    const struct stages *stages = content;
    if (stages_read(content, path, n_sets, sets, arena, error))
        return error->status;
    return stages->n ? STATUS_OK : STATUS_FAILED;
}

static char *fuzz_stages_text(const void *content)
{
    return stages_text(content);
}

static bool fuzz_stages(const char *path)
{
    static const struct fuzz_text_format format = {"stages", fuzz_stages_read, fuzz_stages_text};
    struct stages stages;
    return fuzz_dumped(&format, path, &stages);
}

static bool fuzz_ablation(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct ablate_config config;
    const bool accepted = !ablate_read(&config, path, 0, NULL, &arena, &error);
    arena_done(&arena);
    return accepted;
}

static bool fuzz_table(const char *path)
{
    struct error error = {0};
    struct arena arena = {0};
    struct layout layout;
    const bool accepted = !layout_find(&layout, path, NULL, &arena, &error);
    arena_done(&arena);
    return accepted;
}

static bool fuzz_split(const char *path)
{
    static const char *const names[] = {"case_0", "case_1", "case_2", "case_3", NULL};
    static const uint64_t hashes[] = {1, 2, 2, 3};
    const struct pack_config config = {.split_frac = {0.5, 0.25, 0.25}, .split_file = path};
    struct error error = {0};
    struct arena arena = {0};
    struct split_plan plan;
    enum dataset_split split[4];
    const bool accepted =
        !split_plan(&plan, names, 4, &config, &arena, &error) && !split_assign(split, &plan, hashes, &config, &error);
    arena_done(&arena);
    return accepted;
}

/* ---- the server ---- */

/* First a request's line, then what headers and fields hold: a tag list, a range, a name. */
static bool fuzz_request(const char *path)
{
    size_t n;
    char *text = fuzz_text(path, &n), *line[5] = {0}, name[128];
    struct request request = {.artefact = -1};
    struct job job = {0};
    int64_t first, last;
    if (!text)
        return false;
    char *at = text;
    for (int i = 0; i < 5; i++) {
        line[i] = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = '\0';
    }
    request.method = line[0];
    request.path = line[1];
    route_match(&request);
    (void)http_tag_matches(line[2], "\"12-34-56\"");
    if (http_range(line[3], 1000, &first, &last) == 206 && !(first >= 0 && first <= last && last < 1000))
        abort();
    if (job_name_set(&job, line[4]))
        for (int i = 0; i < ARTEFACTS; i++)
            job_download_name(name, sizeof name, &job, i);
    job_error_set(&job, line[4]);
    memory_free(text);
    return request.route != NULL;
}

/* The record of a job: written and read, the record is the same. */
static bool fuzz_job(const char *path)
{
    struct error error = {0};
    struct job job, again;
    bool valid = false;
    char *folder = memory_printf("%s.job", path), *record = memory_printf("%s.job/job.json", path),
         *kept = memory_printf("%s.kept", path);
    size_t n;
    bool accepted = false;
    char *text = fuzz_text(path, &n);
    if (folder && record && kept && text && !mkdir(folder, 0700) && !file_write(record, text, n, &error) &&
        !job_read(&job, &valid, folder, &error) && valid) {
        accepted = true;
        if (job_write(folder, &job, &error) || rename(record, kept) || file_write(record, "", 0, &error))
            abort();
        size_t m;
        char *first = fuzz_text(kept, &m);
        if (!first || file_write(record, first, m, &error) || job_read(&again, &valid, folder, &error) || !valid ||
            job_write(folder, &again, &error))
            fuzz_differs("job", &error);
        fuzz_check_same("job", record, kept);
        memory_free(first);
        job_done(&job);
        job_done(&again);
    }
    if (folder)
        folder_remove(folder);
    if (kept)
        unlink(kept);
    memory_free(text);
    memory_free(folder);
    memory_free(record);
    memory_free(kept);
    return accepted;
}

/* A kept restoration, of a skull of these dimensions. */
static bool fuzz_kept(const char *path)
{
    struct error error = {0};
    struct volume skull;
    struct restoration read;
    const struct grid grid = grid_make((const int64_t[3]){12, 10, 8}, (const double[3]){1, 1, 1});
    if (volume_new(&skull, &grid, VOXEL_U8, &error))
        return false;
    const bool accepted = !restoration_read(&read, path, &skull, &error);
    if (accepted)
        restoration_done(&read);
    volume_done(&skull);
    return accepted;
}

const struct fuzz_reader fuzz_readers[] = {{"nifti", ".nii", fuzz_volume},
                                           {"nrrd", ".nrrd", fuzz_volume},
                                           {"metaimage", ".mha", fuzz_volume},
                                           {"yaml", ".yaml", fuzz_yaml},
                                           {"model", ".h5", fuzz_model},
                                           {"ensemble", ".h5", fuzz_ensemble},
                                           {"dataset", ".h5", fuzz_dataset},
                                           {"shape", ".h5", fuzz_shape},
                                           {"keras", ".h5", fuzz_keras},
                                           {"json", ".json", fuzz_json},
                                           {"recipe", ".yaml", fuzz_recipe},
                                           {"stages", ".yaml", fuzz_stages},
                                           {"ablation", ".yaml", fuzz_ablation},
                                           {"table", ".tsv", fuzz_table},
                                           {"split", ".tsv", fuzz_split},
                                           {"request", ".txt", fuzz_request},
                                           {"job", ".json", fuzz_job},
                                           {"kept", "", fuzz_kept},
                                           {NULL, NULL, NULL}};
