/* slicer.c - see slicer.h. Test: tests/infer/test_slicer.sh
 *
 * Rules of Slicer's parser (ModuleDescriptionParser): long flags are of letters, digits and underscores; a parameter
 * has a flag or an index, not both; index 1000 marks a value that the module gives back. */
#include "infer/slicer.h"

#include <string.h>

#include "base/file.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/watch.h"
#include "data/segment/skull_file.h"
#include "infer/batch_memory.h"
#include "infer/outcome.h"
#include "infer/report/report.h"

struct slicer_options {
    const char *model, *implant, *completed, *surface, *report, *returnparameterfile;
    struct outcome_rules rules;
    int64_t threads;
    struct skull_options input;
};

#define OFFSET(member) offsetof(struct slicer_options, member)
/* clang-format off */
static const struct config_field slicer_fields[] = {
    {.key = "model", .type = CONFIG_STRING, .offset = OFFSET(model),
     .help = "Trained model; none: the one that comes with the program"},
    {.key = "implant", .type = CONFIG_STRING, .offset = OFFSET(implant), .help = "The implant as a label map"},
    {.key = "completed", .type = CONFIG_STRING, .offset = OFFSET(completed), .help = "The skull with its implant"},
    {.key = "surface", .type = CONFIG_STRING, .offset = OFFSET(surface), .help = "The implant as a closed surface"},
    {.key = "report", .type = CONFIG_STRING, .offset = OFFSET(report), .help = "Measurements and warnings, HTML"},
    {.key = "returnparameterfile", .type = CONFIG_STRING, .offset = OFFSET(returnparameterfile),
     .help = "Written by the module: the values that it gives back"},
    {.key = "clearance_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(rules.clearance.gap_mm), .text = "0", .min = 0,
     .max = 20, .help = "Gap kept between implant and bone, mm"},
    {.key = "bevel_deg", .type = CONFIG_DOUBLE, .offset = OFFSET(rules.clearance.bevel_deg), .text = "0", .min = 0,
     .max = 45, .help = "The gap widens inwards at this angle, degrees"},
    {.key = "min_thickness_mm", .type = CONFIG_DOUBLE, .offset = OFFSET(rules.min_thickness_mm), .text = "0", .min = 0,
     .max = 20, .help = "Thinner parts of the implant are thickened to this, mm"},
    {.key = "insertable", .type = CONFIG_BOOL, .offset = OFFSET(rules.insertable), .text = "false",
     .help = "Trim what cannot pass when the implant is moved straight into the hole"},
    {.key = "threads", .type = CONFIG_INT, .offset = OFFSET(threads), .text = "0", .min = 0, .max = 4096,
     .help = "Processors to use; 0: all"},
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(input), .table = &skull_table}, /* not shown in Slicer */
    {0},
};
/* clang-format on */
static const struct config_table slicer_table = {
    .help = "a module of 3D Slicer", .size = sizeof(struct slicer_options), .fields = slicer_fields};

/* How a file appears in Slicer. */
static const struct slicer_file {
    const char *key, *tag, *attributes, *channel, *label;
} slicer_shown[] = {
    {"model", "file", " fileExtensions=\".h5\"", "input", "Model"},
    {"implant", "image", " type=\"label\"", "output", "Implant"},
    {"completed", "image", " type=\"label\"", "output", "Completed skull"},
    {"surface", "geometry", " type=\"model\" fileExtensions=\".stl\"", "output", "Implant surface"},
    {"report", "file", " fileExtensions=\".html\"", "output", "Report"},
};
enum { N_SHOWN = sizeof slicer_shown / sizeof *slicer_shown };

static const struct slicer_file *slicer_find(const char *key)
{
    for (int i = 0; i < N_SHOWN; i++)
        if (strcmp(slicer_shown[i].key, key) == 0)
            return &slicer_shown[i];
    return NULL;
}

/* ---- the description ---- */

static void slicer_describe_file(FILE *file, const struct config_field *field, const struct slicer_file *shown)
{
    fprintf(file,
            "    <%s%s>\n      <name>%s</name>\n      <longflag>%s</longflag>\n      <description>%s</description>\n"
            "      <label>%s</label>\n      <channel>%s</channel>\n    </%s>\n",
            shown->tag, shown->attributes, field->key, field->key, field->help, shown->label, shown->channel,
            shown->tag);
}

static void slicer_describe_number(FILE *file, const struct config_field *field)
{
    const char *tag = field->type == CONFIG_BOOL ? "boolean" : field->type == CONFIG_INT ? "integer" : "double";
    fprintf(file,
            "    <%s>\n      <name>%s</name>\n      <longflag>%s</longflag>\n      <description>%s</description>\n"
            "      <label>%s</label>\n      <default>%s</default>\n",
            tag, field->key, field->key, field->help, field->key, field->text);
    if (field->min < field->max)
        fprintf(file,
                "      <constraints>\n        <minimum>%g</minimum>\n        <maximum>%g</maximum>\n"
                "        <step>%s</step>\n      </constraints>\n",
                field->min, field->max, field->type == CONFIG_INT ? "1" : "0.1");
    fprintf(file, "    </%s>\n", tag);
}

void slicer_describe(FILE *file, const char *version)
{
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<executable>\n  <category>Cranial implants</category>\n"
            "  <title>Calvaria</title>\n"
            "  <description>Restores a defective skull: implant, completed skull, surface, report. The input is a mask "
            "or a head CT. Research software, not for clinical use.</description>\n  <version>%s</version>\n"
            "  <documentation-url>docs/library.md</documentation-url>\n  <license>MIT</license>\n"
            "  <contributor>the calvaria authors</contributor>\n"
            "  <parameters>\n    <label>Skull and results</label>\n    <description>Volumes and files</description>\n"
            "    <image type=\"scalar\">\n      <name>skull</name>\n      <index>0</index>\n"
            "      <description>A mask of the defective skull, or a head CT in Hounsfield units</description>\n"
            "      <label>Defective skull</label>\n      <channel>input</channel>\n    </image>\n",
            version);
    for (const struct config_field *field = slicer_fields; field->key; field++)
        if (slicer_find(field->key))
            slicer_describe_file(file, field, slicer_find(field->key));
    fputs("    <double>\n      <name>implant_ml</name>\n      <index>1000</index>\n"
          "      <description>Volume of the implant, ml</description>\n      <label>Implant volume</label>\n"
          "      <default>0</default>\n      <channel>output</channel>\n    </double>\n  </parameters>\n"
          "  <parameters>\n    <label>Options</label>\n    <description>Rules after the model's own</description>\n",
          file);
    for (const struct config_field *field = slicer_fields; field->key; field++)
        if (field->text)
            slicer_describe_number(file, field);
    fputs("  </parameters>\n</executable>\n", file);
}

/* ---- the call ---- */

bool slicer_is_call(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        for (int k = 0; k < N_SHOWN; k++) {
            const size_t length = strlen(slicer_shown[k].key);
            const char *word = argv[i];
            if (strcmp(slicer_shown[k].channel, "output") == 0 && strncmp(word, "--", 2) == 0 &&
                strncmp(word + 2, slicer_shown[k].key, length) == 0 && strchr("=", word[2 + length]))
                return true;
        }
    return false;
}

struct slicer {
    struct slicer_options options;
    const char *input;
    FILE *out, *log;
    double from, to; /* the stage's share of the whole */
    struct skull_input file;
    struct skull_report read;
    struct volume skull;
    struct restorer *restorer;
    struct memory_plan plan;
    struct restoration result;
    struct insertion insertion;
    struct mesh mesh;
};

static void slicer_tell(struct slicer *slicer, double part)
{
    fprintf(slicer->out, "<filter-progress>%.3f</filter-progress>\n",
            slicer->from + (slicer->to - slicer->from) * part);
    fflush(slicer->out);
}

static void slicer_part(void *context, int64_t done, int64_t total)
{
    slicer_tell(context, (double)done / (double)total);
}

static void slicer_line(void *context, enum log_level level, const char *line)
{
    const struct slicer *slicer = context;
    if (level <= LOG_WARN)
        fprintf(slicer->log, "warning: %s\n", line);
}

static void slicer_stage(struct slicer *slicer, double to)
{
    slicer->from = slicer->to;
    slicer->to = to;
    slicer_tell(slicer, 0);
}

/* Slicer's flags have underscores. */
static enum status slicer_parse(struct slicer *slicer, int argc, char *const *argv, struct arena *arena,
                                struct error *error)
{
    struct config_strings inputs = {0};
    char **words = arena_alloc(arena, (size_t)argc + 1, sizeof *words);
    if (!words)
        return error_memory(error, (size_t)argc * sizeof *words, "the command line");
    for (int i = 0; i < argc; i++) {
        words[i] = arena_strdup(arena, argv[i]);
        if (!words[i])
            return error_memory(error, strlen(argv[i]), "the command line");
        for (char *c = words[i]; strncmp(argv[i], "--", 2) == 0 && *c && *c != '='; c++)
            *c = *c == '_' ? '-' : *c;
    }
    if (options_parse(&slicer_table, &slicer->options, argc, words, &inputs, arena, error))
        return error->status;
    if (inputs.n != 1)
        return error_set(error, STATUS_USAGE, "%d inputs (give one defective skull)", (int)inputs.n);
    slicer->input = inputs.items[0];
    return STATUS_OK;
}

static enum status slicer_restore(struct slicer *slicer, struct error *error)
{
    const struct slicer_options *options = &slicer->options;
    const struct batch_config ordinary = {.no_picture = true};

    if (skull_input_open(&slicer->file, slicer->input, options->input.series, error) ||
        skull_read(&slicer->skull, &slicer->read, slicer->file.path, &options->input, error))
        return error->status;
    slicer_stage(slicer, 0.8);
    struct progress progress = {.label = ""};
    if (restorer_open(&slicer->restorer, options->model, NULL, error))
        return error->status;
    restorer_keep_prediction(slicer->restorer, true);
    if (memory_plan_make(&slicer->plan, &ordinary, slicer->restorer, &slicer->skull, 0, error) ||
        restorer_run(&slicer->result, slicer->restorer, &slicer->skull, &progress, error) ||
        outcome_check_pose(&slicer->result, &slicer->read.warnings, options->input.strict, slicer->input, error) ||
        outcome_apply_rules(&slicer->result, &slicer->skull, &options->rules,
                            slicer->plan.report_voxels * REPORT_VOXEL_BYTES, slicer->input, error) ||
        outcome_insertion(&slicer->insertion, &slicer->result, &slicer->skull, options->rules.insertable, error))
        return error->status;
    slicer_stage(slicer, 0.9);
    return outcome_mesh(&slicer->mesh, &slicer->result, slicer->restorer, slicer->plan.report_voxels, error);
}

static enum status slicer_write_report(struct slicer *slicer, struct error *error)
{
    const struct slicer_options *options = &slicer->options;
    const struct report_request request = {
        .mesh = &slicer->mesh, .insertion = &slicer->insertion, .max_voxels = slicer->plan.report_voxels};
    struct report report;
    char line[64];
    char *page = NULL;
    if (report_make(&report, &slicer->result, &slicer->skull, slicer->restorer, &request, error))
        return error->status;

    report_warn_input(&report, &slicer->read.warnings);
    report.peak_bytes = memory_peak_bytes();
    for (int64_t i = 0; i < report.n_warnings; i++)
        slicer_line(slicer, LOG_WARN, report.warnings[i]);
    enum status status = STATUS_OK;
    if (options->report)
        status = report_page_text(&page, &report, &slicer->result, slicer->restorer, file_base(slicer->input), error);
    if (page)
        status = file_write(options->report, page, strlen(page), error);
    const int n = snprintf(line, sizeof line, "implant_ml = %.3f\n", report.volume_ml);
    if (!status && options->returnparameterfile)
        status = file_write(options->returnparameterfile, line, (size_t)n, error);
    memory_free(page);
    report_done(&report);
    return status;
}

static enum status slicer_write(struct slicer *slicer, struct error *error)
{
    const struct slicer_options *options = &slicer->options;
    enum status status = STATUS_OK;
    slicer_stage(slicer, 1);
    if (options->implant)
        status = volume_write(options->implant, &slicer->result.implant, error);
    if (!status && options->completed)
        status = volume_write(options->completed, &slicer->result.completed, error);
    if (!status && options->surface)
        status = mesh_write_stl(options->surface, &slicer->mesh, MESH_LPS, error);
    return status ? status : slicer_write_report(slicer, error);
}

enum status slicer_run(int argc, char *const *argv, FILE *out, FILE *log, struct error *error)
{
    struct arena arena = {0};
    struct slicer slicer = {.out = out, .log = log, .to = 0.1};
    const struct watch watch = {.context = &slicer, .line = slicer_line, .part = slicer_part};
    const double begin = log_clock_s();
    enum status status = slicer_parse(&slicer, argc, argv, &arena, error);

    if (!status) {
        const struct watch *before = watch_set(&watch);
        parallel_set_threads((int)slicer.options.threads);
        fputs("<filter-start>\n<filter-name>calvaria</filter-name>\n<filter-comment>Restores a defective "
              "skull</filter-comment>\n</filter-start>\n",
              out);
        slicer_tell(&slicer, 0);
        status = slicer_restore(&slicer, error);
        if (!status)
            status = slicer_write(&slicer, error);
        fprintf(out,
                "<filter-end>\n<filter-name>calvaria</filter-name>\n<filter-time>%.2f</filter-time>\n</filter-end>\n",
                log_clock_s() - begin);
        watch_set(before);
    }

    mesh_done(&slicer.mesh);
    insertion_done(&slicer.insertion);
    restoration_done(&slicer.result);
    restorer_free(slicer.restorer);
    volume_done(&slicer.skull);
    skull_input_close(&slicer.file);
    arena_done(&arena);
    return status;
}
