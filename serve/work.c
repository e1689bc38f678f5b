/* work.c - one job from upload to results; see work.h. Test: tests/serve/test_server.sh */
#include "serve/work.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/folder.h"
#include "serve/job.h"
#include "data/segment/segment.h"
#include "data/volume/formats.h"
#include "infer/batch.h"

static const double SKULL_VIEW_MM = 1.5, IMPLANT_VIEW_MM = 0.8;
static const char UPLOAD[] = JOB_UPLOAD, NOTES[] = "work/notes", OUT[] = JOB_OUT, OUT_NEW[] = "out.new",
                  OUT_OLD[] = JOB_OUT_OLD, SKULL[] = "work/skull", SEGMENTED[] = "work/skull.nii.gz",
                  MADE[] = "work/example.nii.gz", CONVERTED[] = "work/converted.nii.gz";

static const char *const work_kind_names[] = {"auto", "mask", "ct", NULL};

#define OFFSET(member) offsetof(struct work_config, member)
/* clang-format off */
static const struct config_field work_fields[] = {
    {.key = "folder", .type = CONFIG_STRING, .offset = OFFSET(folder), .required = true, .help = "the job's"},
    {.key = "model", .type = CONFIG_STRING, .offset = OFFSET(model), .help = "as infer takes it"},
    {.key = "max_voxels", .type = CONFIG_INT, .offset = OFFSET(max_voxels), .text = "0", .min = 0, .max = 9e15,
     .help = "a larger volume is refused by its header; 0: any"},
    {.key = "max_memory_bytes", .type = CONFIG_INT, .offset = OFFSET(max_memory_bytes), .text = "0", .min = 0,
     .max = 9e15, .help = "of this process; 0: any"},
    {.key = "example", .type = CONFIG_BOOL, .offset = OFFSET(example), .text = "false",
     .help = "make the example first"},
    {.key = "kind", .type = CONFIG_ENUM, .offset = OFFSET(kind), .text = "mask", .names = work_kind_names,
     .help = "ct: the skull is segmented first; auto: the values decide"},
    {.key = "no_picture", .type = CONFIG_BOOL, .offset = OFFSET(no_picture), .text = "false", .help = "write no PNG"},
    {.key = "threshold_hu", .type = CONFIG_DOUBLE, .offset = OFFSET(threshold_hu), .text = "150", .min = -1000,
     .max = 3000, .unit = "HU", .help = "with ct: bone from here up"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = OFFSET(set), .help = "KEY=VALUE over the model's restoration"},
    {0},
};
/* clang-format on */
const struct config_table work_table = {
    .help = "one job of calvaria serve", .size = sizeof(struct work_config), .fields = work_fields};

/* One job under way. */
struct work {
    const struct work_config *config;
    struct job job; /* its record; name: of the upload */
    bool segmented;
    const char *out, *edit;      /* where results go; what was painted, NULL: nothing */
    struct config_strings notes; /* for the report */
    struct arena arena;
};

/* A sanitizer's shadow does not fit under a bound of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_CAN_BE_BOUND = 0 };
#else
enum { MEMORY_CAN_BE_BOUND = 1 };
#endif

static void work_bound(const struct work_config *config)
{
    enum { NICE = 5 };
    const struct rlimit none = {0, 0};
    const struct rlimit memory = {(rlim_t)config->max_memory_bytes, (rlim_t)config->max_memory_bytes};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, NICE);
    setrlimit(RLIMIT_CORE, &none);
    if (MEMORY_CAN_BE_BOUND && config->max_memory_bytes > 0)
        setrlimit(RLIMIT_AS, &memory);
}

/* The header alone, before any work: what a compressed file claims to hold. */
static enum status work_check_size(const struct work_config *config, struct error *error)
{
    struct volume header = {0};
    enum status status = volume_read_header(&header, UPLOAD, error);
    if (!status && config->max_voxels > 0 && grid_voxels(&header.grid) > config->max_voxels)
        status =
            error_set(error, STATUS_FAILED,
                      "%s: %" PRId64 " x %" PRId64 " x %" PRId64 " voxels: more than the %" PRId64
                      " million this server takes (crop or resample it)",
                      UPLOAD, header.grid.dim[0], header.grid.dim[1], header.grid.dim[2], config->max_voxels / 1000000);
    volume_done(&header);
    return status;
}

/* A zip of DICOM: its largest CT takes the upload's place, and with it everything that DICOM tells of the patient is
 * gone. */
static enum status work_convert(struct error *error)
{
    struct skull_input input;
    struct volume ct = {0};
    bool dicom;
    enum status status = dicom_is(&dicom, UPLOAD, error);
    if (status || !dicom)
        return status;
    setenv("TMPDIR", "work", 1); /* whatever ends this process: the slices go with the job */
    status = skull_input_open(&input, UPLOAD, NULL, error);
    if (!status)
        status = volume_read(&ct, input.path, error);
    if (!status)
        status = volume_write(CONVERTED, &ct, error);
    if (!status && file_rename(CONVERTED, UPLOAD))
        status = error_system(error, errno, "the scan: cannot be put in place");
    volume_done(&ct);
    skull_input_close(&input);
    return status;
}

static enum status work_example(struct error *error)
{
    progress_stage("example");
    enum status status = example_write(MADE, error);
    if (!status && file_rename(MADE, UPLOAD))
        status = error_system(error, errno, "the example: cannot be put in place");
    return status;
}

/* Hounsfield units of a head: a share of air and a share of bone. A mask has two values, and neither is air. */
static bool work_is_ct(const struct volume *volume)
{
    const double AIR_HU = -300, BONE_HU = 150, AIR_FRAC = 0.02, BONE_FRAC = 0.002;
    const int64_t n = grid_voxels(&volume->grid);
    int64_t air = 0, bone = 0;

    for (int64_t i = 0; i < n && volume->type != VOXEL_U8; i++) {
        const double value = volume->type == VOXEL_I16 ? (double)((const int16_t *)volume->data)[i]
                                                       : (double)((const float *)volume->data)[i];
        air += value < AIR_HU;
        bone += value > BONE_HU;
    }

    return (double)air > AIR_FRAC * (double)n && (double)bone > BONE_FRAC * (double)n;
}

static enum status work_keep_notes(const struct work *work, struct error *error)
{
    char *text = NULL;
    for (int64_t i = 0; i < work->notes.n && (i == 0 || text); i++) {
        char *longer = memory_printf("%s%s\n", text ? text : "", work->notes.items[i]);
        memory_free(text);
        text = longer;
    }
    enum status status = text ? file_write(NOTES, text, strlen(text), error) : error_memory(error, 256, "the notes");
    memory_free(text);
    return status;
}

/* What the segmentation did and noticed becomes notes of the report. */
static enum status work_note(struct work *work, const struct segment_report *report, struct error *error)
{
    const char **notes = arena_alloc(&work->arena, WARNINGS_MAX + 1, sizeof *notes);
    if (!notes)
        return error_memory(error, WARNINGS_MAX * sizeof *notes, "the notes of the segmentation");

    notes[0] = arena_printf(&work->arena,
                            "The skull was segmented from a CT: bone from %.0f HU up, %.0f ml; %" PRId64
                            " other pieces (%.1f ml) were removed.",
                            report->threshold_hu, report->bone_ml, report->n_removed, report->removed_ml);
    work->notes = (struct config_strings){.n = 1 + report->warnings.n, .items = notes};
    for (int i = 0; i < report->warnings.n; i++)
        notes[1 + i] = arena_printf(&work->arena, "Segmentation: %s.", report->warnings.text[i]);
    for (int64_t i = 0; i < work->notes.n; i++)
        if (!notes[i])
            return error_memory(error, 256, "the notes of the segmentation");
    return work_keep_notes(work, error);
}

/* A revision states them again. */
static enum status work_read_notes(struct work *work, struct error *error)
{
    enum { MOST_BYTES = 64 << 10 };
    char *text = NULL;
    size_t bytes = 0;
    if (!file_exists(NOTES))
        return STATUS_OK;
    const char **notes = arena_alloc(&work->arena, WARNINGS_MAX + 1, sizeof *notes);
    enum status status = notes ? file_read(&text, &bytes, NOTES, MOST_BYTES, error)
                               : error_memory(error, WARNINGS_MAX * sizeof *notes, "the notes of the segmentation");
    for (char *line = text, *end; !status && *line && work->notes.n <= WARNINGS_MAX; line = end + 1) {
        end = line + strcspn(line, "\n");
        notes[work->notes.n++] = arena_printf(&work->arena, "%.*s", (int)(end - line), line);
        if (!notes[work->notes.n - 1])
            status = error_memory(error, (size_t)(end - line), "the notes of the segmentation");
        if (!*end)
            break;
    }
    work->notes.items = notes;
    memory_free(text);
    return status;
}

static enum status work_segment(struct work *work, FILE *progress, struct error *error)
{
    struct arena arena = {0};
    struct segment_config segment;
    struct segment_report report;
    struct volume ct = {0}, skull = {0};
    enum status status = config_bind(&segment_table, NULL, &segment, &arena, error);

    segment.threshold_hu = work->config->threshold_hu;
    if (!status)
        status = volume_read(&ct, UPLOAD, error);
    work->segmented = !status && (work->config->kind == WORK_CT || work_is_ct(&ct));
    fprintf(progress, "segment %s\n", work->segmented ? "true" : "false");

    if (work->segmented) {
        progress_stage("segmenting");
        status = segment_skull(&skull, &report, &ct, &segment, UPLOAD, error);
        if (!status)
            status = work_note(work, &report, error);
        if (!status)
            status = volume_write(SEGMENTED, &skull, error);
        if (!status)
            status = view_write_ct("out/ct.nii.gz", &ct, error);
    }

    volume_done(&ct);
    volume_done(&skull);
    arena_done(&arena);
    return status;
}

static enum status work_restore(const struct work *work, char *skull, struct error *error)
{
    const struct work_config *config = work->config;
    const struct job_settings *settings = &work->job.wanted;
    struct arena arena = {0};
    struct batch_config batch;
    FILE *nowhere = fopen("/dev/null", "w");
    enum status status = nowhere ? config_bind(&batch_table, NULL, &batch, &arena, error)
                                 : error_system(error, errno, "/dev/null: cannot be opened");

    if (!status) {
        /* The same code as calvaria infer, without its table. */
        batch.model = config->model;
        batch.out = work->out;
        batch.format = 1 + VOLUME_NIFTI_GZ;
        batch.mesh_format = BATCH_STL_AND_3MF;
        batch.overwrite = true; /* a job that is started once more begins anew */
        batch.set = config->set;
        batch.no_picture = config->no_picture;
        batch.input_name = work->job.name;
        batch.input_notes = work->notes;
        batch.rules = settings->rules;
        batch.edit = work->edit;
        batch.from_result = work->job.revising ? JOB_RESULT : NULL;
        batch.keep_result = work->job.revising ? NULL : JOB_RESULT;
        status = batch_run(&batch, 1, &skull, nowhere, error);
    }

    if (nowhere)
        fclose(nowhere);
    arena_done(&arena);
    return status;
}

/* OUT/NAME.nii.gz (as mask) once more as OUT/NAME.nrrd, and its surface. */
static enum status work_show(const struct work *work, const char *name, const char *mesh, double target_mm,
                             double *ret_mm, struct error *error)
{
    struct arena arena = {0};
    struct volume mask = {0};
    char *from = arena_printf(&arena, "%s/%s.nii.gz", work->out, name),
         *to = arena_printf(&arena, "%s/%s.nrrd", work->out, name),
         *ply = arena_printf(&arena, "%s/%s.ply", work->out, mesh);
    enum status status = from && to && ply ? volume_read(&mask, from, error) : error_memory(error, 256, "a path");
    if (!status)
        status = volume_write(to, &mask, error);
    if (!status)
        status = view_write(ply, &mask, target_mm, ret_mm, error);
    volume_done(&mask);
    arena_done(&arena);
    return status;
}

/* The skull as the network saw it: a revision leaves it as it is. */
static enum status work_show_skull(const struct work *work, const char *skull, double *ret_mm, struct error *error)
{
    static const char *const names[] = {"skull.nii.gz", "skull.nrrd", "skull.ply", "ct.nii.gz"};
    struct volume mask = {0};
    if (!work->job.revising) {
        enum status status = volume_read_mask(&mask, skull, error);
        if (!status)
            status = volume_write("out/skull.nii.gz", &mask, error);
        volume_done(&mask);
        return status ? status : work_show(work, "skull", "skull", SKULL_VIEW_MM, ret_mm, error);
    }

    *ret_mm = work->job.mesh_grid_mm;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "%s/%s", OUT, names[i]);
        snprintf(to, sizeof to, "%s/%s", OUT_NEW, names[i]);
        if (link(from, to) && errno != ENOENT)
            return error_system(error, errno, "%s: cannot be linked", from);
    }
    return STATUS_OK;
}

static enum status work_views(const struct work *work, const char *skull, FILE *progress, struct error *error)
{
    double mm = 0;
    struct progress views;

    progress_stage("meshing");
    progress_start(&views, "views", "mesh", 0, 3);
    enum status status = work_show_skull(work, skull, &mm, error);
    progress_show(&views, 1, NULL);
    if (!status)
        status = work_show(work, "skull_completed", "completed", SKULL_VIEW_MM, NULL, error);
    progress_show(&views, 2, NULL);
    if (!status)
        status = work_show(work, "skull_implant", "implant", IMPLANT_VIEW_MM, NULL, error);
    progress_show(&views, 3, NULL);
    fprintf(progress, "mesh_grid_mm %.4g\n", mm);

    return status;
}

/* --- once more --- */

static enum status work_begin_revision(struct work *work, struct error *error)
{
    if (!job_return_results("."))
        return error_system(error, errno, "the results of before: are gone");
    folder_remove(OUT_OLD);
    folder_remove(OUT_NEW);
    if (mkdir(OUT_NEW, 0700))
        return error_system(error, errno, "%s: cannot be made", OUT_NEW);
    work->out = OUT_NEW;
    work->segmented = file_exists(SEGMENTED);
    if (work->job.wanted.edited)
        work->edit = file_exists(JOB_EDIT_NEW) ? JOB_EDIT_NEW : JOB_EDIT;
    return work_read_notes(work, error);
}

/* The new results take the place of the old ones, and the edit they were made with its own. Where one of the two
 * cannot, job_return_results brings back what was. */
static enum status work_replace(const struct work *work, struct error *error)
{
    const bool edit = work->edit && strcmp(work->edit, JOB_EDIT_NEW) == 0;
    if (rename(OUT, OUT_OLD) || rename(OUT_NEW, OUT))
        return error_system(error, errno, "the results: cannot be put in place");
    if (edit && file_rename(JOB_EDIT_NEW, JOB_EDIT)) {
        error_system(error, errno, "the edit: cannot be put in place");
        rename(OUT, OUT_NEW);
        return error->status;
    }

    if (!work->edit)
        unlink(JOB_EDIT);
    folder_remove(OUT_OLD);
    return STATUS_OK;
}

/* --- the whole --- */

/* The first message; the paths of the job's folder, which the sender does not know, become "the file". */
static void work_report_error(const struct work *work, FILE *progress, const struct error *error)
{
    static const char *const internal[] = {"work/skull.nii.gz", "work/skull", JOB_EDIT_NEW, JOB_EDIT, JOB_UPLOAD};
    size_t length = strcspn(error->text, "\n");

    fputs("error ", progress);
    for (const char *at = error->text; at < error->text + length;) {
        size_t skip = 0;
        for (size_t i = 0; i < sizeof internal / sizeof *internal && !skip; i++)
            skip = strncmp(at, internal[i], strlen(internal[i])) == 0 ? strlen(internal[i]) : 0;
        if (skip)
            fputs("the file", progress);
        else
            fputc(*at, progress);
        at += skip ? skip : 1;
    }

    if (strstr(error->text, "non-binary"))
        fputs(work->config->kind == WORK_MASK ? "; if this is a CT, send it with segment=true"
                                              : "; nor are its values those of a CT in Hounsfield units",
              progress);
    fputc('\n', progress);
    fflush(progress);
}

/* The upload, seen for the first time: what it holds, and the skull in it. */
static enum status work_begin(struct work *work, FILE *progress, struct error *error)
{
    const struct work_config *config = work->config;
    enum status status = config->example ? work_example(error) : STATUS_OK;
    progress_stage("reading");
    if (!status)
        status = work_convert(error);
    if (!status)
        status = work_check_size(config, error);
    if (!status && config->kind != WORK_MASK)
        status = work_segment(work, progress, error);
    if (!status && !work->segmented && ((link(UPLOAD, SKULL) && errno != EEXIST) || file_sync_entry(SKULL)))
        status = error_system(error, errno, "the file: cannot be put in place");
    return status;
}

enum status work_run(const struct work_config *config, FILE *progress, struct error *error)
{
    struct work work = {.config = config, .out = OUT};
    char skull[32];
    work_bound(config);
    progress_set_file(progress);
    enum status status =
        chdir(config->folder) ? error_system(error, errno, "%s: no folder of a job", config->folder) : STATUS_OK;

    bool valid = false;
    if (!status)
        status = job_read(&work.job, &valid, ".", error);
    if (!status && !valid)
        status = error_set(error, STATUS_FAILED, "%s/job.json: no record of a job", config->folder);
    if (!status)
        status = work.job.revising ? work_begin_revision(&work, error) : work_begin(&work, progress, error);
    snprintf(skull, sizeof skull, "%s", work.segmented ? SEGMENTED : SKULL);
    if (!status)
        status = work_restore(&work, skull, error);
    if (!status)
        status = work_views(&work, skull, progress, error);
    if (!status && work.job.revising)
        status = work_replace(&work, error);

    progress_set_file(NULL);
    if (status)
        work_report_error(&work, progress, error);
    job_done(&work.job);
    arena_done(&work.arena);
    return status;
}
