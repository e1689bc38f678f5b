/* test_render.c - pictures: what is seen stands where it should, colours are the layers', files are PNG, the same on
 * any thread count. */
#include "data/picture/render.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/parallel.h"
#include "tests/check.h"

enum { N = 60 };
static const uint8_t bone[3] = {227, 214, 190}, red[3] = {214, 60, 40};

/* A ball in the middle with a wart (the second mask) towards +axis. */
static void make_ball(uint8_t *ball, uint8_t *wart, int axis)
{
    for (int64_t i = 0; i < (int64_t)N * N * N; i++) {
        const int64_t p[3] = {i % N - N / 2, i / N % N - N / 2, i / (N * N) - N / 2};
        const int64_t r2 = p[0] * p[0] + p[1] * p[1] + p[2] * p[2];
        int64_t away = 0;
        for (int a = 0; a < 3; a++)
            away += (p[a] - (a == axis ? 22 : 0)) * (p[a] - (a == axis ? 22 : 0));
        wart[i] = away < 36;
        ball[i] = r2 < 400 && !wart[i];
    }
}

static bool reddish(const struct image *image, int64_t x, int64_t y)
{
    const uint8_t *rgb = image->rgb + 3 * (y * image->w + x);
    return rgb[0] > 2 * rgb[1] && rgb[0] > 40;
}

/* From column x0 on. */
static int64_t count_red(const struct image *image, int64_t x0)
{
    int64_t n = 0;
    for (int64_t y = 0; y < image->h; y++)
        for (int64_t x = x0; x < image->w; x++)
            n += reddish(image, x, y);
    return n;
}

/* A wart on the patient's left is in the middle from the left, hidden from the right, and at the picture's right edge
 * from the front. */
static void test_views_look_from_where_they_say(void)
{
    static const struct {
        int axis;
        enum render_view facing, hiding;
    } cases[] = {{0, VIEW_LEFT, VIEW_RIGHT}, {1, VIEW_BACK, VIEW_FRONT}, {2, VIEW_TOP, VIEW_BELOW}};
    const struct grid grid = grid_make((const int64_t[3]){N, N, N}, (const double[3]){1, 1, 1});
    uint8_t *ball = malloc((size_t)N * N * N), *wart = malloc((size_t)N * N * N);
    struct error error = {0};

    for (int i = 0; i < 3; i++) {
        make_ball(ball, wart, cases[i].axis);
        const struct render_layer layers[] = {{.mask = ball, .rgb = {bone[0], bone[1], bone[2]}, .name = NULL},
                                              {.mask = wart, .rgb = {red[0], red[1], red[2]}, .name = NULL}};
        struct image image;
        if (!CHECK_OK(render_shaded(&image, &grid, layers, 2, cases[i].facing, 100, &error), &error))
            break;
        CHECK(reddish(&image, image.w / 2, image.h / 2));
        CHECK(image.rgb[0] == 255 && image.rgb[1] == 255 && image.rgb[2] == 255); /* the corner is background */
        image_done(&image);
        CHECK_INT(render_view_opposite(cases[i].facing), cases[i].hiding);
        CHECK_OK(render_shaded(&image, &grid, layers, 2, cases[i].hiding, 100, &error), &error);
        CHECK_INT(count_red(&image, 0), 0);
        image_done(&image);
        if (cases[i].axis == 0) {
            CHECK_OK(render_shaded(&image, &grid, layers, 2, VIEW_FRONT, 100, &error), &error);
            CHECK(count_red(&image, 0) > 50);
            CHECK_INT(count_red(&image, image.w / 2), count_red(&image, 0)); /* all in the right half */
            image_done(&image);
        }
    }

    free(ball);
    free(wart);
}

static void test_same_pixels_on_any_thread_count(void)
{
    const struct grid grid = grid_make((const int64_t[3]){N, N, N}, (const double[3]){1, 1, 1.5});
    uint8_t *ball = malloc((size_t)N * N * N), *wart = malloc((size_t)N * N * N);

    make_ball(ball, wart, 1);
    const struct render_layer layers[] = {{.mask = ball, .rgb = {bone[0], bone[1], bone[2]}, .name = NULL},
                                          {.mask = wart, .rgb = {red[0], red[1], red[2]}, .name = NULL}};
    struct image one, three;
    struct error error = {0};
    const int threads = parallel_threads();
    parallel_set_threads(1);
    CHECK_OK(render_shaded(&one, &grid, layers, 2, VIEW_OBLIQUE, 90, &error), &error);
    parallel_set_threads(3);
    CHECK_OK(render_shaded(&three, &grid, layers, 2, VIEW_OBLIQUE, 90, &error), &error);
    parallel_set_threads(threads);
    CHECK_INT(one.w, three.w);
    CHECK_INT(one.h, three.h);
    CHECK(memcmp(one.rgb, three.rgb, (size_t)(3 * one.w * one.h)) == 0);
    CHECK(memcmp(one.rgb, one.rgb + 3, (size_t)(3 * one.w * one.h - 3)) != 0); /* not all of one colour */
    image_done(&one);
    image_done(&three);
    free(ball);
    free(wart);
}

/* x runs to the right, z up; pixels are isotropic. */
static void test_slices_lie_as_in_the_clinic(void)
{
    const int64_t dim[3] = {20, 30, 10};
    const struct grid grid = grid_make(dim, (const double[3]){1, 1, 2});
    uint8_t mask[20 * 30 * 10] = {0};

    mask[(9 * 30 + 15) * 20 + 19] = 1; /* left, top */
    const struct render_layer layer = {.mask = mask, .rgb = {red[0], red[1], red[2]}, .name = NULL};
    struct image image;
    struct error error = {0};
    CHECK_OK(render_slice(&image, &grid, &layer, 1, 1, 15, 200, &error), &error);
    CHECK_INT(image.w, 200);
    CHECK_INT(image.h, 200);
    CHECK(reddish(&image, 195, 5));
    CHECK_INT(count_red(&image, 0), 10 * 20);
    image_done(&image);
    CHECK_OK(render_slice(&image, &grid, &layer, 1, 2, 9, 300, &error), &error);
    CHECK_INT(image.w, 200);
    CHECK_INT(image.h, 300);
    CHECK(reddish(&image, 195, 155));
    image_done(&image);
    CHECK_FAILS(render_slice(&image, &grid, &layer, 1, 2, 10, 300, &error), &error, STATUS_FAILED, "slice 10");
}

static void test_text_and_paste(void)
{
    struct image page, stamp;
    struct error error = {0};
    const uint8_t black[3] = {0, 0, 0};

    CHECK_OK(image_new(&page, 40, 30, &error), &error);
    CHECK_OK(image_new(&stamp, 10, 10, &error), &error);
    image_fill(&stamp, red);
    image_paste(&page, &stamp, -5, 25); /* cut on two sides */
    CHECK_INT(count_red(&page, 0), 25);
    image_rectangle(&page, 35, -4, 100, 10, red); /* 5 x 6 of it are inside */
    CHECK_INT(count_red(&page, 0), 25 + 30);
    image_rectangle(&page, 40, 0, 5, 5, red);
    image_rectangle(&page, -9, 0, 9, 5, red);
    CHECK_INT(count_red(&page, 0), 25 + 30);
    image_text(&page, 20, 2, "I", TEXT_SMALL, black);
    int64_t ink = 0, tall = 0;
    for (int64_t y = 0; y < page.h; y++) {
        int64_t dark = 0;
        for (int64_t x = 20; x < page.w; x++)
            dark += page.rgb[3 * (y * page.w + x)] < 128 && page.rgb[3 * (y * page.w + x) + 1] < 128;
        ink += dark;
        tall += dark > 0;
    }
    CHECK(tall >= 9 && ink >= tall && ink <= 2 * tall); /* a stroke as high as a capital, one or two pixels wide */
    image_text(&page, -100, -100, "outside\n\x80", TEXT_LARGE, black);                        /* drawn nowhere */
    CHECK_INT(image_text_width("\xC3\xA9", TEXT_NORMAL), image_text_width("e", TEXT_NORMAL)); /* e acute */
    CHECK_INT(image_text_width("\xE4\xBA\xBA\xFF", TEXT_NORMAL), image_text_width("??", TEXT_NORMAL));
    CHECK_INT(image_text_width("mm\nmmmm", TEXT_SMALL), image_text_width("mm", TEXT_SMALL));
    CHECK(image_text_width("implant", TEXT_LARGE) > image_text_width("implant", TEXT_SMALL));
    image_done(&stamp);
    image_done(&page);
    CHECK_FAILS(image_new(&page, 0, 5, &error), &error, STATUS_FAILED, "out of range");
    CHECK_FAILS(image_new(&page, 1 << 20, 1 << 20, &error), &error, STATUS_FAILED, "out of range");
}

static void test_sheet_is_a_png(void)
{
    const struct grid grid = grid_make((const int64_t[3]){N, N, N}, (const double[3]){1, 1, 1});
    uint8_t *ball = malloc((size_t)N * N * N), *wart = malloc((size_t)N * N * N), *nothing = calloc((size_t)N * N, N);
    struct error error = {0};

    make_ball(ball, wart, 0);
    const struct render_layer layers[] = {{.mask = ball, .rgb = {bone[0], bone[1], bone[2]}, .name = "skull"},
                                          {.mask = wart, .rgb = {red[0], red[1], red[2]}, .name = "implant"}};
    const char *path = check_path("sheet.png");
    CHECK_OK(render_sheet(path, &grid, layers, 2, 1, "a ball", &error), &error);
    png_image png = {.version = PNG_IMAGE_VERSION};
    CHECK(png_image_begin_read_from_file(&png, path));
    CHECK(png.width > 1000 && png.height > 500);
    png_image_free(&png);
    const struct render_layer empty = {.mask = nothing, .rgb = {bone[0], bone[1], bone[2]}, .name = NULL};
    CHECK_OK(render_sheet(check_path("empty.png"), &grid, &empty, 1, 0, NULL, &error), &error);
    CHECK_FAILS(render_sheet(path, &grid, layers, 2, 2, "", &error), &error, STATUS_FAILED, "layer 2 of 2");
    CHECK_FAILS(render_sheet(check_path("none/sheet.png"), &grid, layers, 1, 0, "", &error), &error, STATUS_FAILED,
                "none");
    free(ball);
    free(wart);
    free(nothing);
}

static void test_memory_runs_out(void)
{
    const struct grid grid = grid_make((const int64_t[3]){N, N, N}, (const double[3]){1, 1, 1});
    uint8_t *ball = malloc((size_t)N * N * N), *wart = malloc((size_t)N * N * N);

    make_ball(ball, wart, 0);
    const struct render_layer layer = {.mask = ball, .rgb = {bone[0], bone[1], bone[2]}, .name = NULL};
    bool done = false;
    parallel_set_threads(1);

    for (int64_t n = 1; n < 100 && !done; n++) {
        struct image image = {0};
        struct error error = {0};
        memory_fail_at(n);
        const enum status status = render_shaded(&image, &grid, &layer, 1, VIEW_TOP, 40, &error);
        memory_fail_at(0);
        done = !status;
        if (status) {
            CHECK(image.rgb == NULL);
            CHECK(error.n_errors > 0);
        }
        image_done(&image);
    }

    parallel_set_threads(0);
    CHECK(done);
    free(ball);
    free(wart);
}

static void test_every_view_has_an_opposite(void)
{
    for (int view = 0; view < VIEW_N; view++) {
        const enum render_view other = render_view_opposite((enum render_view)view);
        CHECK((int)other != view);
        CHECK_INT(render_view_opposite(other), view);
    }
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"views_look_from_where_they_say", test_views_look_from_where_they_say},
                                       {"every_view_has_an_opposite", test_every_view_has_an_opposite},
                                       {"same_pixels_on_any_thread_count", test_same_pixels_on_any_thread_count},
                                       {"slices_lie_as_in_the_clinic", test_slices_lie_as_in_the_clinic},
                                       {"text_and_paste", test_text_and_paste},
                                       {"sheet_is_a_png", test_sheet_is_a_png},
                                       {"memory_runs_out", test_memory_runs_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
