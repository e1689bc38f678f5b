/* test_power_loss.c - the power fails at any moment of a training: the last good checkpoint opens, and the run goes on.
 * Or while the server has a job: what it accepted is there, what it restored is whole, what was deleted is gone.
 *
 *     test_power_loss PROGRAM [CRASHES]        200 by default
 *
 * All writes of one undisturbed run are recorded (fault.h). A crash is a point in that list. What was on disk then:
 *   a file's bytes     every write before its last fsync; of the later ones any subset, the last kept one perhaps cut
 *   a folder's entries every creation, rename and removal before the folder's last fsync; of the later ones any subset
 * This is more than a journaling file system loses. What a rename puts under a final name must be whole, and not older
 * than the last one whose folder was synced. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/check.h"
#include "tests/faults/fault.h"

enum { MAX_OPS = 20000, MAX_FILES = 2000, MAX_NAMES = 2000, RESUMED = 12 };

/* ---- the record ---- */

/* file: the number of the file that is meant, whatever its name. */
struct op {
    enum fault_call call;
    int file, name, to; /* name, to: numbers of paths */
    int64_t offset, size;
    const void *data;
    bool empties, folder; /* folder: fsync of one */
};

static struct {
    int n_ops, n_names, n_files;
    struct op ops[MAX_OPS];
    const char *names[MAX_NAMES];
    int holds[MAX_NAMES]; /* the file of each name, or -1 */
    struct arena arena;
} record;

static struct {
    const char *program, *work, *out, *said;
    int64_t crashes;
} scene;

static int record_name(const char *path)
{
    for (int i = 0; i < record.n_names; i++)
        if (strcmp(record.names[i], path) == 0)
            return i;
    if (record.n_names == MAX_NAMES)
        abort();
    record.names[record.n_names] = arena_strdup(&record.arena, path);
    record.holds[record.n_names] = -1;
    return record.n_names++;
}

static void record_event(void *context, const struct fault_event *event)
{
    struct op op = {.call = event->call,
                    .name = record_name(event->path),
                    .offset = event->offset,
                    .size = event->size,
                    .empties = event->empties};
    int *holds = &record.holds[op.name];
    (void)context;
    if (record.n_ops == MAX_OPS)
        abort();
    if ((event->call == FAULT_CREATE || event->call == FAULT_FOLDER) && *holds < 0)
        *holds = record.n_files++;
    op.file = *holds;
    op.folder = event->call == FAULT_SYNC && file_is_folder(event->path);
    if (event->call == FAULT_WRITE) {
        void *copy = arena_alloc(&record.arena, (size_t)event->size, 1);
        op.data = memcpy(copy, event->data, (size_t)event->size);
    }
    if (event->call == FAULT_REMOVE)
        *holds = -1;
    if (event->call == FAULT_RENAME) {
        op.to = record_name(event->to);
        record.holds[op.to] = op.file;
        record.holds[op.name] = -1;
    }
    record.ops[record.n_ops++] = op;
}

/* ---- what a disk holds after a crash ---- */

struct content {
    char *data;
    size_t bytes;
};

struct disk {
    int holds[MAX_NAMES]; /* by name: the file, or -1 */
    struct content files[MAX_FILES];
};

static void content_size(struct content *content, size_t bytes)
{
    if (bytes > content->bytes) {
        content->data = memory_resize(content->data, content->bytes, bytes);
        if (!content->data)
            abort();
        memset(content->data + content->bytes, 0, bytes - content->bytes);
    }
    content->bytes = bytes;
}

static void content_apply(struct content *content, const struct op *op, int64_t size)
{
    if (op->call == FAULT_TRUNCATE || op->call == FAULT_CREATE) {
        content_size(content, op->call == FAULT_CREATE ? 0 : (size_t)op->size);
        return;
    }
    if ((size_t)(op->offset + size) > content->bytes)
        content_size(content, (size_t)(op->offset + size));
    memcpy(content->data + op->offset, op->data, (size_t)size);
}

static bool op_changes_bytes(const struct op *op)
{
    return op->file >= 0 &&
           (op->call == FAULT_WRITE || op->call == FAULT_TRUNCATE || (op->call == FAULT_CREATE && op->empties));
}

static bool op_changes_names(const struct op *op)
{
    return op->call == FAULT_CREATE || op->call == FAULT_RENAME || op->call == FAULT_REMOVE || op->call == FAULT_FOLDER;
}

/* Is `name` an entry of the folder `folder`? */
static bool name_is_in(int name, int folder)
{
    const char *path = record.names[name], *above = record.names[folder];
    const size_t n = strlen(above);
    return strncmp(path, above, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

/* Has the disk for certain what operation i did, when the power fails before operation `crash`? */
static bool op_is_durable(int i, int crash)
{
    const struct op *op = &record.ops[i];
    for (int k = i + 1; k < crash; k++) {
        const struct op *sync = &record.ops[k];
        if (sync->call == FAULT_SYNC &&
            (op_changes_bytes(op) && !op_changes_names(op) ? sync->file == op->file && !sync->folder
                                                           : sync->folder && name_is_in(op->name, sync->name)))
            return true;
    }
    return false;
}

static void disk_done(struct disk *disk)
{
    for (int i = 0; i < MAX_FILES; i++)
        memory_free(disk->files[i].data);
}

/* rng NULL: nothing is lost. */
static void disk_make(struct disk *disk, int crash, struct rng *rng)
{
    memset(disk, 0, sizeof *disk);
    for (int i = 0; i < MAX_NAMES; i++)
        disk->holds[i] = -1;
    for (int i = 0; i < crash; i++) {
        const struct op *op = &record.ops[i];
        const bool kept = !rng || op_is_durable(i, crash) || rng_u32(rng) % 2;
        if (op_changes_bytes(op) && (kept || op->call == FAULT_CREATE)) {
            const bool cut = rng && op->call == FAULT_WRITE && !op_is_durable(i, crash) && rng_u32(rng) % 4 == 0;
            content_apply(&disk->files[op->file], op,
                          cut ? (int64_t)(rng_u32(rng) % (uint32_t)(op->size + 1)) : op->size);
        }
        if (!op_changes_names(op) || !kept)
            continue;
        if (op->call == FAULT_RENAME)
            disk->holds[op->to] = op->file;
        disk->holds[op->name] = op->call == FAULT_RENAME || op->call == FAULT_REMOVE ? -1 : op->file;
    }
}

/* A name whose folder is not there is not there either. */
static bool disk_has(const struct disk *disk, int name)
{
    if (disk->holds[name] < 0)
        return false;
    for (int i = 0; i < record.n_names; i++)
        if (name_is_in(name, i) && strcmp(record.names[i], scene.out) != 0)
            return disk_has(disk, i);
    return true;
}

/* ---- what must hold ---- */

/* Was the file of rename i written to under its final name? Such a table grows: its last rows may be lost. */
static bool op_grows_later(int i)
{
    for (int k = i + 1; k < record.n_ops; k++)
        if (record.ops[k].file == record.ops[i].file && record.ops[k].call == FAULT_WRITE)
            return true;
    return false;
}

/* The versions that renames put under a name: whole[v]; and from which operation on each is on disk for certain. */
struct versions {
    int n;
    int renamed[MAX_OPS / 10], durable[MAX_OPS / 10];
    struct content whole[MAX_OPS / 10];
};

static void versions_make(struct versions *versions, int name)
{
    struct disk *disk = memory_alloc(1, sizeof *disk);
    memset(versions, 0, sizeof *versions);
    for (int i = 0; i < record.n_ops; i++) {
        const struct op *op = &record.ops[i];
        if (op->call != FAULT_RENAME || op->to != name || op_grows_later(i))
            continue;
        const int v = versions->n++;
        disk_make(disk, i, NULL);
        versions->renamed[v] = i;
        versions->whole[v] = disk->files[op->file];
        disk->files[op->file].data = NULL;
        disk_done(disk);
        versions->durable[v] = record.n_ops + 1;
        for (int crash = record.n_ops; crash > i + 1 && op_is_durable(i, crash); crash--)
            versions->durable[v] = crash;
    }
    memory_free(disk);
}

static void versions_done(struct versions *versions)
{
    for (int v = 0; v < versions->n; v++)
        memory_free(versions->whole[v].data);
}

/* The version that a crashed disk holds under the name; -1: none, -2: something that is not whole. */
static int versions_find(const struct versions *versions, const struct disk *disk, int name, int crash)
{
    if (!disk_has(disk, name))
        return -1;
    const struct content *got = &disk->files[disk->holds[name]];
    for (int v = versions->n - 1; v >= 0; v--)
        if (versions->renamed[v] < crash && got->bytes == versions->whole[v].bytes &&
            memcmp(got->data, versions->whole[v].data, got->bytes) == 0)
            return v;
    return -2;
}

static int versions_least(const struct versions *versions, int crash)
{
    int least = -1;
    for (int v = 0; v < versions->n; v++)
        if (crash >= versions->durable[v])
            least = v;
    return least;
}

/* ---- going on ---- */

static bool disk_write(const struct disk *disk, struct error *error)
{
    for (int i = 0; i < record.n_names; i++) {
        struct arena arena = {0};
        const char *path = record.names[i];
        if (!disk_has(disk, i))
            continue;
        bool is_folder = false;
        for (int k = 0; k < record.n_names; k++)
            is_folder = is_folder || name_is_in(k, i);
        const struct content *content = &disk->files[disk->holds[i]];
        enum status status = file_make_folders(is_folder ? path : file_folder(&arena, path), error);
        if (!status && !is_folder)
            status = file_write(path, content->data ? content->data : "", content->bytes, error);
        arena_done(&arena);
        if (status)
            return false;
    }
    return true;
}

static int scene_run(char *const *argv, void (*record_call)(void *, const struct fault_event *))
{
    struct error error = {0};
    struct fault_run run = {
        .argv = argv, .folder = scene.out, .said_path = scene.said, .record = record_call, .limit_s = 300};
    return CHECK_OK(fault_run(&run, &error), &error) ? run.code : -1;
}

static int scene_program(const char *const *args, void (*record_call)(void *, const struct fault_event *))
{
    char *argv[24] = {(char *)(uintptr_t)scene.program};
    for (int i = 0; args[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    return scene_run(argv, record_call);
}

static bool scene_clear(void)
{
    char line[PATH_MAX + 64];
    snprintf(line, sizeof line, "rm -rf '%s' && mkdir '%s'", scene.out, scene.out);
    return system(line) == 0;
}

/* The run goes on to its end from what the crash left. */
static void scene_resume(const struct disk *disk)
{
    struct error error = {0};
    struct arena arena = {0};
    const char *const args[] = {"train", "--resume", file_join(&arena, scene.out, "run"), "--threads", "1", NULL};
    const char *const info[] = {"info", file_join(&arena, scene.out, "run/last.h5"), NULL};
    if (CHECK(scene_clear()) && CHECK(disk_write(disk, &error))) {
        CHECK_INT(scene_program(info, NULL), 0);
        if (!CHECK_INT(scene_program(args, NULL), 0)) {
            char line[PATH_MAX + 8];
            snprintf(line, sizeof line, "cat '%s'", scene.said);
            CHECK_INT(system(line), 0);
        }
    }
    arena_done(&arena);
}

/* ---- the test ---- */

static const char recipe[] =
    "name: tiny\nseed: 1\ntask: completion\n"
    "network:\n  name: tiny\n  input_channels: 1\n  patch_vox: [8, 8, 8]\n  layers:\n"
    "    - { name: a, type: conv, filters: 4, kernel: 3, padding: symmetric, init: he_normal }\n"
    "    - { type: instance_norm }\n    - { type: leaky_relu }\n"
    "    - { name: head, type: conv, filters: 1, kernel: 1 }\n    - { type: sigmoid }\n"
    "data: { set: set.h5, patch_vox: [8, 8, 8], workers: 1 }\nloss: [{ type: bce }, { type: dice }]\n"
    "optimizer: { type: adam, lr: 2.0e-3 }\n"
    "train: { steps: 6, batch: 1, validate_every: 2, validate_patches: 1, validate_cases: 0, checkpoint_every: 1, "
    "plot_every: 0, best: loss }\nrestore: { scan: overlap, overlap_frac: 0.5, threshold: 0.5 }\n";
static const char defects[] = "defects:\n  - { type: sphere, radius_mm: [25, 35], min_volume_ml: 1 }\n";

static bool scene_record(void)
{
    struct error error = {0};
    struct arena arena = {0};
    const char *yaml = file_join(&arena, scene.work, "tiny.yaml"),
               *sphere = file_join(&arena, scene.work, "sphere.yaml");
    const char *skulls = file_join(&arena, scene.work, "skulls"), *set = file_join(&arena, scene.work, "set.h5");
    const char *const phantom[] = {"phantom", "--out", skulls,         "--count", "2",
                                   "--seed",  "3",     "--spacing-mm", "6",       NULL};
    const char *const pack[] = {"pack", skulls, "--out", set, "--split", "0.5,0.5,0", NULL};
    const char *const train[] = {"train",     yaml,
                                 "--run",     file_join(&arena, scene.out, "run"),
                                 "--set",     arena_printf(&arena, "data.set=%s", set),
                                 "--set",     arena_printf(&arena, "data.defects=%s", sphere),
                                 "--threads", "1",
                                 NULL};
    const bool ok = CHECK(scene_clear()) && CHECK_OK(file_write(yaml, recipe, strlen(recipe), &error), &error) &&
                    CHECK_OK(file_write(sphere, defects, strlen(defects), &error), &error) &&
                    CHECK_INT(scene_program(phantom, NULL), 0) && CHECK_INT(scene_program(pack, NULL), 0) &&
                    CHECK_INT(scene_program(train, record_event), 0);
    arena_done(&arena);
    return ok;
}

static void test_crashes(void)
{
    struct versions *versions = memory_alloc(1, sizeof *versions);
    struct disk *disk = memory_alloc(1, sizeof *disk);
    int64_t good = 0, names = 0, resumed = 0;
    if (!scene_record())
        return;
    for (int name = 0; name < record.n_names; name++) {
        versions_make(versions, name);
        const bool is_last = file_has_suffix(record.names[name], "run/last.h5");
        int64_t whole = 0;
        for (int64_t c = 0; versions->n && c < scene.crashes; c++) {
            struct rng rng = rng_make(1, (uint64_t)(c + 1));
            const int crash = 1 + (int)(rng_u32(&rng) % (uint32_t)record.n_ops);
            disk_make(disk, crash, &rng);
            const int found = versions_find(versions, disk, name, crash), least = versions_least(versions, crash);
            if (!CHECK(found >= least && found != -2))
                fprintf(stderr, "%s: crash %" PRId64 " before operation %d: version %d, at least %d expected\n",
                        record.names[name], c, crash, found, least);
            whole += found >= least && found != -2;
            if (is_last && least >= 0 && c * RESUMED / scene.crashes > resumed) {
                scene_resume(disk);
                resumed++;
            }
            disk_done(disk);
        }
        names += versions->n > 0;
        if (is_last)
            good = whole;
        versions_done(versions);
    }
    printf("    %d operations, %d names; last.h5 is whole after %" PRId64 " of %" PRId64 " crashes; %" PRId64
           " names checked, %" PRId64 " runs gone on with\n",
           record.n_ops, record.n_names, good, scene.crashes, names, resumed);
    CHECK_INT(good, scene.crashes);
    CHECK(names > 3 && resumed > 3);
    memory_free(disk);
    memory_free(versions);
    arena_done(&record.arena);
}

/* ---- the server ---- */

/* The first such operation on a file whose name ends so; -1: none. */
static int record_find(enum fault_call call, const char *ending)
{
    for (int i = 0; i < record.n_ops; i++)
        if (record.ops[i].call == call && file_has_suffix(record.names[record.ops[i].name], ending))
            return i;
    return -1;
}

static bool scene_record_server(void)
{
    struct arena arena = {0};
    const char *const inject[] = {"inject",    file_join(&arena, scene.work, "skulls/phantom_001.nii.gz"),
                                  "--defects", "configs/defects/craniotomy.yaml",
                                  "--out",     file_join(&arena, scene.work, "defects"),
                                  NULL};
    char *const job[] = {"tests/faults/serve_job.sh", (char *)(uintptr_t)scene.program, (char *)(uintptr_t)scene.out,
                         file_join(&arena, scene.work, "defects/phantom_001_d00_defective.nii.gz"), NULL};
    setenv("SERVE_JOB_ONCE", "1", 1);
    memset(&record, 0, sizeof record);
    const bool ok =
        CHECK(scene_clear()) && CHECK_INT(scene_program(inject, NULL), 0) && CHECK_INT(scene_run(job, record_event), 0);
    arena_done(&arena);
    return ok;
}

/* Crashes from operation `first` on, before `end`: each file is there, whole, and not older than `least` says. */
static void server_check(int name, const struct versions *versions, int first, int end)
{
    struct disk *disk = memory_alloc(1, sizeof *disk);
    for (int64_t c = 0; c < scene.crashes; c++) {
        struct rng rng = rng_make(2, (uint64_t)(c + 1));
        const int crash = first + (int)(rng_u32(&rng) % (uint32_t)(end - first));
        disk_make(disk, crash, &rng);
        const int found = versions_find(versions, disk, name, crash), least = versions_least(versions, crash);
        if (!CHECK(found >= 0 && found >= least))
            fprintf(stderr, "%s: crash %" PRId64 " before operation %d: version %d, at least %d expected\n",
                    record.names[name], c, crash, found, least);
        disk_done(disk);
    }
    memory_free(disk);
}

/* The upload, which no rename put in place: one version, whole when it was accepted. */
static void server_take_upload(struct versions *versions, int name, int accepted)
{
    struct disk *disk = memory_alloc(1, sizeof *disk);
    disk_make(disk, accepted, NULL);
    memset(versions, 0, sizeof *versions);
    versions->n = 1;
    versions->whole[0] = disk->files[disk->holds[name]];
    disk->files[disk->holds[name]].data = NULL;
    disk_done(disk);
    memory_free(disk);
}

static void test_server(void)
{
    struct versions *versions = memory_alloc(1, sizeof *versions);
    int n = 0;
    if (!scene_record_server())
        return;
    const int accepted = record_find(FAULT_CREATE, "/client/accepted"),
              restored = record_find(FAULT_CREATE, "/client/restored"), gone = record_find(FAULT_REMOVE, "/job.json"),
              deleted = record_find(FAULT_CREATE, "/client/deleted"), upload = record_find(FAULT_CREATE, "/in/upload");
    if (!CHECK(upload >= 0 && accepted > upload && restored > accepted && gone > restored && deleted > gone))
        return;

    for (int name = 0; name < record.n_names; name++) {
        const char *path = record.names[name];
        const bool is_upload = name == record.ops[upload].name, result = strstr(path, "/out/") != NULL;
        versions_make(versions, name);
        if (is_upload)
            server_take_upload(versions, name, accepted);
        if (strstr(path, "/state/jobs/") && versions->n > 0) {
            server_check(name, versions, result ? restored + 1 : accepted + 1, gone);
            n++;
        }
        versions_done(versions);
    }

    /* Deleted is deleted. */
    struct disk *disk = memory_alloc(1, sizeof *disk);
    for (int64_t c = 0; c < scene.crashes; c++) {
        struct rng rng = rng_make(3, (uint64_t)(c + 1));
        disk_make(disk, deleted + 1 + (int)(rng_u32(&rng) % (uint32_t)(record.n_ops - deleted)), &rng);
        CHECK(!disk_has(disk, record.ops[gone].name));
        disk_done(disk);
    }
    memory_free(disk);
    printf("    server: %d operations, %d files checked\n", record.n_ops, n);
    CHECK(n >= 10);
    memory_free(versions);
    arena_done(&record.arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"crashes", test_crashes}, {"server", test_server}, {0}};
    if (argc < 2) {
        fprintf(stderr, "usage: test_power_loss PROGRAM [CRASHES]\n");
        return 2;
    }
    scene.program = argv[1];
    scene.crashes = argc > 2 ? strtoll(argv[2], NULL, 10) : 200;
    if (!fault_possible()) {
        printf("    skipped: this system has no seccomp notifications\n0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    struct arena arena = {0};
    scene.work = check_folder();
    scene.out = file_join(&arena, scene.work, "out");
    scene.said = file_join(&arena, scene.work, "said");
    setenv("OMP_NUM_THREADS", "1", 1);
    const int code = check_main(1, argv, tests);
    arena_done(&arena);
    return code;
}
