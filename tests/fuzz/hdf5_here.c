/* hdf5_here.c - see hdf5_here.h. Test: tests/fuzz/hdf5.sh */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz/hdf5_here.h"

#include <stdio.h>
#include <sys/mman.h>

#include "base/hdf5_probe.h"
#include "infer/exchange/keras_file.h"

/* Names of the linker's (--wrap). */
const char *__wrap_hdf5_probe(hdf5_probe_open open, const void *context, size_t bytes);
const char *__real_hdf5_probe(hdf5_probe_open open, const void *context, size_t bytes);
enum status __wrap_keras_file_read(struct keras_file *ret, const char *path, struct error *error);
enum status __real_keras_file_read(struct keras_file *ret, const char *path, struct error *error);

static bool hdf5_here;

void hdf5_read_here(bool here)
{
    hdf5_here = here;
}

const char *__wrap_hdf5_probe(hdf5_probe_open open, const void *context, size_t bytes)
{
    return hdf5_here ? NULL : __real_hdf5_probe(open, context, bytes);
}

/* What a child would send is whole and states no error. */
static bool keras_sends_here(const char *path)
{
    struct keras_record record = {.kind = KERAS_ERROR};
    FILE *sent = fdopen(memfd_create("keras", MFD_CLOEXEC), "r+");
    if (!sent)
        return true;
    keras_h5_send(path, fileno(sent));
    rewind(sent);
    while (fread(&record, sizeof record, 1, sent) == 1 && record.kind != KERAS_END && record.kind != KERAS_ERROR)
        fseek(sent, (long)(record.text_bytes + record.data_bytes), SEEK_CUR);
    fclose(sent);
    return record.kind == KERAS_END;
}

enum status __wrap_keras_file_read(struct keras_file *ret, const char *path, struct error *error)
{
    if (hdf5_here && !keras_sends_here(path))
        return error_set(error, STATUS_FAILED, "%s: refused", path);
    return __real_keras_file_read(ret, path, error);
}
