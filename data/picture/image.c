/* image.c - RGB images: paste, text, PNG. Test: tests/data/test_render.c. */
#include "data/picture/render.h"

#include <inttypes.h>
#include <png.h>
#include <string.h>

#include "base/file.h"
#include "data/picture/font.h"

enum { IMAGE_MAX_SIDE = 32768 };

enum status image_new(struct image *ret, int64_t w, int64_t h, struct error *error)
{
    if (w < 1 || h < 1 || w > IMAGE_MAX_SIDE || h > IMAGE_MAX_SIDE)
        return error_set(error, STATUS_FAILED,
                         "image: %" PRId64 " x %" PRId64 " pixels: out of range (1 to %d on a side)", w, h,
                         IMAGE_MAX_SIDE);
    size_t bytes = (size_t)w * (size_t)h * 3;
    uint8_t *rgb = memory_alloc(bytes, 1);
    if (!rgb)
        return error_memory(error, bytes, "an image");
    memset(rgb, 255, bytes);
    *ret = (struct image){.w = w, .h = h, .rgb = rgb};
    return STATUS_OK;
}

void image_done(struct image *image)
{
    if (!image)
        return;
    memory_free(image->rgb);
    *image = (struct image){0};
}

void image_fill(struct image *image, const uint8_t rgb[3])
{
    for (int64_t i = 0; i < image->w * image->h; i++)
        memcpy(image->rgb + 3 * i, rgb, 3);
}

void image_paste(struct image *dst, const struct image *src, int64_t x, int64_t y)
{
    int64_t lo = x < 0 ? -x : 0;
    int64_t hi = src->w < dst->w - x ? src->w : dst->w - x;
    if (lo >= hi)
        return;
    for (int64_t v = 0; v < src->h; v++)
        if (y + v >= 0 && y + v < dst->h)
            memcpy(dst->rgb + 3 * ((y + v) * dst->w + x + lo), src->rgb + 3 * (v * src->w + lo), (size_t)(hi - lo) * 3);
}

static void image_block(struct image *dst, int64_t x, int64_t y, int size, const uint8_t rgb[3])
{
    for (int64_t v = y; v < y + size; v++)
        for (int64_t u = x; u < x + size; u++)
            if (u >= 0 && v >= 0 && u < dst->w && v < dst->h)
                memcpy(dst->rgb + 3 * (v * dst->w + u), rgb, 3);
}

void image_text_scaled(struct image *dst, int64_t x, int64_t y, const char *text, int scale, const uint8_t rgb[3])
{
    int64_t left = x;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '\n') {
            x = left;
            y += FONT_LINE * scale;
            continue;
        }
        int known = *c >= FONT_FIRST && *c < FONT_FIRST + FONT_N;
        const uint8_t *glyph = font_glyphs[known ? *c - FONT_FIRST : '?' - FONT_FIRST];
        for (int row = 0; row < FONT_H; row++)
            for (int column = 0; column < FONT_W; column++)
                if (glyph[row] >> (FONT_W - 1 - column) & 1)
                    image_block(dst, x + column * scale, y + row * scale, scale, rgb);
        x += FONT_ADVANCE * scale;
    }
}

void image_text(struct image *dst, int64_t x, int64_t y, const char *text, const uint8_t rgb[3])
{
    image_text_scaled(dst, x, y, text, 1, rgb);
}

enum status image_write_png(const char *path, const struct image *image, struct error *error)
{
    char *part = NULL;
    if (file_begin(&part, path, error))
        return error->status;
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->w,
                     .height = (png_uint_32)image->h,
                     .format = PNG_FORMAT_RGB};
    if (!png_image_write_to_file(&png, part, 0, image->rgb, 0, NULL)) {
        error_set(error, STATUS_FAILED, "%s: cannot write the PNG: %s (is the disk full?)", path, png.message);
        png_image_free(&png);
        file_discard(&part);
        return STATUS_FAILED;
    }
    return file_commit(&part, path, error);
}
