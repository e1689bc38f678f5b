/* Files that lie: every one of tests/data/corpus is refused in its own words; mutated files are read or refused, never
 * more; and memory that runs out anywhere is an error like any other. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/volume/formats.h"
#include "tests/check.h"

static const char corpus[] = "tests/data/corpus/";

/* `line`: FILE<tab>what the message must hold after the file's name */
static void corpus_case(struct arena *arena, char *line)
{
    struct error error = {0};
    struct volume volume = {0};
    char *expected = strchr(line, '\t');

    if (!CHECK(expected != NULL))
        return;
    *expected++ = '\0';
    char *path = arena_printf(arena, "%s%s", corpus, line);
    int64_t before = memory_peak_bytes();
    enum status status = volume_read(&volume, path, &error);
    CHECK(memory_peak_bytes() - before < 16 << 20); /* no header makes us take what it merely claims */
    if (!CHECK_INT(status, STATUS_FAILED))
        volume_done(&volume);
    size_t prefix = strlen(path);
    CHECK(strncmp(error.text, path, prefix) == 0);
    if (!CHECK_CONTAINS(error.text + (strlen(error.text) > prefix ? prefix : 0), expected))
        fprintf(stderr, "    %s\n", line);
}

static void test_corpus(void)
{
    struct arena arena = {0};
    struct error error = {0};
    char *text = NULL, *rest = NULL;
    size_t bytes;
    int cases = 0;
    if (CHECK_OK(file_read(&text, &bytes, "tests/data/corpus/expected.txt", 1 << 20, &error), &error))
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), cases++)
            corpus_case(&arena, line);
    CHECK(cases > 100);
    memory_free(text);
    arena_done(&arena);
}

/* --- mutations of good files --- */

static const char *const seeds[] = {"lps_u8.nii",   "version2_i32.nii", "ras_i16.nii.gz",    "qform_i8.nii",
                                    "lps_i32.nrrd", "ras_u8.nrrd",      "permuted_f64.nrrd", "big_endian_u16.nrrd"};
enum { N_SEEDS = sizeof seeds / sizeof seeds[0], MUTATIONS = 150 };

/* A few bytes replaced, or a piece cut off, doubled or overwritten with another. */
static size_t mutate(char *data, size_t bytes, struct rng *rng)
{
    static const char tokens[] = "0123456789-.,() :#\nnainfe+%\0\xff\x7f\x80";
    size_t at = (size_t)rng_below(rng, (int64_t)bytes), length = (size_t)rng_below(rng, 24) + 1;

    length = length > bytes - at ? bytes - at : length;

    switch (rng_below(rng, 5)) {
    case 0:
        return at;
    case 1:
        memmove(data + at, data + at + length, bytes - at - length);
        return bytes - length;
    case 2:
        memmove(data + at + length, data + at, bytes - at); /* the buffer holds twice as much */
        return bytes + length;
    case 3:
        for (int i = 0; i < 3; i++)
            data[rng_below(rng, (int64_t)bytes)] = (char)rng_below(rng, 256);
        return bytes;
    default:
        for (size_t i = 0; i < length; i++)
            data[at + i] = tokens[rng_below(rng, (int64_t)sizeof tokens)];
        return bytes;
    }
}

static void test_mutations(void)
{
    struct arena arena = {0};
    int read = 0, refused = 0;

    for (int s = 0; s < N_SEEDS; s++) {
        struct error error = {0};
        char *good = NULL;
        size_t bytes;
        if (!CHECK_OK(file_read(&good, &bytes, arena_printf(&arena, "tests/data/golden/volumes/%s", seeds[s]), 1 << 16,
                                &error),
                      &error))
            continue;
        char *bad = memory_alloc(2 * bytes + 64, 1);
        const char *path = check_path(arena_printf(&arena, "mutated_%s", seeds[s]));
        for (uint64_t k = 0; k < MUTATIONS; k++) {
            struct rng rng = rng_make(k, (uint64_t)s);
            struct volume volume = {0};
            memcpy(bad, good, bytes);
            size_t n = mutate(bad, bytes, &rng);
            FILE *file = fopen(path, "wb");
            if (!CHECK(file && fwrite(bad, 1, n, file) == n && fclose(file) == 0))
                break;
            error = (struct error){0};
            enum status status = volume_read(&volume, path, &error);
            read += !status;
            refused += status == STATUS_FAILED;
            CHECK(status || grid_voxels(&volume.grid) < 1 << 20);
            CHECK(!status || error.length > 0);
            volume_done(&volume);
        }
        memory_free(bad);
        memory_free(good);
    }

    CHECK_INT(read + refused, N_SEEDS * MUTATIONS);
    CHECK(read > 100 && refused > 100);
    arena_done(&arena);
}

/* --- memory that runs out --- */

static void test_memory_out(void)
{
    static const char *const names[] = {"ras_i16.nii.gz", "lps_i32.nrrd", "detached_f32.nhdr"};
    struct arena arena = {0};

    for (int f = 0; f < 3; f++) {
        char *path = arena_printf(&arena, "tests/data/golden/volumes/%s", names[f]);
        const char *copy = check_path(arena_printf(&arena, "copy_%s", names[f]));
        int64_t failures = 0;
        for (int64_t nth = 1; nth < 100; nth++, failures++) {
            struct error error = {0};
            struct volume volume = {0};
            memory_fail_at(nth);
            enum status status = volume_read_mask(&volume, path, &error); /* refused in the end: no mask */
            if (strstr(error.text, "non-binary") && !(status = volume_read(&volume, path, &error)))
                status = volume_write(copy, &volume, &error);
            memory_fail_at(0);
            volume_done(&volume);
            if (!status)
                break;
            CHECK_CONTAINS(error.text, "memory");
        }
        CHECK(failures > 8 && failures < 99);
    }

    arena_done(&arena);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"corpus", test_corpus}, {"mutations", test_mutations}, {"memory_out", test_memory_out}, {0}};
    return check_main(argc, argv, tests);
}
