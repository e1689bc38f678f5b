/* serve.c - `calvaria serve`, and the child process it starts for each job.
 * Test: tests/serve/test_server.sh */
#include "serve/serve.h"

#include "base/log.h"
#include "cli/command.h"
#include "serve/work.h"

struct serve_options {
    struct command_options common;
    struct serve_config serve;
};

/* clang-format off */
static const struct config_field serve_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct serve_options, serve), .table = &serve_table},
    {0},
};
/* clang-format on */

static enum status serve_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct serve_options *options = value;
    (void)n_inputs, (void)inputs;
    return serve_run(&options->serve, CALVARIA_VERSION, error);
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "[--model MODEL] [--port 8080] [--address A --token-file F] [--state DIR]",
    .example = "calvaria serve --model runs/first --port 8080",
    .options =
        {
            .help = "the web application: upload a skull, view the implant, download it",
            .size = sizeof(struct serve_options),
            .base = &command_base_table,
            .fields = serve_fields,
        },
    .run = serve_command,
};

struct work_options {
    struct command_options common;
    struct work_config work;
};

/* clang-format off */
static const struct config_field work_fields[] = {
    {.key = "", .type = CONFIG_TABLE, .offset = offsetof(struct work_options, work), .table = &work_table},
    {0},
};
/* clang-format on */

static enum status serve_job_command(const void *value, int n_inputs, char *const *inputs, struct error *error)
{
    const struct work_options *options = value;
    (void)n_inputs, (void)inputs;
    return work_run(&options->work, stdout, error);
}

const struct command command_serve_job = {
    .name = "serve-job",
    .hidden = true,
    .arguments = "--folder DIR --model MODEL",
    .example = "calvaria serve-job --folder state/jobs/0123456789abcdef0123456789abcdef --model runs/first",
    .options =
        {
            .help = "one job of calvaria serve, which starts this itself",
            .size = sizeof(struct work_options),
            .base = &command_base_table,
            .fields = work_fields,
        },
    .run = serve_job_command,
};
