/* test_events.c - the event file of a run: records, checksums, what is in them. TensorBoard itself reads one in
 * scripts/check_tensorboard.py. */
#include "train/events.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include <events.pb-c.h>
#include "tests/check.h"

static uint64_t little_endian(const unsigned char *bytes, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static uint32_t masked_crc(const void *bytes, size_t n)
{
    const uint32_t crc = events_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void test_crc32c(void)
{
    unsigned char bytes[32] = {0};
    CHECK_INT(events_crc32c(bytes, 32), 0x8A9136AAu);
    memset(bytes, 0xFF, 32);
    CHECK_INT(events_crc32c(bytes, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    CHECK_INT(events_crc32c(bytes, 32), 0x46DD794Eu);
    CHECK_INT(events_crc32c("123456789", 9), 0xE3069283u);
}

/* The only event file of the folder, whole. */
static char *file_of(const char *folder, size_t *ret_n)
{
    struct error error = {0};
    struct arena arena = {0};
    struct config_strings names = {0};
    char *text = NULL;
    CHECK_OK(file_list(&names, folder, &arena, &error), &error);
    if (CHECK_INT(names.n, 1) && CHECK_CONTAINS(names.items[0], "events.out.tfevents."))
        CHECK_OK(file_read(&text, ret_n, file_join(&arena, folder, names.items[0]), 1 << 20, &error), &error);
    arena_done(&arena);
    return text;
}

/* Record i of the file; NULL past the last. Checksums are checked. */
static Tensorboard__Event *event_at(const char *file, size_t n, int i)
{
    const unsigned char *at = (const unsigned char *)file, *end = at + n;
    while (at + 16 <= end) {
        const uint64_t bytes = little_endian(at, 8);
        CHECK_INT(little_endian(at + 8, 4), masked_crc(at, 8));
        if (!CHECK(bytes <= (uint64_t)(end - at) - 16))
            return NULL;
        CHECK_INT(little_endian(at + 12 + bytes, 4), masked_crc(at + 12, bytes));
        if (i-- == 0)
            return tensorboard__event__unpack(NULL, bytes, at + 12);
        at += 16 + bytes;
    }
    return NULL;
}

static const unsigned char png[24] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13,
                                      'I',  'H', 'D', 'R', 0,    0,    1,    2,    0, 0, 0, 7};

static void test_file(void)
{
    struct error error = {0};
    struct events *events = NULL;
    const char *const tags[] = {"train/loss", "train/lr", "val/dsc"};
    const double values[] = {0.5, NAN, 0.25}, none[] = {NAN, NAN, INFINITY};
    const char *folder = check_path("new");
    CHECK_OK(file_make_folders(folder, &error), &error);
    CHECK_OK(file_write(check_path("picture.png"), png, sizeof png, &error), &error);

    CHECK_OK(events_open(&events, folder, 0, &error), &error);
    CHECK_OK(events_scalars(events, 7, 3, tags, values, &error), &error);
    CHECK_OK(events_scalars(events, 8, 3, tags, none, &error), &error);
    CHECK_OK(events_png(events, 9, "validation", check_path("picture.png"), &error), &error);
    CHECK_OK(events_png(events, 9, "validation", check_path("none.png"), &error), &error);
    events_close(events);

    size_t n = 0;
    char *file = file_of(folder, &n);
    Tensorboard__Event *event = event_at(file, n, 0);
    CHECK_TEXT(event->file_version, "brain.Event:2");
    tensorboard__event__free_unpacked(event, NULL);
    event = event_at(file, n, 1);
    CHECK_INT(event->step, 7);
    CHECK_INT(event->summary->n_value, 2);
    CHECK_TEXT(event->summary->value[1]->tag, "val/dsc");
    CHECK_NEAR(event->summary->value[1]->simple_value, 0.25, 0);
    tensorboard__event__free_unpacked(event, NULL);
    event = event_at(file, n, 2);
    CHECK_INT(event->step, 9);
    CHECK_INT(event->summary->value[0]->image->width, 258);
    CHECK_INT(event->summary->value[0]->image->height, 7);
    CHECK_INT(event->summary->value[0]->image->encoded_image_string.len, sizeof png);
    tensorboard__event__free_unpacked(event, NULL);
    CHECK(event_at(file, n, 3) == NULL);
    memory_free(file);
}

/* A resumed run says from which step on the earlier file is void. */
static void test_resumed(void)
{
    struct error error = {0};
    struct events *events = NULL;
    size_t n = 0;
    const char *folder = check_path("resumed");
    CHECK_OK(file_make_folders(folder, &error), &error);
    CHECK_OK(events_open(&events, folder, 40, &error), &error);
    events_close(events);
    char *file = file_of(folder, &n);
    Tensorboard__Event *event = event_at(file, n, 1);
    CHECK_INT(event->step, 41);
    CHECK_INT(event->session_log->status, TENSORBOARD__SESSION_LOG__SESSION_STATUS__START);
    tensorboard__event__free_unpacked(event, NULL);
    memory_free(file);
}

static void test_no_folder(void)
{
    struct error error = {0};
    struct events *events;
    CHECK_FAILS(events_open(&events, check_path("nowhere"), 0, &error), &error, STATUS_FAILED, "cannot open");
    CHECK(events == NULL);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"crc32c", test_crc32c}, {"file", test_file}, {"resumed", test_resumed}, {"no_folder", test_no_folder}, {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
