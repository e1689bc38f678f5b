/* events.c - TensorBoard event files; see events.h. Test: tests/train/test_events.c, scripts/check_tensorboard.py. */
#include "train/events.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include <events.pb-c.h>

enum { VALUES_MAX = 64, PNG_BYTES_MAX = 64 << 20, PNG_HEADER_BYTES = 24, PACKED_BYTES = 8192 };

struct events {
    FILE *file;
    char *path;
    size_t capacity; /* of packed: the rows of a step fit from the start, so that a step allocates nothing */
    unsigned char *packed;
};

uint32_t events_crc32c(const void *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (const unsigned char *byte = bytes; n > 0; byte++, n--) {
        crc ^= *byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

static void events_little_endian(unsigned char *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        out[i] = (unsigned char)(value >> 8 * i);
}

/* A CRC over bytes that hold CRCs is weak, so the format rotates it and adds a constant. */
static void events_put_crc(unsigned char out[4], const void *bytes, size_t n)
{
    const uint32_t crc = events_crc32c(bytes, n);
    events_little_endian(out, ((crc >> 15 | crc << 17) + 0xA282EAD8u) & UINT32_MAX, 4);
}

/* One record: u64 length, its CRC, the event, its CRC. */
static enum status events_write(struct events *events, Tensorboard__Event *event, int64_t step, struct error *error)
{
    unsigned char head[12], tail[4];
    event->has_wall_time = event->has_step = 1;
    event->wall_time = (double)time(NULL);
    event->step = step;

    const size_t n = tensorboard__event__get_packed_size(event);
    if (n > events->capacity) {
        unsigned char *larger = memory_alloc(n, 1);
        if (!larger)
            return error_memory(error, n, "an event");
        memory_free(events->packed);
        events->packed = larger;
        events->capacity = n;
    }
    unsigned char *bytes = events->packed;
    tensorboard__event__pack(event, bytes);
    events_little_endian(head, n, 8);
    events_put_crc(head + 8, head, 8);
    events_put_crc(tail, bytes, n);

    const bool ok = fwrite(head, 1, sizeof head, events->file) == sizeof head &&
                    fwrite(bytes, 1, n, events->file) == n &&
                    fwrite(tail, 1, sizeof tail, events->file) == sizeof tail && fflush(events->file) == 0;
    return ok ? STATUS_OK : error_system(error, errno, "%s: cannot write", events->path);
}

enum status events_open(struct events **ret, const char *folder, int64_t step, struct error *error)
{
    struct events *events = memory_zalloc(1, sizeof *events);
    *ret = NULL;
    if (events && (events->packed = memory_alloc(PACKED_BYTES, 1)))
        events->capacity = PACKED_BYTES;
    if (events)
        events->path = memory_printf("%s/events.out.tfevents.%010" PRId64 ".calvaria.%ld", folder, (int64_t)time(NULL),
                                     (long)getpid());
    if (!events || !events->path || !events->packed) {
        events_close(events);
        return error_memory(error, sizeof *events, "the event file");
    }
    if (!(events->file = fopen(events->path, "ab"))) {
        error_system(error, errno, "%s: cannot open", events->path);
        events_close(events);
        return error->status;
    }

    char version[] = "brain.Event:2"; /* what the file's first event must be */
    Tensorboard__Event first = TENSORBOARD__EVENT__INIT, start = TENSORBOARD__EVENT__INIT;
    Tensorboard__SessionLog mark = TENSORBOARD__SESSION_LOG__INIT;
    first.file_version = version;
    mark.has_status = 1;
    mark.status = TENSORBOARD__SESSION_LOG__SESSION_STATUS__START;
    start.session_log = &mark;
    if (events_write(events, &first, 0, error) || (step > 0 && events_write(events, &start, step + 1, error))) {
        events_close(events);
        return error->status;
    }
    *ret = events;
    return STATUS_OK;
}

enum status events_scalars(struct events *events, int64_t step, int n, const char *const *tags, const double *values,
                           struct error *error)
{
    Tensorboard__Summary__Value rows[VALUES_MAX], *list[VALUES_MAX];
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    summary.value = list;
    event.summary = &summary;

    for (int i = 0; i < n && summary.n_value < VALUES_MAX; i++) {
        if (!isfinite(values[i]))
            continue;
        Tensorboard__Summary__Value *row = &rows[summary.n_value];
        tensorboard__summary__value__init(row);
        row->tag = (char *)tags[i];
        row->has_simple_value = 1;
        row->simple_value = (float)values[i];
        list[summary.n_value++] = row;
    }
    return summary.n_value > 0 ? events_write(events, &event, step, error) : STATUS_OK;
}

static int32_t events_big_endian(const unsigned char *bytes)
{
    return (int32_t)((uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]);
}

enum status events_png(struct events *events, int64_t step, const char *tag, const char *path, struct error *error)
{
    char *png;
    size_t n;
    if (!file_exists(path))
        return STATUS_OK;
    if (file_read(&png, &n, path, PNG_BYTES_MAX, error))
        return error->status;

    Tensorboard__Summary__Image image = TENSORBOARD__SUMMARY__IMAGE__INIT;
    Tensorboard__Summary__Value value = TENSORBOARD__SUMMARY__VALUE__INIT, *list[] = {&value};
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    image.has_height = image.has_width = image.has_colorspace = image.has_encoded_image_string = 1;
    if (n >= PNG_HEADER_BYTES) { /* width and height stand in the first chunk, IHDR */
        image.width = events_big_endian((unsigned char *)png + 16);
        image.height = events_big_endian((unsigned char *)png + 20);
    }
    image.colorspace = 3;
    image.encoded_image_string = (ProtobufCBinaryData){n, (uint8_t *)png};
    value.tag = (char *)tag;
    value.image = &image;
    summary.n_value = 1;
    summary.value = list;
    event.summary = &summary;
    const enum status status = events_write(events, &event, step, error);
    memory_free(png);
    return status;
}

void events_close(struct events *events)
{
    if (!events)
        return;
    if (events->file)
        fclose(events->file);
    memory_free(events->path);
    memory_free(events->packed);
    memory_free(events);
}
