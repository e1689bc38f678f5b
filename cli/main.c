/* main.c - The program `calvaria`: one table of commands. Test: tests/cli/test_front_door.sh */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "base/parallel.h"
#include "cli/command.h"
#include "nn/engine/engine.h"

static const struct command *const commands[] = {
    &command_phantom, &command_segment,   &command_resample, &command_inject,    &command_pack,
    &command_unpack,  &command_check,     &command_shape,    &command_plan,      &command_recipes,
    &command_train,   &command_ablate,    &command_runs,     &command_infer,     &command_mesh,
    &command_view,    &command_evaluate,  &command_features, &command_export,    &command_import_keras,
    &command_info,    &command_reference, &command_serve,    &command_serve_job, NULL,
};

/* clang-format off */
static const struct config_field command_base_fields[] = {
    {.key = "threads", .type = CONFIG_INT, .offset = offsetof(struct command_options, threads), .text = "0", .min = 0,
     .max = 4096, .help = "processors to use; 0: all"},
    {.key = "quiet", .type = CONFIG_BOOL, .offset = offsetof(struct command_options, quiet), .text = "false",
     .help = "print only warnings and errors"},
    {0},
};
/* clang-format on */
const struct config_table command_base_table = {.size = sizeof(struct command_options), .fields = command_base_fields};

static void main_print_usage(FILE *file)
{
    fprintf(file, "calvaria: skull defect restoration and cranial implant generation (research software, not for "
                  "clinical use)\n\n"
                  "usage: calvaria COMMAND [OPTION...] [ARGUMENT...]\n\n");
    for (int i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            fprintf(file, "  %-12s %s\n", commands[i]->name, commands[i]->options.help);
    fprintf(file, "\n'calvaria COMMAND --help' documents every option. Exit codes: 0 ok, 1 the work failed, 2 usage or "
                  "configuration,\n"
                  "3 stopped on request and resumable.\n");
}

static enum status main_print_help(const struct command *command, struct error *error)
{
    printf("%s\n\nusage: calvaria %s %s\n\n", command->options.help, command->name, command->arguments);
    if (options_help(&command->options, stdout, error))
        return error->status;
    printf("\nexample:\n  %s\n", command->example);
    return STATUS_OK;
}

static const struct command *main_find_command(const char *name, struct error *error)
{
    const char *names[sizeof commands / sizeof *commands] = {0};
    for (int i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
        names[i] = commands[i]->name;
    }
    const char *near = config_nearest(name, names);
    error_set(error, STATUS_USAGE, "calvaria: '%s': unknown command (%s%s%s)", name,
              near ? "did you mean '" : "see calvaria --help", near ? near : "", near ? "'?" : "");
    return NULL;
}

static enum status main_check_input_count(const struct command *command, int n, struct error *error)
{
    if (n >= command->min_inputs && (command->max_inputs < 0 || n <= command->max_inputs))
        return STATUS_OK;
    return error_set(error, STATUS_USAGE, "calvaria %s: %d arguments given (usage: calvaria %s %s)", command->name, n,
                     command->name, command->arguments);
}

/* argv: the whole command line. */
static enum status main_run_command(const struct command *command, int argc, char **argv, struct error *error)
{
    struct arena arena = {0};
    struct command_options *options = arena_alloc(&arena, 1, command->options.size);
    struct config_strings inputs = {0};
    enum status status = options ? STATUS_OK : error_memory(error, command->options.size, "the options");

    if (!status)
        status = options_parse(&command->options, options, argc - 2, argv + 2, &inputs, &arena, error);
    if (!status)
        status = main_check_input_count(command, (int)inputs.n, error);
    if (!status) {
        parallel_sleep_when_idle(argv);
        signal(SIGXFSZ, SIG_IGN); /* a limit of the file size is an error like a full disk */
        parallel_set_threads((int)options->threads);
        if (options->quiet)
            log_set_level(LOG_WARN);
        status = command->run(options, (int)inputs.n, (char *const *)inputs.items, error);
    }

    arena_done(&arena);
    return status;
}

static bool main_wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct error error = {0};
    if (argc < 2) {
        main_print_usage(stderr);
        return STATUS_USAGE;
    }

    /* Options of the program itself, then the command. */
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        main_print_usage(stdout);
        return STATUS_OK;
    }

    if (strcmp(argv[1], "--version") == 0) {
        printf("calvaria %s (%s)\n", CALVARIA_VERSION, engine_version());
        return STATUS_OK;
    }

    const struct command *command = main_find_command(argv[1], &error);
    enum status status = STATUS_USAGE;

    if (command && main_wants_help(argc - 2, argv + 2))
        status = main_print_help(command, &error);
    else if (command)
        status = main_run_command(command, argc, argv, &error);
    if (status)
        error_print(stderr, &error);

    /* A full disk or a closed pipe behind stdout must not pass for success. */
    if (fflush(stdout) != 0 && !status) {
        fprintf(stderr, "error: standard output: cannot be written (a full disk or a closed pipe?)\n");
        status = STATUS_FAILED;
    }

    return (int)status;
}
