/* test_faults.c - whole commands, each allocation and each write of which fails once: one clear error and exit code 1,
 * nothing half-written, no memory left, no crash, no hang. Or the command does without, and its results are whole.
 *
 *     test_faults PROGRAM SHIM [--all] [COMMAND...]      --all: every fault (nightly; unless they are named,
 *                                                        four commands take every third or fourth,
 *                                                        other ones each day); else a few of each kind
 *     test_faults PROGRAM SHIM --libraries [COMMAND...]  every allocation by a library on the program's behalf,
 *                                                        HDF5 and OpenMP aside (every fourth, unless
 *                                                        commands are named)
 *     FAULT_CALL=7 test_faults PROGRAM SHIM pack         that one write alone, to find out more
 *
 * The faults of a command are shared out among two processes, each with a folder of its own for the results. A command
 * runs twice undisturbed first: what differs then (times, dates) is not compared later. Allocations are named
 * by the calls that lead to them (fault_alloc.c); of each the first fails, with --all the last one too (of
 * a script, which takes a second, the first alone). */
#define _GNU_SOURCE /* nftw, MAP_ANONYMOUS */
#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/volume/formats.h"
#include "tests/check.h"
#include "tests/faults/fault.h"

enum { MAX_ARGS = 40, MAX_FILES = 64, FEW_STACKS = 8, FEW_CALLS = 6, LIBRARIES_EVERY = 4, WORKERS = 2 };

/* @in and @out stand for the folders of inputs and results. */
struct scene_command {
    const char *name;
    bool quick;
    const char *grows;  /* files that a failed run may leave in an earlier state */
    const char *spares; /* files that a run does without */
    const char *before; /* copied to @out first, or NULL */
    const char *faults; /* "/state": only what lies below @out/state fails; NULL: all of @out */
    int every; /* of a command whose faults take minutes, --all takes so many'th faults, other ones each day, unless the
                  command is named; 0: all */
    const char *script; /* runs the program, in place of the program itself; without its last argument it clears up
                           after a failed run */
    const char *args[MAX_ARGS];
};

#define TRAIN_SETS \
    "--set", "data.set=@in/set.h5", "--set", "data.defects=@in/sphere.yaml", "--set", "train.steps=2", "--threads", "1"
#define RUN_FILES "STATUS metrics.tsv log.txt environment.txt best.h5 last.h5"

#define DRAWN "metrics.gp metrics.png metrics.svg metrics.pdf"

static const struct scene_command commands[] = {
    {.name = "phantom",
     .quick = true,
     .args = {"phantom", "--out", "@out/skulls", "--count", "1", "--seed", "3", "--spacing-mm", "8"}},
    {.name = "inject",
     .args = {"inject", "@in/skulls/phantom_001.nii.gz", "--defects", "@in/sphere.yaml", "--out", "@out/defects"}},
    {.name = "pack", .quick = true, .args = {"pack", "@in/skulls", "--out", "@out/set.h5", "--split", "0.5,0.5,0"}},
    {.name = "segment", .args = {"segment", "@in/ct.nii.gz", "--out", "@out/skulls"}},
    {.name = "resample", .args = {"resample", "@in/ct.nii.gz", "--spacing-mm", "8,8,8", "--out", "@out/coarse.nrrd"}},
    {.name = "mesh", .args = {"mesh", "@in/skulls/phantom_001.nii.gz", "--out", "@out/skull.3mf"}},
    {.name = "view",
     .grows = "view.png", /* the row of a case that cannot be read says so */
     .args = {"view", "@in/defects", "--truth", "@in/defects", "--out", "@out/view.png"}},
    {.name = "unpack", .args = {"unpack", "@in/set.h5", "--out", "@out/unpacked"}},
    {.name = "check", .args = {"check", "@in/set.h5"}},
    {.name = "info", .args = {"info", "@in/run/best.h5"}},
    {.name = "runs", .args = {"runs", "@in", "--json"}},
    {.name = "infer",
     .quick = true,
     .args = {"infer", "--model", "builtin:mirror", "--set", "postprocess=[{keep_largest: 1}]", "--mesh-format", "all",
              "--no-picture", "@in/defects/phantom_001_d00_defective.nii.gz", "--out", "@out/restored", "--threads",
              "1"}},
    {.name = "infer_network",
     .quick = true,
     /* At 0.5 the untrained network fills the whole head, whose way in takes a second to find. */
     .args = {"infer", "--model", "@in/run", "--set", "threshold=0.55", "--no-mesh", "--no-picture", "--no-page",
              "--keep-raw", "@in/defects/phantom_001_d00_defective.nii.gz", "--out", "@out/restored", "--threads",
              "1"}},
    {.name = "infer_picture",
     .every = 4,
     .args = {"infer", "--model", "builtin:mirror", "--set", "postprocess=[{keep_largest: 1}]", "--insertable",
              "@in/defects/phantom_001_d00_defective.nii.gz", "--out", "@out/restored", "--threads", "1"}},
    {.name = "infer_shape",
     .every = 3,
     .args = {"infer", "--model", "@in/shape.h5", "--no-picture", "@in/defects/phantom_001_d00_defective.nii.gz",
              "--out", "@out/restored", "--threads", "1"}},
    {.name = "train",
     .quick = true,
     .grows = RUN_FILES,
     .args = {"train", "@in/tiny.yaml", "--run", "@out/run", TRAIN_SETS}},
    {.name = "train_resume",
     .grows = RUN_FILES,
     .before = "run",
     .args = {"train", "--resume", "@out/run", "--threads", "1"}},
    {.name = "export",
     .quick = true,
     .args = {"export", "@in/run", "--onnx", "@out/model.onnx", "--model", "@out/model.h5"}},
    {.name = "import_keras",
     .quick = true,
     .args = {"import-keras", "tests/infer/keras/k3_joints.h5", "--out", "@out/keras.h5"}},
    {.name = "evaluate",
     .spares = DRAWN,
     .args = {"evaluate", "--truth", "@in/defects", "--predicted", "@in/defects", "--out", "@out/table"}},
    {.name = "evaluate_json",
     .args = {"evaluate", "--truth", "@in/defects", "--predicted", "@in/defects", "--against", "@in/defects",
              "--json"}},
    {.name = "features",
     .spares = "features.dat features.gp features.png features.svg features.pdf",
     .args = {"features", "--model", "@in/run", "@in/defects/phantom_001_d00_defective.nii.gz", "--out",
              "@out/features"}},
    {.name = "shape",
     .every = 4,
     .args = {"shape", "@in/set.h5", "--split", "all", "--from", "@in/shape.h5", "--no-tune", "--trials", "1", "--out",
              "@out/shape.h5"}},
    {.name = "ablate",
     .every = 4,
     .grows = RUN_FILES " table.md table.tsv runs.tsv differences.tsv " DRAWN, /* without the run that failed */
     .spares = DRAWN,
     .args = {"ablate", "@in/grid.yaml", "--out", "@out/grid"}},
    {.name = "serve",
     .quick = true,
     .faults = "/state",
     .script = "tests/faults/serve_job.sh",
     .args = {"@out", "@in/defects/phantom_001_d00_defective.nii.gz"}},
    {0},
};

/* A small network's recipe: convolution, activation, output. */
static const char tiny_yaml[] =
    "name: tiny\nseed: 1\ntask: completion\n"
    "network:\n  name: tiny\n  input_channels: 1\n  patch_vox: [8, 8, 8]\n  layers:\n"
    "    - { name: a, type: conv, filters: 4, kernel: 3, padding: symmetric, init: he_normal }\n"
    "    - { type: instance_norm }\n    - { type: leaky_relu }\n"
    "    - { name: head, type: conv, filters: 1, kernel: 1 }\n    - { type: sigmoid }\n"
    "data: { set: set.h5, patch_vox: [8, 8, 8], workers: 1 }\nloss: [{ type: bce }, { type: dice }]\n"
    "optimizer: { type: adam, lr: 2.0e-3 }\n"
    "train: { steps: 2, batch: 1, validate_every: 1, validate_patches: 1, validate_cases: 0, checkpoint_every: 1, "
    "plot_every: 0, best: loss }\nrestore: { scan: overlap, overlap_frac: 0.5, threshold: 0.5 }\n";
/* One run, one restored skull. */
static const char grid_yaml[] =
    "name: grid\nbase: tiny.yaml\n"
    "set: [data.set=set.h5, data.defects=sphere.yaml, train.threads=1, 'restore.postprocess=[{keep_largest: 1}]']\n"
    "seeds: [1]\naxes:\n  - { name: rate, values: [ { name: low, set: [optimizer.lr=1.0e-3] } ] }\n"
    "evaluate: { cases: 1, defects: sphere.yaml }\n";
static const char sphere_yaml[] = "defects:\n  - { type: sphere, radius_mm: [25, 35], min_volume_ml: 1 }\n";

/* Of two files; a report's numbers (times, memory) differ between runs, its words do not. */
enum tree_same { SAME_NOTHING, SAME_WORDS, SAME_BYTES };

struct tree {
    int n;
    struct {
        const char *name; /* below the folder */
        char *data;
        size_t bytes;
        enum tree_same wanted; /* what two undisturbed runs have in common */
    } files[MAX_FILES];
};

/* What one process did. */
struct scene_counts {
    int64_t runs, failed, unreached, allocations, calls;
};

static int n_args; /* the commands that are named */
static char **arg_list;

static struct {
    const char *program, *shim, *work, *in, *out, *said, *report;
    char *whole_said;            /* by the undisturbed run; numbers in it may differ */
    const char *script, *faults; /* of the command under test */
    bool all, libraries;
    int64_t turn; /* of the next fault: worker 0, 1, 0, ... */
    int64_t day;  /* since 1970 */
    int worker;
    struct scene_counts *counts; /* of WORKERS processes, in memory that they share */
} scene;

/* ---- folders ---- */

static int scene_remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static void scene_empty(const char *folder)
{
    nftw(folder, scene_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir(folder, 0777))
        abort();
}

static struct tree *tree_reading;
static size_t tree_skip;
static struct arena *tree_arena;

static int tree_add(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    struct error error = {0};
    (void)info;
    /* TensorBoard's copy of metrics.tsv: time and process are in its name, and a run goes on without it. */
    if (kind != FTW_F || strncmp(path + at->base, "events.out.", 11) == 0)
        return 0;
    if (tree_reading->n == MAX_FILES)
        abort();
    tree_reading->files[tree_reading->n].name = arena_strdup(tree_arena, path + tree_skip);
    return file_read(&tree_reading->files[tree_reading->n].data, &tree_reading->files[tree_reading->n].bytes, path,
                     (size_t)1 << 28, &error) ||
           tree_reading->n++ < 0;
}

static void tree_read(struct tree *tree, const char *folder, struct arena *arena)
{
    *tree = (struct tree){0};
    tree_reading = tree;
    tree_skip = strlen(folder) + 1;
    tree_arena = arena;
    if (nftw(folder, tree_add, 16, FTW_PHYS))
        abort();
}

static void tree_done(struct tree *tree)
{
    for (int i = 0; i < tree->n; i++)
        memory_free(tree->files[i].data);
}

static int tree_find(const struct tree *tree, const char *name)
{
    for (int i = 0; i < tree->n; i++)
        if (strcmp(tree->files[i].name, name) == 0)
            return i;
    return -1;
}

/* Texts, their numbers left out. */
static bool text_same_words(const char *a, const char *b)
{
    while (*a && *b) {
        const bool numbers = isdigit((unsigned char)*a) && isdigit((unsigned char)*b);
        if (!numbers && *a != *b)
            return false;
        a += numbers ? strspn(a, ".e+-0123456789") : 1;
        b += numbers ? strspn(b, ".e+-0123456789") : 1;
    }
    return *a == *b;
}

static enum tree_same tree_compare(const struct tree *a, int i, const struct tree *b, int k)
{
    const char *name = a->files[i].name;
    const size_t bytes = a->files[i].bytes;
    if (bytes == b->files[k].bytes && memcmp(a->files[i].data, b->files[k].data, bytes) == 0)
        return SAME_BYTES;
    const bool report = file_has_suffix(name, ".html") || file_has_suffix(name, ".json");
    return report && text_same_words(a->files[i].data, b->files[k].data) ? SAME_WORDS : SAME_NOTHING;
}

/* ---- runs ---- */

static char *scene_expand(const char *text, struct arena *arena)
{
    const char *at = strchr(text, '@');
    if (!at)
        return arena_strdup(arena, text);
    const bool in = strncmp(at, "@in", 3) == 0;
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, in ? scene.in : scene.out, at + (in ? 3 : 4));
}

/* Runs a command line; `run` says which fault. */
static void scene_run(struct fault_run *run, const char *const *args, struct arena *arena)
{
    char *argv[MAX_ARGS + 3] = {(char *)(uintptr_t)scene.script, (char *)(uintptr_t)scene.program};
    struct error error = {0};
    for (int i = 0; args[i]; i++)
        argv[i + 2] = scene_expand(args[i], arena);
    run->argv = argv + (scene.script == NULL);
    if (scene.script && run->limit_s <= 0)
        run->limit_s = 300;
    run->folder = arena_printf(arena, "%s%s", scene.out, scene.faults ? scene.faults : "");
    run->said_path = scene.said;
    unlink(scene.report);
    CHECK_OK(fault_run(run, &error), &error);
    scene.counts[scene.worker].runs++;
}

static bool scene_prepare_one(const char *const *args)
{
    struct arena arena = {0};
    struct fault_run run = {.limit_s = 600};
    scene_run(&run, args, &arena);
    arena_done(&arena);
    return CHECK_INT(run.code, 0);
}

/* A head CT about a skull: bone, an ellipsoid of soft tissue in its box, air. */
static bool scene_make_ct(const char *ct_path, const char *skull_path)
{
    struct error error = {0};
    struct volume skull, ct;
    if (!CHECK_OK(volume_read_mask(&skull, skull_path, &error), &error) ||
        !CHECK_OK(volume_new(&ct, &skull.grid, VOXEL_I16, &error), &error))
        return false;
    const int64_t *dim = skull.grid.dim;
    for (int64_t z = 0, i = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                const double u = 2.0 * (double)x / (double)dim[0] - 1, v = 2.0 * (double)y / (double)dim[1] - 1,
                             w = 2.0 * (double)z / (double)dim[2] - 1;
                const bool bone = ((const uint8_t *)skull.data)[i], soft = u * u + v * v + w * w < 0.8;
                ((int16_t *)ct.data)[i] = bone ? 900 : soft ? 40 : -1000;
            }
    const bool ok = CHECK_OK(volume_write(ct_path, &ct, &error), &error);
    volume_done(&ct);
    volume_done(&skull);
    return ok;
}

static bool scene_prepare(bool shape)
{
    struct error error = {0};
    struct arena arena = {0};
    bool ok =
        CHECK_OK(file_make_folders(scene.in, &error), &error) &&
        CHECK_OK(file_make_folders(scene.out, &error), &error) &&
        CHECK_OK(file_write(file_join(&arena, scene.in, "tiny.yaml"), tiny_yaml, strlen(tiny_yaml), &error), &error) &&
        CHECK_OK(file_write(file_join(&arena, scene.in, "sphere.yaml"), sphere_yaml, strlen(sphere_yaml), &error),
                 &error) &&
        CHECK_OK(file_write(file_join(&arena, scene.in, "grid.yaml"), grid_yaml, strlen(grid_yaml), &error), &error);
    const char *const lines[][MAX_ARGS] = {
        {"phantom", "--out", "@in/skulls", "--count", "5", "--seed", "3", "--spacing-mm", "6"},
        {"inject", "@in/skulls/phantom_001.nii.gz", "--defects", "configs/defects/craniotomy.yaml", "--out",
         "@in/defects"},
        {"pack", "@in/skulls", "--out", "@in/set.h5", "--split", "0.5,0.5,0"},
        {"train", "@in/tiny.yaml", "--run", "@in/run", TRAIN_SETS},
        {"shape", "@in/set.h5", "--split", "all", "--no-tune", "--trials", "1", "--out", "@in/shape.h5"},
    };
    for (size_t i = 0; ok && i < sizeof lines / sizeof *lines - !shape; i++)
        ok = scene_prepare_one(lines[i]);
    ok = ok && scene_make_ct(file_join(&arena, scene.in, "ct.nii.gz"),
                             file_join(&arena, scene.in, "skulls/phantom_001.nii.gz"));
    arena_done(&arena);
    return ok;
}

/* The folder as the command finds it. */
static void scene_reset(const struct scene_command *command)
{
    scene_empty(scene.out);
    if (!command->before)
        return;
    char line[1024];
    snprintf(line, sizeof line, "cp -r '%s/%s' '%s/' && sed -i 's/^  steps: 2/  steps: 3/' '%s/%s/recipe.yaml'",
             scene.in, command->before, scene.out, scene.out, command->before);
    if (system(line) != 0)
        abort();
}

/* ---- what a disturbed run left ---- */

/* Is the file among the names of a list? */
static bool scene_lists(const char *list, const char *path)
{
    const char *base = file_base(path), *at = list ? strstr(list, base) : NULL;
    return at && (at == list || at[-1] == ' ') && strchr(" ", at[strlen(base)]);
}

static bool scene_opens(const char *name)
{
    struct arena arena = {0};
    struct fault_run run = {0};
    const char *said = scene.said, *script = scene.script;
    const char *const args[] = {"info", file_join(&arena, scene.out, name), NULL};
    scene.said = file_join(&arena, scene.work, "info");
    scene.script = NULL;
    scene_run(&run, args, &arena);
    scene.said = said;
    scene.script = script;
    arena_done(&arena);
    return run.code == 0;
}

/* Why what lies there is wrong, or NULL. */
static const char *scene_judge_files(const struct scene_command *command, const struct tree *whole, bool failed,
                                     struct arena *arena)
{
    struct tree left;
    const char *why = NULL;
    tree_read(&left, scene.out, arena);
    for (int i = 0; !why && i < left.n; i++) {
        const char *name = left.files[i].name;
        const int k = tree_find(whole, name);
        const enum tree_same wanted = k >= 0 ? whole->files[k].wanted : SAME_NOTHING;
        const bool same =
            k >= 0 && tree_compare(&left, i, whole, k) >= wanted && (wanted > SAME_NOTHING || left.files[i].bytes > 0);
        if (k < 0)
            why = arena_printf(arena, "%s is left", name);
        else if (!same && !(failed && scene_lists(command->grows, name)))
            why = arena_printf(arena, "%s is half-written", name);
        else if (!same && file_has_suffix(name, ".h5") && !scene_opens(name))
            why = arena_printf(arena, "%s does not open", name);
    }
    for (int k = 0; !why && !failed && k < whole->n; k++)
        if (tree_find(&left, whole->files[k].name) < 0 && !scene_lists(command->spares, whole->files[k].name))
            why = arena_printf(arena, "%s is missing", whole->files[k].name);
    tree_done(&left);
    return why;
}

static void scene_print_said(void)
{
    struct error error = {0};
    char *said = NULL;
    size_t bytes;
    if (!file_read(&said, &bytes, scene.said, 1 << 20, &error))
        printf("    %s\n", said);
    memory_free(said);
}

static const char *scene_judge(const struct scene_command *command, const struct fault_run *run,
                               const struct tree *whole, struct arena *arena)
{
    struct error error = {0};
    char *said = NULL, *report = NULL;
    size_t bytes;
    const char *why = NULL;
    if (file_read(&said, &bytes, scene.said, 1 << 20, &error))
        abort();
    if (run->preload && file_read(&report, &bytes, scene.report, 1 << 22, &error))
        report = NULL;

    if (run->timed_out)
        why = "it hangs";
    else if (run->code != 0 && run->code != 1)
        why = arena_printf(arena, "exit code %d", run->code);
    else if (run->code == 1 && !strstr(said, "error: "))
        why = "no error was printed";
    else if (report && strstr(report, "\nleft "))
        why = arena_printf(arena, "memory is %.30s", strstr(report, "\nleft ") + 1);
    else if (run->code == 0 && whole->n == 0 && !text_same_words(said, scene.whole_said)) /* it writes no file */
        why = "it says something else";
    else
        why = scene_judge_files(command, whole, run->code != 0, arena);
    if (why)
        scene_print_said();
    memory_free(said);
    memory_free(report);
    return why;
}

/* What a failed script left is cleared up by the program undisturbed. Why it could not, or NULL. */
static const char *scene_clear_up(const struct scene_command *command, struct arena *arena)
{
    struct fault_run run = {0};
    const char *said = scene.said, *args[MAX_ARGS] = {0};
    for (int i = 0; command->args[i + 1]; i++)
        args[i] = command->args[i];
    scene.said = file_join(arena, scene.work, "cleared");
    scene_run(&run, args, arena);
    scene.said = said;
    return run.code == 0 ? NULL
                         : arena_printf(arena, "started again: exit code %d (see %s/cleared)", run.code, scene.work);
}

static void scene_verdict(const struct scene_command *command, const struct fault_run *run, const struct tree *whole,
                          const char *what)
{
    struct arena arena = {0};
    const char *why = run->code == 1 && command->script ? scene_clear_up(command, &arena) : NULL;
    if (!why)
        why = scene_judge(command, run, whole, &arena);
    scene.counts[scene.worker].failed += run->code != 0;
    if (!CHECK(why == NULL))
        fprintf(stderr, "%s: %s: %s\n", command->name, what, why);
    arena_done(&arena);
}

/* ---- the faults ---- */

static bool scene_is_mine(const struct scene_command *command)
{
    const int64_t often = scene.libraries ? LIBRARIES_EVERY : command->every,
                  every = scene.all && often && n_args == 0 ? often : 1, turn = scene.turn++ + scene.day;
    return turn % every == 0 && turn / every % WORKERS == scene.worker;
}

static void scene_fail_calls(const struct scene_command *command, const struct tree *whole, int64_t n_calls, bool stays)
{
    const char *only = getenv("FAULT_CALL");
    const int64_t few = stays ? FEW_CALLS / 2 : FEW_CALLS, step = scene.all || n_calls <= few ? 1 : n_calls / few;
    if (only && scene.worker > 0)
        return;
    for (int64_t at = 1; at <= n_calls; at += stays && scene.all ? (command->script ? 9 : 3) : step) {
        struct arena arena = {0};
        struct fault_run run = {.fail_at = only ? strtoll(only, NULL, 10) : at, .stays = stays};
        char what[700];
        if (!scene_is_mine(command))
            continue;
        scene_reset(command);
        scene_run(&run, command->args, &arena);
        arena_done(&arena);
        if (run.failed_call == FAULT_N_CALLS) {
            scene.counts[scene.worker].unreached++;
            continue;
        }
        snprintf(what, sizeof what, "call %" PRId64 " of %" PRId64 ", %s of %s, fails%s", at, n_calls,
                 fault_call_names[run.failed_call], run.failed_path, stays ? " and all after it" : "");
        scene_verdict(command, &run, whole, what);
        scene.counts[scene.worker].calls++;
        if (only)
            return;
    }
}

static void scene_fail_allocation(const struct scene_command *command, const struct tree *whole, const char *stack,
                                  const char *nth)
{
    struct arena arena = {0};
    struct fault_run run = {.preload = scene.shim};
    char what[100];
    if (!scene_is_mine(command))
        return;
    setenv("FAULT_STACK", stack, 1);
    setenv("FAULT_NTH", nth, 1);
    scene_reset(command);
    scene_run(&run, command->args, &arena);
    unsetenv("FAULT_STACK");
    unsetenv("FAULT_NTH");
    arena_done(&arena);
    snprintf(what, sizeof what, "allocation %s of stack %s fails", nth, stack);
    scene_verdict(command, &run, whole, what);
    scene.counts[scene.worker].allocations++;
}

static void scene_fail_allocations(const struct scene_command *command, const struct tree *whole, const char *report)
{
    int64_t n = 0, i = 0;
    for (const char *line = report; (line = strstr(line, "stack ")); line++)
        n++;
    CHECK(n > 0);
    const int64_t step = scene.all || n <= FEW_STACKS ? 1 : n / FEW_STACKS;
    for (const char *line = report; (line = strstr(line, "stack ")); line++, i++) {
        char stack[32], count[32];
        if (i % step || sscanf(line, "stack %31s %31s", stack, count) != 2)
            continue;
        char again[40];
        snprintf(again, sizeof again, "stack %s ", stack);
        if (strstr(report, again) != line) /* of several processes */
            continue;
        scene_fail_allocation(command, whole, stack, "1");
        if (scene.all && !command->script && strcmp(count, "1") != 0)
            scene_fail_allocation(command, whole, stack, count);
    }
}

/* Where a process works. */
static void scene_place(const char *folder)
{
    scene.out = memory_printf("%s/out", folder); /* kept to the end, as all of them */
    scene.said = memory_printf("%s/said", folder);
    scene.report = memory_printf("%s/report", folder);
    setenv("FAULT_REPORT", scene.report, 1);
    if (mkdir(folder, 0777) && errno != EEXIST)
        abort();
}

/* Runs the command undisturbed. */
static bool scene_run_whole(const struct scene_command *command, struct fault_run *run, struct tree *whole,
                            struct arena *arena)
{
    *run = (struct fault_run){.preload = scene.shim};
    scene_reset(command);
    scene_run(run, command->args, arena);
    tree_read(whole, scene.out, arena);
    struct error error = {0};
    size_t bytes;
    memory_free(scene.whole_said);
    scene.whole_said = NULL;
    if (run->code)
        scene_print_said();
    return CHECK_INT(run->code, 0) &&
           CHECK_OK(file_read(&scene.whole_said, &bytes, scene.said, 1 << 20, &error), &error);
}

/* One worker's faults, after two undisturbed runs. */
static void scene_fail_share(const struct scene_command *command, int64_t n_calls, const char *report)
{
    struct arena arena = {0};
    struct tree whole, again;
    struct fault_run run;
    bool ok = scene_run_whole(command, &run, &again, &arena);
    sleep(1); /* a file that says when it was written differs only then */
    ok = scene_run_whole(command, &run, &whole, &arena) && ok && CHECK_INT(whole.n, again.n);
    for (int i = 0; ok && i < whole.n; i++)
        whole.files[i].wanted = tree_compare(&whole, i, &again, i);

    if (ok && !scene.libraries)
        scene_fail_calls(command, &whole, n_calls, false);
    if (ok && !scene.libraries && !getenv("FAULT_CALL"))
        scene_fail_calls(command, &whole, n_calls, true);
    if (ok && !getenv("FAULT_CALL"))
        scene_fail_allocations(command, &whole, report);
    tree_done(&whole);
    tree_done(&again);
    arena_done(&arena);
}

static void scene_share_out(const struct scene_command *command, int64_t n_calls, const char *report)
{
    pid_t workers[WORKERS];
    fflush(NULL);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] != 0)
            continue;
        const int64_t before = check_failures();
        scene.worker = i;
        scene.work = memory_printf("%s/%s_%d", scene.work, command->name, i);
        scene_place(scene.work);
        scene_fail_share(command, n_calls, report);
        fflush(NULL);
        _exit(check_failures() > before);
    }
    for (int i = 0; i < WORKERS; i++) {
        int how = 1;
        waitpid(workers[i], &how, 0);
        CHECK_INT(how, 0);
    }
}

/* An undisturbed run that lists what can fail, then each fault. */
static void scene_command(const struct scene_command *command)
{
    struct arena arena = {0};
    struct error error = {0};
    struct tree whole;
    struct fault_run run;
    char *report = NULL;
    size_t bytes;
    scene.script = command->script;
    scene.faults = command->faults;
    if (scene_run_whole(command, &run, &whole, &arena) &&
        CHECK_OK(file_read(&report, &bytes, scene.report, 1 << 24, &error), &error)) {
        if (!CHECK(!strstr(report, "\nleft ")))
            fprintf(stderr, "%s: undisturbed: memory is %.30s\n", command->name, strstr(report, "\nleft ") + 1);
        scene_share_out(command, run.n_calls, report);
    }
    memory_free(report);
    tree_done(&whole);
    arena_done(&arena);
    scene.script = scene.faults = NULL;
}

static bool scene_wanted(const struct scene_command *command, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], command->name) == 0)
            return true;
    return argc == 0 && (scene.all || command->quick);
}

static struct scene_counts scene_total(void)
{
    struct scene_counts total = {0};
    for (int i = 0; i < WORKERS; i++) {
        total.runs += scene.counts[i].runs;
        total.failed += scene.counts[i].failed;
        total.unreached += scene.counts[i].unreached;
        total.allocations += scene.counts[i].allocations;
        total.calls += scene.counts[i].calls;
    }
    return total;
}

static void test_commands(void)
{
    bool shape = false;
    for (const struct scene_command *command = commands; command->name; command++)
        shape = shape || (scene_wanted(command, n_args, arg_list) && strstr(command->name, "shape"));
    if (!scene_prepare(shape))
        return;
    for (const struct scene_command *command = commands; command->name; command++) {
        if (!scene_wanted(command, n_args, arg_list))
            continue;
        const struct scene_counts before = scene_total();
        const double begin_s = log_clock_s();
        scene_command(command);
        const struct scene_counts after = scene_total();
        printf("    %-14s %4" PRId64 " writes and %4" PRId64 " allocations failed; %" PRId64
               " runs ended with an error; %.0f s\n",
               command->name, after.calls - before.calls, after.allocations - before.allocations,
               after.failed - before.failed, log_clock_s() - begin_s);
        fflush(stdout);
    }
    const struct scene_counts total = scene_total();
    printf("    %" PRId64 " runs, %" PRId64 " faults not reached\n", total.runs, total.unreached);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"commands", test_commands}, {0}};
    if (argc < 3) {
        fprintf(stderr, "usage: test_faults PROGRAM SHIM [--all | --libraries] [COMMAND...]\n");
        return 2;
    }
    scene.program = realpath(argv[1], NULL);
    scene.shim = realpath(argv[2], NULL);
    scene.libraries = argc > 3 && strcmp(argv[3], "--libraries") == 0;
    scene.all = scene.libraries || (argc > 3 && strcmp(argv[3], "--all") == 0);
    arg_list = argv + 3 + scene.all;
    n_args = argc - 3 - scene.all;
    if (!fault_possible()) {
        printf("    skipped: this system has no seccomp notifications\n0 passed, 0 failed, 1 skipped\n");
        return 77;
    }

    setvbuf(stdout, NULL, _IOLBF, 0); /* beside stderr's lines */
    scene.work = realpath(check_folder(), NULL);
    scene.in = memory_printf("%s/in", scene.work);
    scene_place(scene.work);
    scene.counts =
        mmap(NULL, WORKERS * sizeof *scene.counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!scene.program || !scene.shim || scene.counts == MAP_FAILED) {
        fprintf(stderr, "test_faults: %s, %s: not there\n", argv[1], argv[2]);
        return 2;
    }
    scene.day = time(NULL) / 86400;
    setenv("FAULT_PROGRAM", scene.program, 1);
    if (scene.libraries)
        setenv("FAULT_LIBRARIES", "libhdf5 libgomp", 1); /* these end or crash the process themselves */
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* its threads would spin at each start */
    return check_main(1, argv, tests);
}
