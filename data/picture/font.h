/* font.h - the glyphs of pictures: DejaVu Sans, rendered by FreeType when the program is built (cmake/make_font.c). */
#ifndef CALVARIA_DATA_PICTURE_FONT_H
#define CALVARIA_DATA_PICTURE_FONT_H

#include <stdint.h>

/* Em squares of 13, 17 and 22 pixels: all can be read at 100 %. */
enum text_size { TEXT_SMALL, TEXT_NORMAL, TEXT_LARGE, TEXT_SIZES };

struct glyph {
    uint32_t code;     /* Unicode */
    int16_t left, top; /* of the bitmap: right of the pen, above the base line */
    uint16_t w, h;
    int16_t advance;
    uint32_t at; /* of its w x h bytes in the font's coverage */
};

struct font {
    int line, ascent; /* pixels from base line to base line, from the top of a line to its base line */
    int n;
    const struct glyph *glyphs; /* by rising code */
    const uint8_t *coverage;    /* 0 to 255 */
};

extern const struct font fonts[TEXT_SIZES];

/* The glyph of the next character of a UTF-8 text, which is moved on; that of '?' where the font has none. */
const struct glyph *font_next(const struct font *font, const char **text);

#endif
