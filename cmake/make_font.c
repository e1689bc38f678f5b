/* make_font.c - the lettering of pictures, made when the program is built:
 *
 *     make_font FONT.ttf OUT.c
 *
 * FreeType renders the glyphs that file names and units need, at the sizes of enum text_size, as coverage of 0 to 255.
 * The program holds them as tables (about 130 KB) and needs neither a font nor FreeType where it runs. */
#include <stdio.h>
#include <stdlib.h>

#include <ft2build.h>
#include FT_FREETYPE_H

static const int sizes_px[] = {13, 17, 22}; /* TEXT_SMALL, TEXT_NORMAL, TEXT_LARGE: of the em square */
enum { N_SIZES = sizeof sizes_px / sizeof *sizes_px };

/* ASCII, Latin-1 and Latin Extended-A, and signs of text that is typeset. */
static const struct {
    unsigned first, last;
} ranges[] = {{0x20, 0x7E},     {0xA0, 0x17F},    {0x2013, 0x2014}, {0x2018, 0x201D},
              {0x2026, 0x2026}, {0x2192, 0x2192}, {0x2212, 0x2212}, {0x2264, 0x2265}};

static void fail(const char *what)
{
    fprintf(stderr, "make_font: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    FT_Library library;
    FT_Face face;
    FILE *out;
    if (argc != 3 || FT_Init_FreeType(&library) || FT_New_Face(library, argv[1], 0, &face))
        fail("usage: make_font FONT.ttf OUT.c (or the font cannot be read)");
    if (!(out = fopen(argv[2], "w")))
        fail("the output cannot be written");

    long at = 0;
    fprintf(out, "/* Made by cmake/make_font.c from %s %s. */\n#include \"data/picture/font.h\"\n\n", face->family_name,
            face->style_name);
    fprintf(out, "static const uint8_t coverage[] = {\n");
    char *tables = NULL;
    size_t bytes = 0;
    FILE *table = open_memstream(&tables, &bytes);
    for (int s = 0; s < N_SIZES; s++) {
        FT_Set_Pixel_Sizes(face, 0, (FT_UInt)sizes_px[s]);
        fprintf(table, "static const struct glyph glyphs_%d[] = {\n", s);
        for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
            for (unsigned code = ranges[r].first; code <= ranges[r].last; code++) {
                if (FT_Get_Char_Index(face, code) == 0)
                    continue;
                if (FT_Load_Char(face, code, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT))
                    fail("a glyph cannot be rendered");
                const FT_GlyphSlot glyph = face->glyph;
                const FT_Bitmap *map = &glyph->bitmap;
                fprintf(table, "    {%u, %d, %d, %u, %u, %ld, %ld},\n", code, glyph->bitmap_left, glyph->bitmap_top,
                        map->width, map->rows, (glyph->advance.x + 32) / 64, at);
                for (unsigned y = 0; y < map->rows; y++) {
                    for (unsigned x = 0; x < map->width; x++)
                        fprintf(out, "%d,", map->buffer[(long)y * map->pitch + x]);
                    at += map->width;
                }
                fputc('\n', out);
            }
        fprintf(table, "};\n");
    }
    fclose(table);
    fprintf(out, "0};\n\n%s\nconst struct font fonts[TEXT_SIZES] = {\n", tables);
    for (int s = 0; s < N_SIZES; s++) {
        FT_Set_Pixel_Sizes(face, 0, (FT_UInt)sizes_px[s]);
        fprintf(out, "    {%ld, %ld, sizeof glyphs_%d / sizeof *glyphs_%d, glyphs_%d, coverage},\n",
                (face->size->metrics.height + 63) / 64, (face->size->metrics.ascender + 63) / 64, s, s, s);
    }
    fprintf(out, "};\n");
    if (fclose(out))
        fail("the output cannot be written");
    free(tables);
    FT_Done_Face(face);
    FT_Done_FreeType(library);
    return 0;
}
