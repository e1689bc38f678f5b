/* font.h - a fixed-width bitmap font for pictures: printable ASCII, 5 x 9 pixels (capitals 7 high, 2 below the line).
 */
#ifndef CALVARIA_DATA_PICTURE_FONT_H
#define CALVARIA_DATA_PICTURE_FONT_H

#include <stdint.h>

enum { FONT_FIRST = ' ', FONT_N = 95, FONT_W = 5, FONT_H = 9, FONT_ADVANCE = 6, FONT_LINE = 11 };

/* One byte per row, top first; bit 4 is the left pixel. */
extern const uint8_t font_glyphs[FONT_N][FONT_H];

#endif
