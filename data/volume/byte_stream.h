/* byte_stream.h - bytes of a file in order, packed or not. Private to data/. */
#ifndef CALVARIA_DATA_VOLUME_BYTE_STREAM_H
#define CALVARIA_DATA_VOLUME_BYTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zlib.h>

#include "base/error.h"

/* How the bytes stand in the file. Only PLAIN and GZIP are written. TEXT: numbers in ASCII, read as doubles. */
enum packing { PACKING_PLAIN, PACKING_GZIP, PACKING_ZLIB, PACKING_BZIP2, PACKING_TEXT };

/* Zero-initialise. gzip is open, or raw, with what unpacks it. */
struct byte_stream {
    const char *path; /* the caller's, for messages */
    FILE *raw;
    gzFile gzip;
    enum packing packing;
    struct byte_inflate *inflate; /* of ZLIB */
    void *bzip2;                  /* of BZIP2: a BZFILE */
};

/* From `offset` bytes into the file; what starts there is packed so (anything else is an error). */
enum status byte_stream_open(struct byte_stream *ret, const char *path, int64_t offset, enum packing packing,
                             struct error *error);
/* Creates or truncates `part`; messages name `path`, which it will become. */
enum status byte_stream_create(struct byte_stream *ret, const char *path, const char *part, bool gzip,
                               struct error *error);
/* A gzip stream after what `part` holds already. */
enum status byte_stream_append(struct byte_stream *ret, const char *path, const char *part, struct error *error);
/* All of `bytes`, or an error. Of TEXT: whole doubles. */
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

/* The most bytes a file of `bytes` can hold: deflate expands no more than 1032 times (zlib's own bound), bzip2 no more
 * than 1.2 million times (a block of 900 kB of runs of 255 in its least 37 bytes); a number and its blank are two bytes
 * of text. */
int64_t byte_stream_bound(int64_t bytes, enum packing packing);

#endif
