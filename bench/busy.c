/* busy.c - one forward pass or training step, on an idle machine and beside processes that compete for it.
 *
 *     build/bench_busy NETWORK.yaml EDGE forward|step THREADS LOAD ROUNDS SPIN...
 *     build/bench_busy configs/networks/unet3d.yaml 96 forward 2 1 5 default 0 2000
 *
 * SPIN is what GOMP_SPINCOUNT holds: how often an idle OpenMP thread looks for work before it sleeps; default: unset.
 * Each SPIN is a process of its own that waits stopped; the rounds go through all of them in turn, quiet and with LOAD
 * busy processes, so that other work on the machine meets all alike. Prints medians and (lowest-highest), and the
 * median over the rounds of loaded / quiet. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/parallel.h"
#include "nn/network/network.h"

enum { MAX_SPINS = 8, MAX_ROUNDS = 50, MAX_LOAD = 64 };

struct job {
    const char *network, *edge, *mode, *threads;
    int load, rounds;
};

/* A process that makes one pass for each byte it reads. */
struct contestant {
    const char *spin;
    pid_t pid;
    int to, from;
    double wall_s[2][MAX_ROUNDS], processor_s[2][MAX_ROUNDS]; /* quiet, loaded */
};

static double busy_clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- the process that computes --- */

static enum status busy_serve(char *const *argv, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    struct network_config config;
    struct params params = {0};
    struct network *network = NULL;
    const int64_t edge = strtoll(argv[1], NULL, 10);
    const bool step = strcmp(argv[2], "step") == 0;

    parallel_set_threads((int)strtol(argv[3], NULL, 10));
    if (yaml_read_file(&root, argv[0], arena, error) ||
        config_bind(&network_table, yaml_get(root, "network"), &config, arena, error) ||
        network_describe(&params, &config, error) || params_allocate(&params, step, error))
        return error->status;
    params_initialise(&params, 1);
    const struct shape shape = {1, config.input_channels, edge, edge, edge};
    if (network_new(&network, &config, &params, shape, step ? NETWORK_TRAIN : NETWORK_INFER, error))
        return error->status;
    float *src = arena_alloc(arena, (size_t)shape_count(shape), sizeof *src);
    float *d_dst = arena_alloc(arena, (size_t)shape_count(network_dst_shape(network)), sizeof *d_dst);
    if (!src || !d_dst)
        return error_memory(error, 0, "the patch");

    char byte;
    for (bool warm = false; !warm || read(STDIN_FILENO, &byte, 1) == 1; warm = true) {
        const double wall_s = busy_clock_s(CLOCK_MONOTONIC), processor_s = busy_clock_s(CLOCK_PROCESS_CPUTIME_ID);
        network_forward(network, src, &(struct pass){.training = step, .step = 1});
        if (step)
            network_backward(network, d_dst, NULL, &(struct pass){.training = true, .step = 1});
        const double took[2] = {busy_clock_s(CLOCK_MONOTONIC) - wall_s,
                                busy_clock_s(CLOCK_PROCESS_CPUTIME_ID) - processor_s};
        if (write(STDOUT_FILENO, took, sizeof took) != sizeof took)
            break;
    }
    return STATUS_OK;
}

/* --- the rounds --- */

static bool busy_start(struct contestant *contestant, const struct job *job)
{
    int down[2], up[2];
    double first[2];

    if (pipe(down) || pipe(up) || (contestant->pid = fork()) < 0)
        return false;
    if (contestant->pid == 0) {
        dup2(down[0], STDIN_FILENO);
        dup2(up[1], STDOUT_FILENO);
        close(down[1]); /* the end of the parent ends the child */
        close(up[0]);
        unsetenv("OMP_WAIT_POLICY");
        unsetenv("GOMP_SPINCOUNT");
        if (strcmp(contestant->spin, "default") != 0)
            setenv("GOMP_SPINCOUNT", contestant->spin, 1);
        execl("/proc/self/exe", "bench_busy", "--serve", job->network, job->edge, job->mode, job->threads,
              (char *)NULL);
        _exit(1);
    }
    close(down[0]);
    close(up[1]);
    contestant->to = down[1];
    contestant->from = up[0];
    return read(contestant->from, first, sizeof first) == sizeof first;
}

static bool busy_pass(struct contestant *contestant, int loaded, int round)
{
    double took[2];
    if (write(contestant->to, "x", 1) != 1 || read(contestant->from, took, sizeof took) != sizeof took)
        return false;
    contestant->wall_s[loaded][round] = took[0];
    contestant->processor_s[loaded][round] = took[1];
    return true;
}

static pid_t busy_competitor(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        for (volatile uint64_t n = 0;; n++) {
        }
    }
    waitpid(pid, NULL, WUNTRACED);
    return pid;
}

static int busy_compare(const void *a, const void *b)
{
    const double u = *(const double *)a, v = *(const double *)b;
    return (u > v) - (u < v);
}

/* Sorts the values. */
static double busy_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, busy_compare);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static void busy_print(struct contestant *contestant, int rounds)
{
    static const char *const names[] = {"quiet", "loaded"};
    double ratio[MAX_ROUNDS];

    for (int r = 0; r < rounds; r++)
        ratio[r] = contestant->wall_s[1][r] / contestant->wall_s[0][r];
    for (int loaded = 0; loaded < 2; loaded++) {
        double *wall_s = contestant->wall_s[loaded];
        const double wall = busy_median(wall_s, rounds),
                     processor = busy_median(contestant->processor_s[loaded], rounds);
        printf("spin %-9s %-7s wall %.3f s (%.3f-%.3f)  processor %.3f s", contestant->spin, names[loaded], wall,
               wall_s[0], wall_s[rounds - 1], processor);
        if (loaded)
            printf("  loaded / quiet %.2f", busy_median(ratio, rounds));
        putchar('\n');
    }
}

static int busy_run(const struct job *job, int n, char *const *spins)
{
    static struct contestant contestants[MAX_SPINS];
    pid_t load[MAX_LOAD];
    bool ok = true;

    for (int i = 0; i < n && ok; i++) {
        contestants[i].spin = spins[i];
        ok = busy_start(&contestants[i], job);
    }
    for (int i = 0; i < job->load; i++)
        load[i] = busy_competitor();

    for (int round = 0; round < job->rounds && ok; round++)
        for (int loaded = 0; loaded < 2 && ok; loaded++) {
            for (int i = 0; i < job->load; i++)
                kill(load[i], loaded ? SIGCONT : SIGSTOP);
            for (int i = 0; i < n && ok; i++)
                ok = busy_pass(&contestants[i], loaded, round);
        }

    for (int i = 0; i < job->load; i++) {
        kill(load[i], SIGKILL);
        waitpid(load[i], NULL, 0);
    }
    for (int i = 0; i < n && ok; i++)
        busy_print(&contestants[i], job->rounds);
    if (!ok)
        fprintf(stderr, "bench_busy: a contestant ended\n");
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--serve") == 0) {
        struct arena arena = {0};
        struct error error = {0};
        const enum status status = busy_serve(argv + 2, &arena, &error);
        if (status)
            error_print(stderr, &error);
        return (int)status;
    }

    struct job job = {0};
    if (argc >= 8)
        job = (struct job){.network = argv[1],
                           .edge = argv[2],
                           .mode = argv[3],
                           .threads = argv[4],
                           .load = (int)strtol(argv[5], NULL, 10),
                           .rounds = (int)strtol(argv[6], NULL, 10)};
    if (argc < 8 || argc > 7 + MAX_SPINS || job.load < 0 || job.load > MAX_LOAD || job.rounds < 1 ||
        job.rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_busy NETWORK.yaml EDGE forward|step THREADS LOAD ROUNDS SPIN...\n");
        return 2;
    }
    return busy_run(&job, argc - 7, argv + 7);
}
