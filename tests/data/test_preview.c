/* Contact sheets and what a check of a set finds: pages, colours, open vaults, one skull on two sides of a split. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/picture/contact_sheet.h"
#include "data/dataset/dataset.h"
#include "skulls.h"
#include "tests/check.h"

static const int64_t dim[3] = {70, 66, 80}, lo[3] = {10, 10, 40}, hi[3] = {40, 40, 80};
static const double mm[3] = {2.5, 2.5, 2};

static void add_rows(struct contact_sheet *sheet, int64_t n, const struct contact_sheet_row *row)
{
    struct error error = {0};
    for (int64_t i = 0; i < n; i++)
        CHECK_OK(contact_sheet_add(sheet, row, &error), &error);
}

static void test_pages(void)
{
    struct error error = {0};
    struct contact_sheet sheet;
    const struct contact_sheet_row words = {
        .name = "a name that is longer than the column is wide",
        .text = "BAD: many words of explanation, which have to be broken into lines, and more\nof them",
        .mark = CONTACT_BAD};

    CHECK_FAILS(contact_sheet_open(&sheet, "p.jpg", "t", 1, true, &error), &error, STATUS_USAGE, "FILE.png");
    error = (struct error){0};
    CHECK_OK(contact_sheet_open(&sheet, check_path("one.png"), "t", 1, true, &error), &error);
    add_rows(&sheet, 1, &words);
    CHECK_OK(contact_sheet_close(&sheet, &error), &error);
    CHECK(file_exists(check_path("one.png")));

    CHECK_OK(contact_sheet_open(&sheet, check_path("many.png"), "t", 26, true, &error), &error);
    add_rows(&sheet, 26, &words);
    CHECK_OK(contact_sheet_close(&sheet, &error), &error);
    CHECK(file_exists(check_path("many_01.png")) && file_exists(check_path("many_03.png")));
    CHECK(!file_exists(check_path("many_04.png")) && !file_exists(check_path("many.png")));

    CHECK_OK(contact_sheet_open(&sheet, check_path("part.png"), "t", 12, true, &error), &error);
    add_rows(&sheet, 5, &words); /* fewer than announced: the last page is there all the same */
    CHECK_OK(contact_sheet_close(&sheet, &error), &error);
    CHECK(file_exists(check_path("part.png")));
    CHECK_OK(contact_sheet_open(&sheet, check_path("failed.png"), "t", 12, true, &error), &error);
    add_rows(&sheet, 5, &words);
    CHECK_OK(contact_sheet_close(&sheet, NULL), &error);
    CHECK(!file_exists(check_path("failed.png")));
}

/* Both colours are seen in every one of the four pictures. */
static void test_colours(void)
{
    struct error error = {0};
    struct volume skull, implant;
    struct contact_sheet sheet;

    skull_make(&skull, dim, mm, 0);
    implant_make(&implant, &skull, lo, hi);
    CHECK_OK(contact_sheet_open(&sheet, check_path("colours.png"), "t", 2, true, &error), &error);
    const struct contact_sheet_row row = {
        .grid = &skull.grid, .skull = skull.data, .implant = implant.data, .name = "n"};
    add_rows(&sheet, 1, &row);
    const struct image *page = &sheet.page;
    const int64_t first = page->w - 4 * 196 - 12;

    for (int tile = 0; tile < 4; tile++) {
        int64_t bone = 0, red = 0;
        for (int64_t y = 40; y < 230; y++)
            for (int64_t x = first + tile * (int64_t)196; x < first + tile * (int64_t)196 + 190 && x < page->w; x++) {
                const uint8_t *rgb = page->rgb + 3 * (y * page->w + x);
                red += rgb[0] > 120 && rgb[0] > rgb[2] + 80;
                bone += rgb[0] > 120 && rgb[0] < rgb[2] + 45 && rgb[0] < 240;
            }
        CHECK(bone > 200);
        CHECK(red > 100);
    }

    CHECK_OK(contact_sheet_close(&sheet, &error), &error);
    volume_done(&skull);
    volume_done(&implant);
}

/* Against a truth that is shifted by some voxels, all four colours are seen in every slice, and the view has them too.
 */
static void test_truth(void)
{
    static const uint8_t colours[4][3] = {COLOUR_BONE, COLOUR_CORRECT, COLOUR_MISSED, COLOUR_EXTRA};
    const int64_t lo_truth[3] = {12, 8, 44}, hi_truth[3] = {42, 38, 80};
    struct error error = {0};
    struct volume skull, implant, truth;
    struct contact_sheet sheet;

    skull_make(&skull, dim, mm, 0);
    implant_make(&implant, &skull, lo, hi);
    implant_make(&truth, &skull, lo_truth, hi_truth);
    CHECK_OK(contact_sheet_open(&sheet, check_path("truth.png"), "t", 2, true, &error), &error);
    sheet.compares = true;
    const struct contact_sheet_row row = {
        .grid = &skull.grid, .skull = skull.data, .implant = implant.data, .truth = truth.data, .name = "n"};
    add_rows(&sheet, 1, &row);
    const struct image *page = &sheet.page;
    const int64_t first = page->w - 4 * 196 - 12;

    for (int c = 0; c < 4; c++) {
        int64_t n = 0;
        for (int64_t y = 40; y < 230; y++)
            for (int64_t x = first; x < first + 3 * (int64_t)196; x++)
                n += memcmp(page->rgb + 3 * (y * page->w + x), colours[c], 3) == 0;
        CHECK(n > 100);
    }

    CHECK_OK(contact_sheet_close(&sheet, &error), &error);
    volume_done(&skull);
    volume_done(&implant);
    volume_done(&truth);
}

static char *checked(const char *path, const char *preview, int64_t n_bad)
{
    struct error error = {0};
    struct check_report report = {.out = fopen(check_path("report.txt"), "w"), .preview = preview};
    char *text = NULL;
    size_t bytes;
    CHECK_OK(dataset_check(path, &report, &error), &error);
    fclose(report.out);
    CHECK_INT(report.n_bad, n_bad);
    CHECK_OK(file_read(&text, &bytes, check_path("report.txt"), 1 << 20, &error), &error);
    return text;
}

static void test_check(void)
{
    struct error error = {0};
    struct volume skull, hole;

    skull_make(&skull, dim, mm, 0);
    volume_put("set", "a.nrrd", &skull);
    volume_put("set", "twin.nrrd", &skull);
    skull_make(&hole, dim, mm, 1);
    volume_put("set", "b.nrrd", &hole);
    volume_done(&hole);
    implant_make(&hole, &skull, lo, hi);
    mask_minus(&skull, &hole);
    volume_put("set", "c.nrrd", &skull);
    volume_done(&hole);
    volume_done(&skull);
    text_put(path_in("set", "d.nrrd"), "no volume");

    char *text = checked(check_path("set"), check_path("sheet.png"), 1); /* d cannot be read */
    CHECK_CONTAINS(text, "note  twin: the same skull as case a\n");
    CHECK_CONTAINS(text, "note  c: the vault is not closed");
    CHECK(!strstr(text, "a: the vault") && !strstr(text, "b: the vault"));
    CHECK_CONTAINS(text, "bad   d:");
    CHECK(file_exists(check_path("sheet.png")));
    memory_free(text);
    remove(path_in("set", "d.nrrd"));

    /* pack keeps twins on one side whatever the split file has; the check adds a note */
    const struct pack_config config = {.split_frac = {0.5, 0.25, 0.25}, .seed = 3};
    CHECK_OK(dataset_pack(check_path("set"), check_path("set.h5"), &config, &error), &error);
    text = checked(check_path("set.h5"), check_path("sets.png"), 0);
    CHECK_CONTAINS(text, "note  twin: the same skull as case a\n");
    CHECK(file_exists(check_path("sets.png")));
    memory_free(text);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"pages", test_pages}, {"colours", test_colours}, {"truth", test_truth}, {"check", test_check}, {0}};
    log_set_level(LOG_QUIET);
    return check_main(argc, argv, tests);
}
