/* test_replicas.c - `mpirun calvaria train`: two processes are one with twice the batch, again and after a resume, and
 * when one of them dies. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "nn/model/model_file.h"
#include "tests/check.h"
#include "tests/train/chain.h"
#include "tests/train/child.h"
#include "train/replicas.h"
#include "train/run.h"

#define QUIET "train.validate_every=0", "train.plot_every=0", "train.threads=1"
/* Losses that are means over samples, an update without quotients that blow rounding up, batch norm over all parts. */
#define EXACT                                                                                        \
    "optimizer={type: sgd, lr: 0.5}", "loss=[{type: mse}, {type: dice, over: sample, weight: 0.1}]", \
        "train.norm_statistics=synchronised"

static bool ready(void)
{
    if (!replicas_library()) {
        check_skip("built without MPI");
        return false;
    }
    if (system("command -v mpirun >/dev/null 2>&1") != 0) {
        check_skip("mpirun is not on the PATH (openmpi-bin)");
        return false;
    }
    return CHECK(chain_set() != NULL) && CHECK(chain_recipe("plain.yaml", NULL) != NULL);
}

/* calvaria train, in n processes (1: without a launcher), its output in FOLDER.txt. */
static pid_t start(int n, const char *folder, const char *const *sets, bool resume)
{
    const char *arguments[48];
    int count = 0;
    char output[512];
    if (n > 1) {
        arguments[count++] = "mpirun";
        arguments[count++] = "-n";
        arguments[count++] = n == 2 ? "2" : "3";
    }
    arguments[count++] = CALVARIA_PROGRAM;
    arguments[count++] = "train";
    if (resume) {
        arguments[count++] = "--resume";
        arguments[count++] = check_path(folder);
    } else {
        arguments[count++] = check_path("plain.yaml");
        arguments[count++] = "--run";
        arguments[count++] = check_path(folder);
    }
    for (int i = 0; sets[i]; i++) {
        arguments[count++] = "--set";
        arguments[count++] = sets[i];
    }
    arguments[count] = NULL;
    snprintf(output, sizeof output, "%s.txt", check_path(folder));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen(output, "w", stderr) || !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "r", stdin))
            _exit(126);
        if (n > 1)
            setenv("ASAN_OPTIONS", "detect_leaks=0",
                   1); /* in a sanitizer's build: Open MPI's modules do not free all */
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    return child;
}

static bool train(int n, const char *folder, const char *const *sets, bool resume)
{
    if (CHECK_INT(child_wait(start(n, folder, sets, resume)), 0))
        return true;
    char name[256];
    snprintf(name, sizeof name, "%s.txt", folder);
    char *text = chain_text(check_path(name));
    printf("%s", text ? text : "");
    memory_free(text);
    return false;
}

static const char *last(const char *folder)
{
    return chain_in(folder, "last.h5");
}

/* The largest difference between parameters of one name, as a share of the largest value in them. */
static double difference(const char *folder_a, const char *folder_b)
{
    struct error error = {0};
    struct model a = {0}, b = {0};
    double worst = 0;
    if (!CHECK_OK(model_read(&a, last(folder_a), true, &error), &error) ||
        !CHECK_OK(model_read(&b, last(folder_b), true, &error), &error))
        return NAN;
    for (int64_t i = 0; i < a.params.n; i++) {
        const struct param *x = &a.params.items[i], *y = params_find(&b.params, x->name);
        double size = 0, apart = 0;
        for (int64_t k = 0; y && k < x->count; k++) {
            double value = (double)a.params.value[x->offset + k];
            size = fmax(size, fabs(value));
            apart = fmax(apart, fabs(value - (double)b.params.value[y->offset + k]));
        }
        if (!CHECK(y && size > 0))
            printf("    %s\n", x->name);
        worst = fmax(worst, apart / size);
    }
    model_done(&a);
    model_done(&b);
    return worst;
}

/* --- two are one --- */

static void test_two_are_one(void)
{
    const char *const one[] = {QUIET, EXACT, "train.steps=5", "train.batch=2", NULL};
    const char *const two[] = {QUIET, EXACT, "train.steps=5", "train.batch=1", NULL};
    const char *const local[] = {QUIET, EXACT, "train.steps=5", "train.batch=1", "train.norm_statistics=local", NULL};
    if (!ready() || !train(1, "one", one, false) || !train(2, "two", two, false) || !train(2, "local", local, false))
        return;
    double same = difference("one", "two"), other = difference("one", "local");
    printf("    apart: synchronised %.2g, local %.2g\n", same, other);
    CHECK(same < 2e-5);
    CHECK(other > 1e-3); /* the comparison can fail */
}

/* Without batch norm nothing has to be synchronised; three processes, and batches in a row. */
static void test_three_are_one(void)
{
    static const char no_norm[] = "network.layers.2={type: relu}";
    const char *const one[] = {QUIET, EXACT, no_norm, "train.steps=3", "train.batch=6", NULL};
    const char *const three[] = {
        QUIET, EXACT, no_norm, "train.steps=3", "train.batch=1", "train.accumulate=2", "train.norm_statistics=local",
        NULL};
    if (!ready() || !train(1, "whole", one, false) || !train(3, "parts", three, false))
        return;
    double same = difference("whole", "parts");
    printf("    apart: %.2g\n", same);
    CHECK(same < 2e-5);
}

/* --- the same bits --- */

static void test_same_bits(void)
{
    const char *const six[] = {QUIET, "train.steps=6", "train.batch=1", NULL}, *const three[] = {QUIET, "train.steps=3",
                                                                                                 "train.batch=1", NULL};
    const char *const on[] = {"train.steps=6", NULL};
    if (!ready() || !train(2, "straight", six, false) || !train(2, "again", six, false) ||
        !train(2, "halves", three, false) || !train(2, "halves", on, true))
        return;
    CHECK(chain_same_model(last("straight"), last("again")));
    CHECK(chain_same_model(last("straight"), last("halves")));
    const char *const longer[] = {"train.steps=8", NULL}; /* another number of processes goes on from it */
    CHECK(train(1, "halves", longer, true));
    CHECK(train(3, "again", longer, true));
}

/* The first process validates; the others hear of it. */
static void test_validation(void)
{
    const char *const sets[] = {"train.plot_every=0", "train.threads=1", "train.steps=6", "train.batch=1", NULL};
    if (!ready() || !train(2, "validated", sets, false))
        return;
    char *status = chain_text(check_path("validated/STATUS")), *log = chain_text(check_path("validated/log.txt"));
    CHECK_CONTAINS(status, "state: finished\nstep: 6\n");
    CHECK_CONTAINS(status, "best: { metric: dsc");
    CHECK_CONTAINS(log, "2 processes (2 on this machine), a batch of 1 each");
    memory_free(status);
    memory_free(log);
}

/* --- what goes wrong --- */

/* The process of this program's descendants whose environment says it has this rank in the run in `folder`; 0: none. */
static pid_t find_rank(const char *folder, const char *rank)
{
    DIR *processes = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; processes && !found && (entry = readdir(processes));) {
        char path[300], text[16384], command[4096];
        size_t n;
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
        FILE *file = fopen(path, "re");
        n = file ? fread(command, 1, sizeof command - 1, file) : 0;
        command[n] = '\0';
        for (size_t i = 0; i + 1 < n; i++)
            command[i] = command[i] ? command[i] : ' ';
        if (file)
            fclose(file);
        if (strncmp(command, CALVARIA_PROGRAM, strlen(CALVARIA_PROGRAM)) != 0 || !strstr(command, check_path(folder)))
            continue;
        snprintf(path, sizeof path, "/proc/%ld/environ", pid);
        file = fopen(path, "re");
        n = file ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file)
            fclose(file);
        text[n] = '\0';
        for (char *at = text; at < text + n; at += strlen(at) + 1)
            if (strncmp(at, "OMPI_COMM_WORLD_RANK=", 21) == 0 && strcmp(at + 21, rank) == 0)
                found = (pid_t)pid;
    }
    if (processes)
        closedir(processes);
    return found;
}

/* kill -9 of the second process: the job ends with an error, the first has saved the step before, and the run goes on
 * from there to the bits of one that nothing happened to. No other checkpoint was ever due. */
static void test_one_dies(void)
{
    const char *const sets[] = {QUIET, "train.steps=400", "train.batch=1", "train.checkpoint_every=0", NULL},
                      *const none[] = {NULL};
    struct run_status status = {0};
    struct arena arena = {0};
    struct error error = {0};
    if (!ready() || !train(2, "unharmed", sets, false))
        return;
    pid_t job = start(2, "harmed", sets, false), victim = 0;
    for (int i = 0; i < 3000 && chain_steps("harmed") < 5; i++)
        child_nap(0.02);
    for (int i = 0; i < 100 && !victim; i++) {
        victim = find_rank("harmed", "1");
        child_nap(0.02);
    }
    if (!CHECK(victim > 0)) {
        kill(job, SIGTERM);
        child_wait(job);
        return;
    }
    kill(victim, SIGKILL);
    CHECK(child_wait(job) != 0);
    char *text = chain_text(check_path("harmed.txt"));
    CHECK_CONTAINS(text, "did one die?");
    CHECK_CONTAINS(text, "Killed");
    memory_free(text);
    CHECK_OK(run_read_status(&status, check_path("harmed"), &arena, &error), &error);
    CHECK_TEXT(status.state, "stopped");
    CHECK(status.step >= 4 && status.step < 400);
    printf("    died after step %d\n", (int)status.step);
    if (CHECK(file_exists(last("harmed"))) && train(2, "harmed", none, true))
        CHECK(chain_same_model(last("unharmed"), last("harmed")));
    arena_done(&arena);
}

/* A mistake that all of them see is reported once. */
static void test_told_once(void)
{
    const char *const sets[] = {"train.stesp=3", NULL};
    if (!ready())
        return;
    CHECK_INT(child_wait(start(2, "mistaken", sets, false)), STATUS_USAGE);
    char *text = chain_text(check_path("mistaken.txt"));
    char *first = text ? strstr(text, "error: --set train.stesp=3") : NULL;
    CHECK(first && !strstr(first + 1, "error: --set"));
    memory_free(text);
}

/* The lean program has no part of it. */
static void test_infer_links_no_mpi(void)
{
    CHECK_INT(system("readelf -d " CALVARIA_INFER_PROGRAM " | grep -q NEEDED"), 0);
    CHECK(system("readelf -d " CALVARIA_INFER_PROGRAM " | grep NEEDED | grep -q libmpi") != 0);
    CHECK(system("ldd " CALVARIA_INFER_PROGRAM " | grep -q libmpi") != 0);
    if (replicas_library())
        CHECK_INT(system("readelf -d " CALVARIA_PROGRAM " | grep NEEDED | grep -q libmpi"),
                  0); /* the look can find it */
}

int main(int argc, char **argv)
{
    static const char *const environment[][2] = {
        {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
        {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
        {"OMPI_MCA_hwloc_base_binding_policy", "none"},
        {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}, /* containers forbid it */
        {"OMPI_MCA_mpi_yield_when_idle", "1"}};
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++)
        setenv(environment[i][0], environment[i][1], 1);
    log_set_level(LOG_WARN);
    const struct check_test tests[] = {{"two_are_one", test_two_are_one},
                                       {"three_are_one", test_three_are_one},
                                       {"same_bits", test_same_bits},
                                       {"validation", test_validation},
                                       {"one_dies", test_one_dies},
                                       {"told_once", test_told_once},
                                       {"infer_links_no_mpi", test_infer_links_no_mpi},
                                       {0}};
    return check_main(argc, argv, tests);
}
