/* keras_file.c - see keras_file.h. */
#include "infer/exchange/keras_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hdf5.h"

enum { MAX_TEXT = 16 << 20, MAX_WEIGHTS = 4096 };

struct receiving {
    struct keras_file *file;
    const char *path;
    int pipe;
    int64_t capacity;
    struct error *error;
};

/* False at the end of the pipe, or when reading fails. */
static bool keras_receive_bytes(int pipe, void *bytes, size_t n)
{
    for (char *at = bytes; n;) {
        ssize_t got = read(pipe, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static enum status keras_receive_died(const struct receiving *receiving)
{
    return error_set(receiving->error, STATUS_FAILED,
                     "%s: the HDF5 library crashes on this file, or does not finish (is it damaged? copy it once more, "
                     "or save it anew from Keras)",
                     receiving->path);
}

/* The record's text, in the file's arena. */
static enum status keras_receive_text(const struct receiving *receiving, const struct keras_record *record, char **ret)
{
    if (record->text_bytes < 0 || record->text_bytes > MAX_TEXT)
        return keras_receive_died(receiving);
    char *text = arena_alloc(&receiving->file->arena, (size_t)record->text_bytes + 1, 1);
    if (!text)
        return error_memory(receiving->error, (size_t)record->text_bytes, "a text of the Keras file");
    if (!keras_receive_bytes(receiving->pipe, text, (size_t)record->text_bytes))
        return keras_receive_died(receiving);
    *ret = text;
    return STATUS_OK;
}

static enum status keras_receive_weight(struct receiving *receiving, const struct keras_record *record,
                                        const char *name)
{
    struct keras_file *file = receiving->file;
    int64_t count = 1;
    bool sound = record->n_dims >= 0 && record->n_dims <= KERAS_MAX_DIMS && file->n_weights < MAX_WEIGHTS;

    for (int i = 0; sound && i < record->n_dims; i++)
        sound = record->dim[i] >= 0 && !__builtin_mul_overflow(count, record->dim[i], &count) && count <= INT32_MAX;
    if (!sound || record->data_bytes != count * (int64_t)sizeof(float))
        return keras_receive_died(receiving);
    float *values = arena_alloc(&file->arena, (size_t)count + 1, sizeof *values);
    if (!values)
        return error_memory(receiving->error, (size_t)record->data_bytes, name);
    if (!keras_receive_bytes(receiving->pipe, values, (size_t)record->data_bytes))
        return keras_receive_died(receiving);

    struct keras_weight *weight = &file->weights[file->n_weights++];
    *weight = (struct keras_weight){.path = name, .n_dims = record->n_dims, .count = count, .values = values};
    memcpy(weight->dim, record->dim, sizeof weight->dim);

    return STATUS_OK;
}

static enum status keras_receive(struct receiving *receiving)
{
    struct keras_file *file = receiving->file;
    for (;;) {
        struct keras_record record;
        char *text = NULL;
        if (!keras_receive_bytes(receiving->pipe, &record, sizeof record))
            return keras_receive_died(receiving);
        if (record.kind == KERAS_END)
            return STATUS_OK;
        if (keras_receive_text(receiving, &record, &text))
            return receiving->error->status;
        if (record.kind == KERAS_ERROR) {
            text[strcspn(text, "\n")] = '\0';
            return error_set(receiving->error, STATUS_FAILED, "%s", text);
        }
        if (record.kind == KERAS_CONFIG)
            file->config = text;
        else if (record.kind == KERAS_VERSION)
            file->version = text;
        else if (record.kind != KERAS_WEIGHT)
            return keras_receive_died(receiving);
        else if (keras_receive_weight(receiving, &record, text))
            return receiving->error->status;
    }
}

/* Damaged files also send the library round and round. Whole ones take well under a second for each 100 MB. */
static void keras_limit_time(const char *path)
{
    struct stat info;
    rlim_t seconds = stat(path, &info) ? 10 : 10 + (rlim_t)info.st_size / 20000000;
    setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
}

/* The child is in the pipe's hand: it ends when it has sent all, when it dies, or when nobody reads on. */
static enum status keras_read_through(struct keras_file *file, const char *path, struct error *error)
{
    int ends[2];
    if (pipe(ends))
        return error_system(error, errno, "%s: no pipe to read it through", path);
    hdf5_lock(); /* no thread is inside the library while the process is copied; the child inherits the silence */
    pid_t child = fork();

    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with its parent */
        close(ends[0]);
        keras_limit_time(path);
        _Exit(keras_h5_send(path, ends[1]) ? 0 : 1);
    }

    hdf5_unlock();
    close(ends[1]);
    struct receiving receiving = {.file = file, .path = path, .pipe = ends[0], .error = error};
    enum status status =
        child < 0 ? error_system(error, errno, "%s: no process to read it", path) : keras_receive(&receiving);
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;

    return status;
}

enum status keras_file_read(struct keras_file *ret, const char *path, struct error *error)
{
    struct keras_file file = {.version = ""};
    if (!file_exists(path) || file_is_folder(path))
        return error_set(error, STATUS_FAILED, "%s: no such file", path);
    file.weights = arena_alloc(&file.arena, MAX_WEIGHTS, sizeof *file.weights);
    enum status status = file.weights ? keras_read_through(&file, path, error)
                                      : error_memory(error, MAX_WEIGHTS * sizeof *file.weights, path);
    if (!status && file.n_weights == 0)
        status = error_set(error, STATUS_FAILED,
                           "%s: no weights in it (a file written by Keras' save or save_weights has them)", path);
    if (status) {
        keras_file_done(&file);
        return status;
    }
    *ret = file;

    return STATUS_OK;
}

void keras_file_done(struct keras_file *file)
{
    arena_done(&file->arena);
    *file = (struct keras_file){0};
}
