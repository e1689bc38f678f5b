/* byte_stream.h - bytes of a file in order, raw or gzip. Private to data/. */
#ifndef CALVARIA_DATA_VOLUME_BYTE_STREAM_H
#define CALVARIA_DATA_VOLUME_BYTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zlib.h>

#include "base/error.h"

/* Zero-initialise. Exactly one of the two is open. */
struct byte_stream {
    const char *path; /* the caller's, for messages */
    FILE *raw;
    gzFile gzip;
};

/* From `offset` bytes into the file; gzip: what starts there is a gzip stream (anything else is an error). */
enum status byte_stream_open(struct byte_stream *ret, const char *path, int64_t offset, bool gzip, struct error *error);
/* Creates or truncates `part`; messages name `path`, which it will become. */
enum status byte_stream_create(struct byte_stream *ret, const char *path, const char *part, bool gzip,
                               struct error *error);
/* A gzip stream after what `part` holds already. */
enum status byte_stream_append(struct byte_stream *ret, const char *path, const char *part, struct error *error);
/* All of `bytes`, or an error. */
enum status byte_stream_read(struct byte_stream *stream, void *data, size_t bytes, struct error *error);
enum status byte_stream_skip(struct byte_stream *stream, int64_t bytes, struct error *error);
/* After the last wanted byte: lets zlib compare its checksum where the stream ends here. */
enum status byte_stream_verify(struct byte_stream *stream, struct error *error);
/* What will be written is mostly runs of one byte, as masks are: packed three times as fast, about as small. */
void byte_stream_expect_runs(struct byte_stream *stream);
enum status byte_stream_write(struct byte_stream *stream, const void *data, size_t bytes, struct error *error);
/* After writing: what was buffered goes out; errors count. Safe on a closed stream. */
enum status byte_stream_close(struct byte_stream *stream, struct error *error);
void byte_stream_abandon(struct byte_stream *stream);

/* The most bytes a file of `bytes` can hold: deflate expands no more than 1032 times (zlib's own bound). */
int64_t byte_stream_bound(int64_t bytes, bool gzip);

#endif
