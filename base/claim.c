/* claim.c - see claim.h. Test: tests/base/test_claim.c */
#include "base/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

enum status claim_take(struct claim *ret, bool *ret_taken, const char *path, bool wait, struct error *error)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666), failed;
    *ret = (struct claim){.file = -1};
    *ret_taken = false;
    if (file < 0)
        return error_system(error, errno, "%s: cannot make", path);
    do
        failed = flock(file, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0 ? errno : 0;
    while (failed == EINTR);

    if (!failed) {
        ret->file = file;
        *ret_taken = true;
        return STATUS_OK;
    }
    close(file);
    if (failed == EWOULDBLOCK)
        return STATUS_OK;
    return error_set(error, STATUS_FAILED,
                     "%s: cannot lock: %s (processes that share work need a file system with locks, as NFS 4)", path,
                     strerror(failed));
}

void claim_drop(struct claim *claim)
{
    if (claim->file >= 0)
        close(claim->file);
    claim->file = -1;
}

static enum status claim_run(const struct claim_work *work, const char *folder, int64_t i, bool *ret_taken,
                             struct error *error)
{
    struct arena arena = {0};
    struct claim claim = {.file = -1};
    const char *name = work->name(work->context, i), *path = name ? file_join(&arena, folder, name) : NULL;
    enum status status = path ? claim_take(&claim, ret_taken, path, false, error) : error_memory(error, 0, "a path");
    if (!status && *ret_taken)
        status = work->run(work->context, i, error);
    claim_drop(&claim);
    arena_done(&arena);
    return status;
}

enum status claim_each(const struct claim_work *work, const char *folder, int64_t *ret_elsewhere, struct error *error)
{
    bool *left = memory_alloc((size_t)work->n + 1, sizeof *left), taken = false;
    enum status status = left ? file_make_folders(folder, error) : error_memory(error, (size_t)work->n, "the claims");
    *ret_elsewhere = 0;
    for (int64_t i = 0; !status && i < work->n; i++) {
        status = claim_run(work, folder, i, &taken, error);
        left[i] = !taken;
    }
    for (int64_t i = 0; !status && i < work->n; i++)
        if (left[i]) {
            status = claim_run(work, folder, i, &taken, error);
            *ret_elsewhere += !status && !taken;
        }
    memory_free(left);
    return status;
}
