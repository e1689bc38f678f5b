/* dicom.c - see dicom.h. Test: tests/data/test_dicom.c. */
#include "data/volume/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "data/volume/formats.h"

enum { DICOM_SCAN_DEPTH = 4, DICOM_SCAN_FILES = 64, DICOM_JSON_MAX = 1 << 20 };
#define DICOM_ZIP_MAX_BYTES (INT64_C(16) << 30)
extern char **environ;

/* ---- recognising ---- */

enum { KIND_OTHER, KIND_DICOM, KIND_ZIP };

/* Takes no memory: that it was out would read as KIND_OTHER. */
static int dicom_kind(const char *path)
{
    unsigned char head[132] = {0};
    struct error ignored = {0};
    const int file = file_check_ordinary(path, &ignored) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return KIND_OTHER;
    const ssize_t n = read(file, head, sizeof head);
    close(file);
    if (n == sizeof head && memcmp(head + 128, "DICM", 4) == 0)
        return KIND_DICOM;
    return memcmp(head, "PK\3\4", 4) == 0 ? KIND_ZIP : KIND_OTHER;
}

/* Files are opened until one is DICOM, at most *budget of them. A folder of volumes is not a folder of slices. *error
 * is set when memory is out; a folder that cannot be read holds none. */
static bool dicom_folder_holds(const char *folder, int depth, int *budget, struct arena *arena, struct error *error)
{
    struct config_strings names = {0};
    struct error unreadable = {0};
    if (depth == 0 || file_list(&names, folder, arena, &unreadable)) {
        error_if_memory(error, &unreadable);
        return false;
    }
    for (int64_t i = 0; i < names.n; i++)
        if (volume_format_of(names.items[i]) >= 0)
            return false;
    for (int64_t i = 0; i<names.n && * budget> 0 && !error->status; i++) {
        const char *path = file_join(arena, folder, names.items[i]);
        if (!path)
            error_memory(error, strlen(folder), "a path");
        else if (file_is_folder(path) ? dicom_folder_holds(path, depth - 1, budget, arena, error)
                                      : --*budget >= 0 && dicom_kind(path) == KIND_DICOM)
            return true;
    }
    return false;
}

enum status dicom_is(bool *ret, const char *path, struct error *error)
{
    *ret = false;
    if (!file_is_folder(path)) {
        *ret = dicom_kind(path) != KIND_OTHER;
        return STATUS_OK;
    }
    struct arena arena = {0};
    struct error failure = {0};
    int budget = DICOM_SCAN_FILES;
    *ret = dicom_folder_holds(path, DICOM_SCAN_DEPTH, &budget, &arena, &failure);
    arena_done(&arena);
    return error_if_memory(error, &failure);
}

/* ---- running programs ---- */

/* Runs argv with its output in a file of the temporary folder (it may name files, so it is not logged). */
static enum status dicom_run(const struct dicom *dicom, const char *const argv[], const char *package,
                             struct error *error)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int state = 0;
    char log[512];
    snprintf(log, sizeof log, "%s/log", dicom->folder);
    posix_spawn_file_actions_init(&actions);
    int failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (!failed)
        failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);

    if (failed == ENOMEM)
        return error_system(error, failed, "%s: %s cannot be run", dicom->path, argv[0]);
    if (failed)
        return error_set(error, STATUS_FAILED, "%s: %s cannot be run: %s (apt-get install %s)", dicom->path, argv[0],
                         strerror(failed), package);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
        return error_set(error, STATUS_FAILED, "%s: %s is not installed (apt-get install %s)", dicom->path, argv[0],
                         package);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return STATUS_OK;
    return error_set(error, STATUS_FAILED, "%s: %s failed (%s %d): damaged, or not what it seems", dicom->path, argv[0],
                     WIFSIGNALED(state) ? "signal" : "code", WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state));
}

/* The bytes that a zip unpacks to, by its own table: the last line of `unzip -l`, "BYTES  N files". */
static enum status dicom_check_zip(const struct dicom *dicom, struct error *error)
{
    const char *const list[] = {"unzip", "-l", "--", dicom->path, NULL};
    char path[512], *text = NULL;
    size_t bytes;
    if (dicom_run(dicom, list, "unzip", error))
        return error->status;
    snprintf(path, sizeof path, "%s/log", dicom->folder);
    if (file_read(&text, &bytes, path, (size_t)64 << 20, error))
        return error->status;
    char *end = text + bytes;
    while (end > text && end[-1] == '\n')
        *--end = '\0';
    const char *last = strrchr(text, '\n');
    const long long unpacked = last ? strtoll(last, NULL, 10) : 0;
    memory_free(text);
    return unpacked <= DICOM_ZIP_MAX_BYTES
               ? STATUS_OK
               : error_set(error, STATUS_FAILED, "%s: unpacks to %.1f GB (at most %.1f GB are read)", dicom->path,
                           (double)unpacked / 1e9, (double)DICOM_ZIP_MAX_BYTES / 1e9);
}

/* ---- series ---- */

/* "" where it has none; NULL when memory is out. */
static const char *dicom_text(struct arena *arena, const cJSON *root, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    char *text = arena_strdup(arena, cJSON_IsString(item) ? item->valuestring : "");
    for (char *c = text; c && *c; c++) /* it comes from a file and goes to a terminal */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    return text;
}

/* Of one conversion's outputs the corrected one: STEM_Tilt..., STEM_Eq... instead of STEM. NULL: none. */
static const char *dicom_find_corrected(const char **ret_note, const char *stem, const struct config_strings *names)
{
    const size_t length = strlen(stem);
    const char *best = NULL;
    for (int64_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        const bool fits = file_has_suffix(name, ".nii") && strncmp(name, stem, length) == 0 &&
                          (strcmp(name + length, ".nii") == 0 || strncmp(name + length, "_Tilt", 5) == 0 ||
                           strncmp(name + length, "_Eq", 3) == 0);
        if (fits && (!best || strlen(name) > strlen(best)))
            best = name;
    }
    const bool tilt = best && strstr(best + length, "_Tilt"), eq = best && strstr(best + length, "_Eq");
    *ret_note = tilt && eq ? "gantry tilt and uneven spacing corrected"
                : tilt     ? "gantry tilt corrected"
                : eq       ? "uneven spacing corrected"
                           : "";
    return best;
}

static int dicom_compare(const void *a, const void *b)
{
    const struct dicom_series *p = a, *q = b;
    return p->number != q->number ? (p->number < q->number ? -1 : 1) : strcmp(p->path, q->path);
}

/* One sidecar (STEM.json) is one series. */
static enum status dicom_add(struct dicom *dicom, const char *folder, const char *name,
                             const struct config_strings *names, struct error *error)
{
    struct dicom_series *series = &dicom->series[dicom->n];
    struct volume header;
    struct error unreadable = {0};
    char *text = NULL, *stem = arena_strdup(&dicom->arena, name);
    size_t bytes;
    const char *path = file_join(&dicom->arena, folder, name);
    if (!path || !stem)
        return error_memory(error, strlen(name), "a DICOM series");
    if (file_read(&text, &bytes, path, DICOM_JSON_MAX, error))
        return error->status;

    cJSON *root = NULL;
    json_parse(&root, text, path, &unreadable); /* without it the series has no name */
    memory_free(text);
    if (error_if_memory(error, &unreadable))
        return STATUS_FAILED;
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(root, "SeriesNumber");
    stem[strlen(stem) - strlen(".json")] = '\0';
    series->number = cJSON_IsNumber(number) ? (int64_t)number->valuedouble : 0;
    series->description = dicom_text(&dicom->arena, root, "SeriesDescription");
    series->modality = dicom_text(&dicom->arena, root, "Modality");
    cJSON_Delete(root);
    const char *converted = dicom_find_corrected(&series->note, stem, names);
    series->path = converted ? file_join(&dicom->arena, folder, converted) : NULL;
    if (!series->description || !series->modality || (converted && !series->path))
        return error_memory(error, strlen(name), "a DICOM series");

    /* A scout or a series of several times is not a volume: left out */
    const bool readable = converted && !volume_read_header(&header, series->path, &unreadable);
    if (error_if_memory(error, &unreadable))
        return STATUS_FAILED;
    if (!readable)
        return STATUS_OK;
    series->grid = header.grid;
    dicom->n += header.grid.dim[0] > 1 && header.grid.dim[1] > 1 && header.grid.dim[2] > 1;
    return STATUS_OK;
}

static enum status dicom_list(struct dicom *dicom, const char *folder, struct error *error)
{
    struct config_strings names = {0};
    if (file_list(&names, folder, &dicom->arena, error))
        return error->status;
    dicom->series = arena_alloc(&dicom->arena, (size_t)names.n + 1, sizeof *dicom->series);
    if (!dicom->series)
        return error_memory(error, (size_t)names.n * sizeof *dicom->series, "DICOM series");
    for (int64_t i = 0; i < names.n; i++)
        if (file_has_suffix(names.items[i], ".json") && dicom_add(dicom, folder, names.items[i], &names, error))
            return error->status;
    if (dicom->n == 0)
        return error_set(error, STATUS_FAILED, "%s: no DICOM series of slices in it", dicom->path);
    qsort(dicom->series, (size_t)dicom->n, sizeof *dicom->series, dicom_compare);
    return STATUS_OK;
}

/* ---- opening ---- */

enum status dicom_open(struct dicom *ret, const char *path, struct error *error)
{
    struct dicom dicom = {.path = path};
    const bool zip = !file_is_folder(path) && dicom_kind(path) == KIND_ZIP;
    if (folder_temporary(&dicom.folder, "dicom", &dicom.arena, error)) {
        arena_done(&dicom.arena);
        return error_while(error, "opening %s", path);
    }
    char *in = arena_printf(&dicom.arena, "%s/in", dicom.folder),
         *out = arena_printf(&dicom.arena, "%s/out", dicom.folder);
    /* A single slice stands for the folder that it lies in */
    const char *from = zip ? in : file_is_folder(path) ? path : file_folder(&dicom.arena, path);
    enum status status = in && out && from ? file_make_folders(out, error) : error_memory(error, 4096, "a path");
    if (!status && zip)
        status = dicom_check_zip(&dicom, error);
    if (!status && zip) {
        const char *const unpack[] = {"unzip", "-q", "-o", "-P", "", path, "-d", in, NULL};
        status = dicom_run(&dicom, unpack, "unzip", error);
    }
    if (!status) {
        const char *const convert[] = {"dcm2niix", "-b",  "y",  "-ba", "y",  "-z", "n",
                                       "-f",       "s%s", "-o", out,   from, NULL};
        status = dicom_run(&dicom, convert, "dcm2niix", error);
    }
    if (!status)
        status = dicom_list(&dicom, out, error);
    if (status) {
        dicom_done(&dicom);
        return status;
    }
    *ret = dicom;
    return STATUS_OK;
}

void dicom_done(struct dicom *dicom)
{
    if (dicom->folder)
        folder_remove(dicom->folder);
    arena_done(&dicom->arena);
    *dicom = (struct dicom){0};
}

/* ---- choosing ---- */

static void dicom_names(char *text, size_t size, const struct dicom *dicom)
{
    size_t length = 0;
    text[0] = '\0';
    for (int s = 0; s < dicom->n && length + 100 < size; s++)
        length +=
            (size_t)snprintf(text + length, size - length, "%s%" PRId64 " '%.40s' (%" PRId64 " slices of %.3g mm)",
                             s ? ", " : "", dicom->series[s].number, dicom->series[s].description,
                             dicom->series[s].grid.dim[2], grid_spacing_mm(&dicom->series[s].grid, 2));
}

static bool dicom_fits(const struct dicom_series *series, const char *choice)
{
    char *end;
    const long long number = strtoll(choice, &end, 10);
    if (*choice && !*end)
        return series->number == number;
    const size_t n = strlen(choice);
    for (const char *at = series->description; n > 0 && *at; at++)
        if (strncasecmp(at, choice, n) == 0)
            return true;
    return false;
}

enum status dicom_choose(const struct dicom_series **ret, const struct dicom *dicom, const char *choice,
                         struct error *error)
{
    int best = -1;
    char names[1200];
    bool tie = false;
    for (int s = 0; s < dicom->n; s++) {
        const struct dicom_series *series = &dicom->series[s];
        if (choice ? !dicom_fits(series, choice) : dicom->n > 1 && strcmp(series->modality, "CT") != 0)
            continue;
        /* A converter may split a series: of what fits, the part of most slices is the volume */
        const int64_t more = best < 0 ? 1 : series->grid.dim[2] - dicom->series[best].grid.dim[2];
        tie = more == 0 || (tie && more < 0);
        if (more > 0)
            best = s;
    }

    dicom_names(names, sizeof names, dicom);
    if (best < 0)
        return error_set(error, STATUS_USAGE, "%s: %s%s: no such series: there are %s", dicom->path,
                         choice ? "--series " : "no CT", choice ? choice : "", names);
    if (tie)
        return error_set(error, STATUS_USAGE, "%s: several series fit: %s (--series NUMBER takes one)", dicom->path,
                         names);
    *ret = &dicom->series[best];
    return STATUS_OK;
}
