/* test_claim.c - processes that share pieces of work: none twice at a time, and a killed one's are free. */
#include "base/claim.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/check.h"

enum { N = 5 };

struct pieces {
    int n_done[N];
    int fail_at; /* -1: nowhere */
    char name[N][16];
};

static const char *piece_name(void *context, int64_t i)
{
    struct pieces *pieces = context;
    snprintf(pieces->name[i], sizeof pieces->name[i], "piece_%d", (int)i);
    return pieces->name[i];
}

static enum status piece_run(void *context, int64_t i, struct error *error)
{
    struct pieces *pieces = context;
    if (i == pieces->fail_at)
        return error_set(error, STATUS_STOPPED, "stopped");
    pieces->n_done[i]++;
    return STATUS_OK;
}

static enum status run_pieces(struct pieces *pieces, const char *folder, int64_t *elsewhere, struct error *error)
{
    const struct claim_work work = {.n = N, .name = piece_name, .run = piece_run, .context = pieces};
    return claim_each(&work, folder, elsewhere, error);
}

/* A process that holds `path` until it is killed. */
static pid_t holder(const char *path)
{
    int ends[2];
    char byte = 0;
    if (!CHECK(pipe(ends) == 0))
        return -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        struct claim claim;
        bool taken = false;
        byte = claim_take(&claim, &taken, path, false, &error) == STATUS_OK && taken;
        if (write(ends[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 1);
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void test_shared(void)
{
    struct error error = {0};
    struct pieces pieces = {.fail_at = -1}, after = {.fail_at = -1};
    int64_t elsewhere = 0;
    const char *folder = check_path("claims");
    if (!CHECK_OK(file_make_folders(folder, &error), &error))
        return;
    const pid_t child = holder(check_path("claims/piece_2"));
    CHECK_OK(run_pieces(&pieces, folder, &elsewhere, &error), &error);
    CHECK_INT(elsewhere, 1);
    for (int i = 0; i < N; i++)
        CHECK_INT(pieces.n_done[i], i != 2);

    /* The claim ends with its process. */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_OK(run_pieces(&after, folder, &elsewhere, &error), &error);
    CHECK_INT(elsewhere, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(after.n_done[i], 1);
}

static void test_stops(void)
{
    struct error error = {0};
    struct pieces pieces = {.fail_at = 3};
    int64_t elsewhere = 0;
    CHECK_FAILS(run_pieces(&pieces, check_path("stops"), &elsewhere, &error), &error, STATUS_STOPPED, "stopped");
    CHECK_INT(pieces.n_done[2], 1);
    CHECK_INT(pieces.n_done[4], 0);
}

static void test_take(void)
{
    struct error error = {0}, absent = {0};
    struct claim first, second;
    bool taken = false;
    CHECK_OK(claim_take(&first, &taken, check_path("one"), false, &error), &error);
    CHECK(taken);
    CHECK_OK(claim_take(&second, &taken, check_path("one"), false, &error), &error); /* also within a process */
    CHECK(!taken);
    claim_drop(&first);
    CHECK_OK(claim_take(&second, &taken, check_path("one"), true, &error), &error);
    CHECK(taken);
    claim_drop(&second);
    claim_drop(&second);
    CHECK_FAILS(claim_take(&first, &taken, check_path("nowhere/one"), false, &absent), &absent, STATUS_FAILED,
                "cannot make");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"shared", test_shared}, {"stops", test_stops}, {"take", test_take}, {0}};
    return check_main(argc, argv, tests);
}
