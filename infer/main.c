/* main.c - calvaria-infer: the deployed inference as a program of its own, without training code.
 * Test: tests/infer/test_program.sh */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "base/parallel.h"
#include "infer/batch.h"
#include "infer/slicer.h"
#include "nn/engine/engine.h"

struct infer_options {
    int64_t threads;
    bool quiet;
    struct batch_config batch;
};

#define OFFSET(member) offsetof(struct infer_options, member)
/* clang-format off */
static const struct config_field infer_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = OFFSET(batch), .table = &batch_table},
    {.key = "threads", .type = CONFIG_INT, .offset = OFFSET(threads), .text = "0", .min = 0, .max = 4096,
     .help = "processors to use; 0: all"},
    {.key = "quiet", .type = CONFIG_BOOL, .offset = OFFSET(quiet), .text = "false",
     .help = "print warnings and errors only"},
    {0},
};
/* clang-format on */
static const struct config_table infer_table = {
    .help = "restore defective skulls: completed skull, implant, STL, picture, report",
    .size = sizeof(struct infer_options),
    .fields = infer_fields};

static void main_print_help(struct error *error)
{
    printf("calvaria-infer: %s (research software, not for clinical use)\n\nusage: calvaria-infer [--model MODEL] "
           "INPUT... --out "
           "DIR [OPTION...]\n\n",
           infer_table.help);
    options_help(&infer_table, stdout, error);
    printf("\nINPUT is a NIfTI or NRRD mask of a skull. --xml describes the program to 3D Slicer. Exit codes: 0 ok, 1 "
           "a case failed, 2 usage or configuration.\n");
}

/* Prints --help or --version; false where neither is given. *error: it could not be printed whole. */
static bool main_print_info(int argc, char **argv, struct error *error)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            main_print_help(error);
            return true;
        }
        if (strcmp(argv[i], "--xml") == 0) {
            slicer_describe(stdout, CALVARIA_VERSION);
            return true;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("calvaria-infer %s (%s)\n", CALVARIA_VERSION, engine_version());
            return true;
        }
    }
    return false;
}

static enum status main_run(int argc, char **argv, struct error *error)
{
    if (slicer_is_call(argc - 1, argv + 1)) {
        parallel_sleep_when_idle(argv);
        signal(SIGXFSZ, SIG_IGN);
        return slicer_run(argc - 1, argv + 1, stdout, stderr, error);
    }
    struct arena arena = {0};
    struct infer_options options;
    struct config_strings inputs = {0};
    enum status status = options_parse(&infer_table, &options, argc - 1, argv + 1, &inputs, &arena, error);
    if (!status) {
        parallel_sleep_when_idle(argv);
        signal(SIGXFSZ, SIG_IGN); /* a limit of the file size is an error like a full disk */
        parallel_set_threads((int)options.threads);
        if (options.quiet)
            log_set_level(LOG_WARN);
        status = batch_run(&options.batch, (int)inputs.n, (char *const *)inputs.items, stdout, error);
    }
    arena_done(&arena);
    return status;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    enum status status = main_print_info(argc, argv, &error) ? error.status : main_run(argc, argv, &error);
    if (status)
        error_print(stderr, &error);
    if (fflush(stdout) != 0 && !status) { /* a full disk or a closed pipe must not pass for success */
        fprintf(stderr, "error: standard output: cannot be written (a full disk or a closed pipe?)\n");
        status = STATUS_FAILED;
    }
    return (int)status;
}
