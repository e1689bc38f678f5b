/* byte_stream.c - bytes of a file in order, raw or gzip. Test: tests/data/test_volume_hostile.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "data/volume/byte_stream.h"

enum { GZIP_BUFFER = 1 << 18, CALL_MAX = 1 << 30 /* zlib counts in int */, GZIP_LEVEL = 6 /* as in the modes below */ };

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

enum status byte_stream_open(struct byte_stream *ret, const char *path, int64_t offset, bool gzip, struct error *error)
{
    *ret = (struct byte_stream){.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, STATUS_FAILED, "%s: cannot be opened: %s", path, strerror(errno));
    if (lseek(fd, offset, SEEK_SET) != offset) {
        close(fd);
        return error_set(error, STATUS_FAILED, "%s: cannot be read from byte %" PRId64 ": %s", path, offset,
                         strerror(errno));
    }

    if (gzip)
        ret->gzip = gzdopen(fd, "rb");
    else
        ret->raw = fdopen(fd, "rb");
    if (!ret->gzip && !ret->raw) {
        close(fd);
        return error_memory(error, GZIP_BUFFER, path);
    }

    if (ret->gzip) {
        gzbuffer(ret->gzip, GZIP_BUFFER);
        /* zlib passes bytes through that are not gzip: refused, since the header claimed gzip */
        if (gzdirect(ret->gzip)) {
            byte_stream_abandon(ret);
            return error_set(error, STATUS_FAILED,
                             "%s: data at byte %" PRId64 ": not gzip, although the header claims it (a damaged file?)",
                             path, offset);
        }
    }

    return STATUS_OK;
}

static enum status byte_stream_start(struct byte_stream *ret, const char *path, const char *part, const char *mode,
                                     struct error *error)
{
    *ret = (struct byte_stream){.path = path};
    bool gzip = mode[2] != '\0';
    if (gzip)
        ret->gzip = gzopen(part, mode);
    else
        ret->raw = fopen(part, mode);
    if (!ret->gzip && !ret->raw)
        return error_set(error, STATUS_FAILED, "%s: cannot be written: %s", path, strerror(errno));
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

enum status byte_stream_read(struct byte_stream *stream, void *data, size_t bytes, struct error *error)
{
    size_t done = 0;
    errno = 0;
    while (done < bytes) {
        size_t want = bytes - done < CALL_MAX ? bytes - done : CALL_MAX;
        char *to = (char *)data + done;
        int64_t got =
            stream->gzip ? gzread(stream->gzip, to, (unsigned)want) : (int64_t)fread(to, 1, want, stream->raw);
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
    if (!stream->gzip)
        return STATUS_OK;
    int got = gzread(stream->gzip, &one, 1);
    gzerror(stream->gzip, &code);
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
            return error_set(error, STATUS_FAILED, "%s: cannot be written: %s", stream->path,
                             errno ? strerror(errno) : "disk full?");
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
        return error_set(error, STATUS_FAILED, "%s: cannot be written: %s", stream->path,
                         errno ? strerror(errno) : "disk full?");
    return STATUS_OK;
}

void byte_stream_abandon(struct byte_stream *stream)
{
    if (stream->gzip)
        gzclose(stream->gzip);
    if (stream->raw)
        fclose(stream->raw);
    stream->gzip = NULL;
    stream->raw = NULL;
}

int64_t byte_stream_bound(int64_t bytes, bool gzip)
{
    if (!gzip)
        return bytes;
    return bytes > INT64_MAX / 1032 ? INT64_MAX : bytes * 1032;
}
