/* byte_stream.c - bytes of a file in order, packed or not. Test: tests/data/test_volume_hostile.c. */
#include "data/volume/byte_stream.h"

#include <bzlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { GZIP_BUFFER = 1 << 18, CALL_MAX = 1 << 30 /* zlib counts in int */, GZIP_LEVEL = 6 /* as in the modes below */ };

/* A zlib stream on its way; gzip files go through zlib's own gzread. */
struct byte_inflate {
    z_stream z;
    unsigned char buffer[1 << 16];
};

static const char *byte_stream_reason(struct byte_stream *stream)
{
    if (stream->gzip) {
        int code = Z_OK;
        const char *text = gzerror(stream->gzip, &code);
        if (code == Z_BUF_ERROR)
            return "the compressed data ends early";
        const char *colon = strstr(text, ": "); /* after "<fd:3>" */
        if (code != Z_OK && code != Z_ERRNO)
            return colon ? colon + 2 : "damaged compressed data";
    }
    return errno ? strerror(errno) : "the file ends early";
}

/* What unpacks the file, which is open. */
static enum status byte_stream_unpacker(struct byte_stream *stream, struct error *error)
{
    int code = BZ_OK;
    if (stream->packing == PACKING_ZLIB) {
        stream->inflate = memory_zalloc(1, sizeof *stream->inflate);
        if (!stream->inflate || inflateInit(&stream->inflate->z) != Z_OK)
            return error_memory(error, sizeof *stream->inflate, stream->path);
    }
    if (stream->packing == PACKING_BZIP2) {
        stream->bzip2 = BZ2_bzReadOpen(&code, stream->raw, 0, 0, NULL, 0);
        if (!stream->bzip2)
            return error_memory(error, GZIP_BUFFER, stream->path);
    }
    return STATUS_OK;
}

enum status byte_stream_open(struct byte_stream *ret, const char *path, int64_t offset, enum packing packing,
                             struct error *error)
{
    *ret = (struct byte_stream){.path = path, .packing = packing};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(error, errno, "%s: cannot be opened", path);
    if (lseek(fd, offset, SEEK_SET) != offset) {
        close(fd);
        return error_system(error, errno, "%s: cannot be read from byte %" PRId64, path, offset);
    }

    if (packing == PACKING_GZIP)
        ret->gzip = gzdopen(fd, "rb");
    else
        ret->raw = fdopen(fd, "rb");
    if (!ret->gzip && !ret->raw) {
        close(fd);
        return error_memory(error, GZIP_BUFFER, path);
    }

    if (ret->gzip) {
        gzbuffer(ret->gzip, GZIP_BUFFER);
        errno = 0;
        /* zlib passes bytes through that are not gzip: refused, since the header claimed gzip */
        if (gzdirect(ret->gzip)) {
            const bool short_of_memory = errno == ENOMEM; /* for zlib's buffers, which reads the same */
            byte_stream_abandon(ret);
            if (short_of_memory)
                return error_memory(error, GZIP_BUFFER, path);
            return error_set(error, STATUS_FAILED,
                             "%s: data at byte %" PRId64 ": not gzip, although the header claims it (a damaged file?)",
                             path, offset);
        }
    } else if (byte_stream_unpacker(ret, error)) {
        byte_stream_abandon(ret);
        return error->status;
    }

    return STATUS_OK;
}

static enum status byte_stream_start(struct byte_stream *ret, const char *path, const char *part, const char *mode,
                                     struct error *error)
{
    bool gzip = mode[2] != '\0';
    *ret = (struct byte_stream){.path = path, .packing = gzip ? PACKING_GZIP : PACKING_PLAIN};
    if (gzip)
        ret->gzip = gzopen(part, mode);
    else
        ret->raw = fopen(part, mode);
    if (!ret->gzip && !ret->raw)
        return error_system(error, errno, "%s: cannot be written", path);
    if (gzip)
        gzbuffer(ret->gzip, GZIP_BUFFER);
    return STATUS_OK;
}

enum status byte_stream_create(struct byte_stream *ret, const char *path, const char *part, bool gzip,
                               struct error *error)
{
    return byte_stream_start(ret, path, part, gzip ? "wb6" : "wb", error);
}

enum status byte_stream_append(struct byte_stream *ret, const char *path, const char *part, struct error *error)
{
    return byte_stream_start(ret, path, part, "ab6", error);
}

/* Some of the bytes, at least one; 0 at an early end, below 0 where they are damaged. */
static int64_t byte_stream_inflate(struct byte_stream *stream, void *to, size_t want)
{
    z_stream *z = &stream->inflate->z;
    z->next_out = to;
    z->avail_out = (unsigned)want;
    while (z->avail_out == (unsigned)want) {
        if (z->avail_in == 0) {
            z->next_in = stream->inflate->buffer;
            z->avail_in = (unsigned)fread(stream->inflate->buffer, 1, sizeof stream->inflate->buffer, stream->raw);
            if (z->avail_in == 0)
                return 0;
        }
        const int code = inflate(z, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            break;
        if (code != Z_OK) {
            errno = code == Z_MEM_ERROR ? ENOMEM : 0;
            return -1;
        }
    }
    return (int64_t)(want - z->avail_out);
}

static int64_t byte_stream_bunzip(struct byte_stream *stream, void *to, size_t want)
{
    int code = BZ_OK;
    const int got = BZ2_bzRead(&code, stream->bzip2, to, (int)want);
    if (code == BZ_UNEXPECTED_EOF || code == BZ_SEQUENCE_ERROR) /* SEQUENCE: after the end */
        return 0;
    errno = code == BZ_MEM_ERROR ? ENOMEM : 0;
    return code == BZ_OK || code == BZ_STREAM_END ? got : -1;
}

/* Numbers between blanks. */
static int64_t byte_stream_scan(struct byte_stream *stream, void *to, size_t want)
{
    double *out = to;
    size_t n = 0;
    for (; n < want / sizeof *out; n++)
        if (fscanf(stream->raw, "%lf", &out[n]) != 1)
            break;
    return n > 0 ? (int64_t)(n * sizeof *out) : feof(stream->raw) ? 0 : -1;
}

static int64_t byte_stream_some(struct byte_stream *stream, void *to, size_t want)
{
    switch (stream->packing) {
    case PACKING_GZIP:
        return gzread(stream->gzip, to, (unsigned)want);
    case PACKING_ZLIB:
        return byte_stream_inflate(stream, to, want);
    case PACKING_BZIP2:
        return byte_stream_bunzip(stream, to, want);
    case PACKING_TEXT:
        return byte_stream_scan(stream, to, want);
    case PACKING_PLAIN:
        break;
    }
    return (int64_t)fread(to, 1, want, stream->raw);
}

enum status byte_stream_read(struct byte_stream *stream, void *data, size_t bytes, struct error *error)
{
    size_t done = 0;
    errno = 0;
    while (done < bytes) {
        size_t want = bytes - done < CALL_MAX ? bytes - done : CALL_MAX;
        int64_t got = byte_stream_some(stream, (char *)data + done, want);
        if (got < 0 && errno == ENOMEM)
            return error_memory(error, 0, stream->path);
        if (got < 0 && !stream->gzip && stream->packing != PACKING_PLAIN)
            return error_set(error, STATUS_FAILED, "%s: data: %s (a damaged file?)", stream->path,
                             stream->packing == PACKING_TEXT ? "text that is no number" : "damaged compressed data");
        if (got <= 0)
            return error_set(error, STATUS_FAILED, "%s: data: %s (a truncated copy or download?)", stream->path,
                             byte_stream_reason(stream));
        done += (size_t)got;
    }
    return STATUS_OK;
}

enum status byte_stream_skip(struct byte_stream *stream, int64_t bytes, struct error *error)
{
    char sink[4096];
    while (bytes > 0) {
        size_t part = bytes < (int64_t)sizeof sink ? (size_t)bytes : sizeof sink;
        if (byte_stream_read(stream, sink, part, error))
            return STATUS_FAILED;
        bytes -= (int64_t)part;
    }
    return STATUS_OK;
}

enum status byte_stream_verify(struct byte_stream *stream, struct error *error)
{
    char one;
    int code = Z_OK;
    errno = 0;
    if (stream->packing == PACKING_ZLIB || stream->packing == PACKING_BZIP2) {
        if (byte_stream_some(stream, &one, 1) >= 0)
            return STATUS_OK;
        return errno == ENOMEM ? error_memory(error, 0, stream->path)
                               : error_set(error, STATUS_FAILED, "%s: data: damaged compressed data (a damaged copy?)",
                                           stream->path);
    }
    if (!stream->gzip)
        return STATUS_OK;
    int got = gzread(stream->gzip, &one, 1);
    gzerror(stream->gzip, &code);
    if (got < 0 && code == Z_MEM_ERROR)
        return error_memory(error, 0, stream->path);
    if (got < 0 || code == Z_BUF_ERROR) /* Z_BUF_ERROR: no end of the stream in the file */
        return error_set(error, STATUS_FAILED, "%s: data: %s (a damaged copy?)", stream->path,
                         byte_stream_reason(stream));
    return STATUS_OK;
}

void byte_stream_expect_runs(struct byte_stream *stream)
{
    if (stream->gzip)
        gzsetparams(stream->gzip, GZIP_LEVEL, Z_RLE);
}

static enum status byte_stream_unwritten(const struct byte_stream *stream, struct error *error)
{
    return errno ? error_system(error, errno, "%s: cannot be written", stream->path)
                 : error_set(error, STATUS_FAILED, "%s: cannot be written: disk full?", stream->path);
}

enum status byte_stream_write(struct byte_stream *stream, const void *data, size_t bytes, struct error *error)
{
    size_t done = 0;
    errno = 0;
    while (done < bytes) {
        size_t part = bytes - done < CALL_MAX ? bytes - done : CALL_MAX;
        const char *from = (const char *)data + done;
        int64_t put =
            stream->gzip ? gzwrite(stream->gzip, from, (unsigned)part) : (int64_t)fwrite(from, 1, part, stream->raw);
        if (put <= 0)
            return byte_stream_unwritten(stream, error);
        done += (size_t)put;
    }
    return STATUS_OK;
}

enum status byte_stream_close(struct byte_stream *stream, struct error *error)
{
    errno = 0;
    bool failed = (stream->gzip && gzclose(stream->gzip) != Z_OK) || (stream->raw && fclose(stream->raw) != 0);
    stream->gzip = NULL;
    stream->raw = NULL;
    if (failed)
        return byte_stream_unwritten(stream, error);
    return STATUS_OK;
}

void byte_stream_abandon(struct byte_stream *stream)
{
    int code;
    if (stream->inflate)
        inflateEnd(&stream->inflate->z);
    memory_free(stream->inflate);
    if (stream->bzip2)
        BZ2_bzReadClose(&code, stream->bzip2);
    if (stream->gzip)
        gzclose(stream->gzip);
    if (stream->raw)
        fclose(stream->raw);
    *stream = (struct byte_stream){.path = stream->path};
}

int64_t byte_stream_bound(int64_t bytes, enum packing packing)
{
    static const int64_t most[] = {[PACKING_PLAIN] = 1,
                                   [PACKING_GZIP] = 1032,
                                   [PACKING_ZLIB] = 1032,
                                   [PACKING_BZIP2] = 1200000,
                                   [PACKING_TEXT] = sizeof(double)};
    return bytes > INT64_MAX / most[packing] ? INT64_MAX : bytes * most[packing];
}
