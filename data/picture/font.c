/* font.c - characters of a text to glyphs. See font.h. Test: tests/data/test_render.c. */
#include "data/picture/font.h"

/* Moves over one character. Bytes that are not UTF-8 count as one unknown character each. */
static uint32_t font_decode(const char **text)
{
    const unsigned char *c = (const unsigned char *)*text;
    const int more = c[0] < 0x80 ? 0 : c[0] >= 0xC2 && c[0] < 0xE0 ? 1 : c[0] >= 0xE0 && c[0] < 0xF0 ? 2 : -1;
    uint32_t code = more == 0 ? c[0] : more == 1 ? c[0] & 0x1FU : c[0] & 0x0FU;

    (*text)++;
    for (int k = 1; k <= more; k++) {
        if ((c[k] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (c[k] & 0x3FU);
    }
    *text += more > 0 ? more : 0;
    return more < 0 ? 0 : code;
}

static const struct glyph *font_find(const struct font *font, uint32_t code)
{
    int lo = 0, hi = font->n - 1;
    while (lo <= hi) {
        const int middle = (lo + hi) / 2;
        if (font->glyphs[middle].code == code)
            return &font->glyphs[middle];
        if (font->glyphs[middle].code < code)
            lo = middle + 1;
        else
            hi = middle - 1;
    }
    return 0;
}

const struct glyph *font_next(const struct font *font, const char **text)
{
    const struct glyph *glyph = font_find(font, font_decode(text));
    return glyph ? glyph : font_find(font, '?');
}
