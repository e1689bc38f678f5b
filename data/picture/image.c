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
    image_rectangle(image, 0, 0, image->w, image->h, rgb);
}

void image_rectangle(struct image *dst, int64_t x, int64_t y, int64_t w, int64_t h, const uint8_t rgb[3])
{
    const int64_t right = w < dst->w - x ? x + w : dst->w, below = h < dst->h - y ? y + h : dst->h;
    for (int64_t v = y < 0 ? 0 : y; v < below; v++)
        for (int64_t u = x < 0 ? 0 : x; u < right; u++)
            memcpy(dst->rgb + 3 * (v * dst->w + u), rgb, 3);
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

/* One glyph, its pen at x on the base line y, mixed over what is there by its coverage. */
static void image_glyph(struct image *dst, int64_t x, int64_t y, const struct glyph *glyph, const uint8_t *coverage,
                        const uint8_t rgb[3])
{
    for (int64_t row = 0; row < glyph->h; row++)
        for (int64_t column = 0; column < glyph->w; column++) {
            const int64_t u = x + glyph->left + column, v = y - glyph->top + row;
            const int part = coverage[glyph->at + row * glyph->w + column];
            if (part == 0 || u < 0 || v < 0 || u >= dst->w || v >= dst->h)
                continue;
            uint8_t *pixel = dst->rgb + 3 * (v * dst->w + u);
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)((pixel[c] * (255 - part) + rgb[c] * part + 127) / 255);
        }
}

void image_text(struct image *dst, int64_t x, int64_t y, const char *text, enum text_size size, const uint8_t rgb[3])
{
    const struct font *font = &fonts[size];
    const int64_t left = x;
    y += font->ascent;
    while (*text) {
        if (*text == '\n') {
            x = left;
            y += font->line;
            text++;
            continue;
        }
        const struct glyph *glyph = font_next(font, &text);
        image_glyph(dst, x, y, glyph, font->coverage, rgb);
        x += glyph->advance;
    }
}

int64_t image_text_width(const char *text, enum text_size size)
{
    int64_t width = 0;
    while (*text && *text != '\n')
        width += font_next(&fonts[size], &text)->advance;
    return width;
}

int64_t image_text_line(enum text_size size)
{
    return fonts[size].line;
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
