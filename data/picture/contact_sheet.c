/* contact_sheet.c - pages of small pictures. Test: tests/data/test_preview.c. */
#include "data/picture/contact_sheet.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/picture/font.h"

enum {
    TILE = 190,
    GAP = 6,
    BAR = 8,
    WORDS = 232,
    HEAD = 40,
    ROWS = 6,
    ROW_H = TILE + GAP,
    ROW_W = BAR + WORDS + 4 * (TILE + GAP) + 2 * GAP
};

static const uint8_t ground[3] = COLOUR_PAPER, tile_ground[3] = COLOUR_SLICE, ink[3] = COLOUR_INK,
                     faint[3] = COLOUR_FAINT, bone_rgb[3] = COLOUR_BONE, implant_rgb[3] = COLOUR_IMPLANT,
                     correct_rgb[3] = COLOUR_CORRECT, missed_rgb[3] = COLOUR_MISSED, extra_rgb[3] = COLOUR_EXTRA;
static const uint8_t mark_rgb[][3] = {[CONTACT_PLAIN] = COLOUR_FAINT,
                                      [CONTACT_GOOD] = COLOUR_GOOD,
                                      [CONTACT_ODD] = COLOUR_NOTE,
                                      [CONTACT_BAD] = COLOUR_BAD};

static int64_t contact_sheet_pages(const struct contact_sheet *sheet)
{
    return (sheet->n + sheet->per_page - 1) / sheet->per_page;
}

/* The file of a page, from 1; memory_free. NULL: no memory. */
static char *contact_sheet_page_path(const struct contact_sheet *sheet, int64_t page)
{
    return contact_sheet_pages(sheet) <= 1
               ? memory_strdup(sheet->path)
               : memory_printf("%.*s_%02" PRId64 ".png", (int)(strlen(sheet->path) - strlen(".png")), sheet->path,
                               page);
}

enum status contact_sheet_open(struct contact_sheet *ret, const char *path, const char *title, int64_t n,
                               bool overwrite, struct error *error)
{
    if (!file_has_suffix(path, ".png"))
        return error_set(error, STATUS_USAGE, "%s: a contact sheet is a PNG (name it FILE.png)", path);
    struct contact_sheet sheet = {.path = path, .title = title, .n = n, .columns = n > ROWS ? 2 : 1};
    sheet.per_page = sheet.columns * ROWS;

    for (int64_t page = 1; page == 1 || page <= contact_sheet_pages(&sheet); page++) {
        char *file = contact_sheet_page_path(&sheet, page);
        enum status status =
            file ? file_check_free(file, overwrite, error) : error_memory(error, strlen(path), "a path");
        memory_free(file);
        if (status)
            return status;
    }
    *ret = sheet;
    return STATUS_OK;
}

static void contact_sheet_swatch(struct image *page, int64_t x, const char *name, const uint8_t rgb[3])
{
    image_rectangle(page, x, 10, 20, 20, rgb);
    image_text(page, x + 26, 11, name, TEXT_NORMAL, ink);
}

static enum status contact_sheet_begin_page(struct contact_sheet *sheet, struct error *error)
{
    const int64_t left = sheet->n - sheet->done,
                  rows = left < sheet->per_page ? (left + sheet->columns - 1) / sheet->columns : ROWS;
    char text[256];
    image_done(&sheet->page); /* of a first row that failed */
    if (image_new(&sheet->page, sheet->columns * ROW_W + GAP, HEAD + rows * (ROW_H + GAP) + GAP, error))
        return error->status;
    image_fill(&sheet->page, ground);
    snprintf(text, sizeof text, "%.48s", sheet->title);
    image_text(&sheet->page, GAP + BAR, 7, text, TEXT_LARGE, ink);
    const int64_t right = sheet->page.w - 330;
    if (sheet->compares) {
        contact_sheet_swatch(&sheet->page, right - 260, "bone", bone_rgb);
        contact_sheet_swatch(&sheet->page, right - 164, "correct", correct_rgb);
        contact_sheet_swatch(&sheet->page, right - 62, "too much", extra_rgb);
        contact_sheet_swatch(&sheet->page, right + 62, "missed", missed_rgb);
    } else {
        contact_sheet_swatch(&sheet->page, right, "bone", bone_rgb);
        contact_sheet_swatch(&sheet->page, right + 96, "implant", implant_rgb);
    }
    snprintf(text, sizeof text, "page %" PRId64 " of %" PRId64, sheet->done / sheet->per_page + 1,
             contact_sheet_pages(sheet));
    image_text(&sheet->page, right + 208, 11, text, TEXT_NORMAL, faint);
    return STATUS_OK;
}

static enum status contact_sheet_write_page(struct contact_sheet *sheet, struct error *error)
{
    const int64_t page = (sheet->done - 1) / sheet->per_page + 1;
    char *path = contact_sheet_page_path(sheet, page);
    enum status status =
        path ? image_write_png(path, &sheet->page, error) : error_memory(error, strlen(sheet->path), "a path");
    memory_free(path);
    image_done(&sheet->page);
    return status;
}

/* ---- a row ---- */

/* Bytes of the text's next line: as many words as fit, or as many characters where one word does not. */
static size_t contact_sheet_line_length(const char *text, enum text_size size)
{
    int64_t width = 0;
    size_t blank = 0;
    const char *c = text;

    while (*c && *c != '\n') {
        const char *next = c;
        width += font_next(&fonts[size], &next)->advance;
        if (width > WORDS - GAP)
            return blank > 0 ? blank : (size_t)(c - text);
        if (*c == ' ')
            blank = (size_t)(c - text);
        c = next;
    }

    return (size_t)(c - text);
}

static int64_t contact_sheet_words_height(const char *text, enum text_size size)
{
    int64_t n = 0;
    for (; *text; n++) {
        text += contact_sheet_line_length(text, size);
        text += *text == ' ' || *text == '\n';
    }
    return n * image_text_line(size);
}

/* Returns y below the last line; what does not fit is left out. */
static int64_t contact_sheet_words(struct image *page, int64_t x, int64_t y, int64_t y_end, const char *text,
                                   enum text_size size, const uint8_t rgb[3])
{
    while (*text && y + image_text_line(size) <= y_end) {
        const size_t n = contact_sheet_line_length(text, size);
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        image_text(page, x, y, line, size, rgb);
        y += image_text_line(size);
        text += n;
        text += *text == ' ' || *text == '\n';
    }
    return y;
}

/* A picture, TILE pixels at most on a side, in the middle of a tile of its ground's colour. Takes the picture. */
static void contact_sheet_tile(struct image *page, int64_t x, int64_t y, struct image *picture, const uint8_t rgb[3])
{
    image_rectangle(page, x, y, TILE, TILE, rgb);
    image_paste(page, picture, x + (TILE - picture->w) / 2, y + (TILE - picture->h) / 2);
    image_done(picture);
}

/* Voxels of a slice in which the masks differ; b NULL: of the mask a. */
static int64_t contact_sheet_slice_count(const uint8_t *a, const uint8_t *b, const int64_t dim[3], struct box box,
                                         int axis, int64_t index)
{
    int64_t n = 0;
    box.lo[axis] = index;
    box.hi[axis] = index + 1;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++)
            for (int64_t x = box.lo[0]; x < box.hi[0]; x++) {
                const int64_t at = (z * dim[1] + y) * dim[0] + x;
                n += (a[at] != 0) != (b && b[at]);
            }
    return n;
}

/* The slice of the box with the largest count, its middle one where all are empty. */
static int64_t contact_sheet_fullest_slice(const uint8_t *a, const uint8_t *b, const int64_t dim[3], struct box box,
                                           int axis, int64_t *ret_count)
{
    int64_t best = (box.lo[axis] + box.hi[axis]) / 2;
    *ret_count = 0;
    for (int64_t i = box.lo[axis]; i < box.hi[axis]; i++) {
        const int64_t n = contact_sheet_slice_count(a, b, dim, box, axis, i);
        if (n > *ret_count) {
            *ret_count = n;
            best = i;
        }
    }
    return best;
}

/* The middle slice of the mask's box, or the fullest where that one is nearly empty (a defect on both sides). */
static int64_t contact_sheet_telling_slice(const uint8_t *mask, const int64_t dim[3], struct box box, int axis)
{
    const int64_t middle = (box.lo[axis] + box.hi[axis]) / 2;
    int64_t most;
    const int64_t fullest = contact_sheet_fullest_slice(mask, NULL, dim, box, axis, &most);
    return contact_sheet_slice_count(mask, NULL, dim, box, axis, middle) * 5 < most ? fullest : middle;
}

/* The slice on which two masks differ most. */
static int64_t contact_sheet_differing_slice(const uint8_t *a, const uint8_t *b, const int64_t dim[3], struct box box,
                                             int axis)
{
    int64_t ignored;
    return contact_sheet_fullest_slice(a, b, dim, box, axis, &ignored);
}

static struct box contact_sheet_cube(struct box box, const struct grid *grid)
{
    double longest = 0;
    for (int a = 0; a < 3; a++) {
        const double mm = (double)(box.hi[a] - box.lo[a]) * grid_spacing_mm(grid, a);
        longest = mm > longest ? mm : longest;
    }
    for (int a = 0; a < 3; a++) { /* all three planes at one scale */
        const int64_t more = (int64_t)(longest / grid_spacing_mm(grid, a)) - (box.hi[a] - box.lo[a]);
        const int64_t lo = box.lo[a] - more / 2, hi = box.hi[a] + more - more / 2;
        box.lo[a] = lo < 0 ? 0 : lo;
        box.hi[a] = hi > grid->dim[a] ? grid->dim[a] : hi;
    }
    return box;
}

/* What a row's pictures show. Slices show the last layer of a voxel, views the first. */
struct contact_sheet_scene {
    struct render_layer layer[4]; /* bone first */
    int n_layers;
    uint8_t *correct;         /* memory_free: implant and truth; NULL without a truth */
    struct box bone, missing; /* missing: implant or truth; may be empty */
};

static enum status contact_sheet_scene_make(struct contact_sheet_scene *scene, const struct contact_sheet_row *row,
                                            struct error *error)
{
    const struct grid *grid = row->grid;
    const int64_t n = grid_voxels(grid);
    scene->bone = box_of_mask(row->skull, grid->dim);
    scene->missing = row->implant ? box_of_mask(row->implant, grid->dim) : (struct box){0};
    scene->layer[scene->n_layers++] = (struct render_layer){.mask = row->skull, .rgb = COLOUR_BONE};
    if (!row->implant)
        return STATUS_OK;
    if (!row->truth) {
        scene->layer[scene->n_layers++] = (struct render_layer){.mask = row->implant, .rgb = COLOUR_IMPLANT};
        return STATUS_OK;
    }

    scene->correct = memory_alloc((size_t)n, 1);
    if (!scene->correct)
        return error_memory(error, (size_t)n, "a comparison with the truth");
    for (int64_t i = 0; i < n; i++)
        scene->correct[i] = row->implant[i] && row->truth[i];
    scene->missing = box_join(scene->missing, box_of_mask(row->truth, grid->dim));
    scene->layer[scene->n_layers++] = (struct render_layer){.mask = row->truth, .rgb = COLOUR_MISSED};
    scene->layer[scene->n_layers++] = (struct render_layer){.mask = row->implant, .rgb = COLOUR_EXTRA};
    scene->layer[scene->n_layers++] = (struct render_layer){.mask = scene->correct, .rgb = COLOUR_CORRECT};
    return STATUS_OK;
}

static enum status contact_sheet_draw(struct image *page, int64_t x, int64_t y, const struct contact_sheet_row *row,
                                      const struct contact_sheet_scene *scene, struct error *error)
{
    const struct grid *grid = row->grid;
    const struct box *missing = &scene->missing, *focus = box_empty(*missing) ? &scene->bone : missing;
    const struct box view = contact_sheet_cube(box_grow(scene->bone, 4, grid->dim), grid);
    double offset_mm[3];
    struct image picture;

    /* Three slices through the middle of the implant, where it differs most, or of the bone where nothing is missing */
    for (int axis = 0; axis < 3; axis++) {
        const double middle = 0.5 * (double)(focus->lo[axis] + focus->hi[axis]);
        const int64_t index = box_empty(*missing) ? (int64_t)middle
                              : scene->correct
                                  ? contact_sheet_differing_slice(row->implant, row->truth, grid->dim, *missing, axis)
                                  : contact_sheet_telling_slice(row->implant, grid->dim, *missing, axis);
        offset_mm[axis] =
            (middle - 0.5 * (double)(scene->bone.lo[axis] + scene->bone.hi[axis])) * grid_spacing_mm(grid, axis);
        if (render_slice_box(&picture, grid, scene->layer, scene->n_layers, (struct render_cut){axis, index, view},
                             TILE, error))
            return error->status;
        contact_sheet_tile(page, x + axis * (TILE + GAP), y, &picture, tile_ground);
    }

    struct render_layer solid[4];
    for (int i = 0; i < scene->n_layers; i++)
        solid[i] = scene->layer[scene->n_layers - 1 - i];
    if (render_shaded(&picture, grid, solid, scene->n_layers, render_view_at(offset_mm), TILE, error))
        return error->status;
    contact_sheet_tile(page, x + 3 * (TILE + GAP), y, &picture, ground);
    return STATUS_OK;
}

static enum status contact_sheet_pictures(struct image *page, int64_t x, int64_t y, const struct contact_sheet_row *row,
                                          struct error *error)
{
    struct contact_sheet_scene scene = {0};
    enum status status = contact_sheet_scene_make(&scene, row, error);
    if (!status && !box_empty(scene.bone))
        status = contact_sheet_draw(page, x, y, row, &scene, error);
    memory_free(scene.correct);
    return status;
}

enum status contact_sheet_add(struct contact_sheet *sheet, const struct contact_sheet_row *row, struct error *error)
{
    const int64_t place = sheet->done % sheet->per_page;
    if (place == 0 && contact_sheet_begin_page(sheet, error))
        return error->status;
    const int64_t x = GAP + place % sheet->columns * ROW_W, y = HEAD + place / sheet->columns * (ROW_H + GAP);
    image_rectangle(&sheet->page, x, y, ROW_W - GAP, TILE, ground); /* of a row that failed half-way */
    image_rectangle(&sheet->page, x, y, BAR, TILE, mark_rgb[row->mark]);
    int64_t below = contact_sheet_words(&sheet->page, x + BAR + GAP, y + 2, y + TILE, row->name, TEXT_NORMAL, ink);
    const enum text_size size = row->text && below + 6 + contact_sheet_words_height(row->text, TEXT_NORMAL) <= y + TILE
                                    ? TEXT_NORMAL
                                    : TEXT_SMALL;
    if (row->text)
        contact_sheet_words(&sheet->page, x + BAR + GAP, below + 6, y + TILE, row->text, size,
                            row->mark == CONTACT_BAD ? mark_rgb[CONTACT_BAD] : ink);
    if (row->grid && contact_sheet_pictures(&sheet->page, x + BAR + GAP + WORDS, y, row, error))
        return error->status;
    sheet->done++;
    return sheet->done % sheet->per_page == 0 || sheet->done == sheet->n ? contact_sheet_write_page(sheet, error)
                                                                         : STATUS_OK;
}

enum status contact_sheet_close(struct contact_sheet *sheet, struct error *error)
{
    const enum status status =
        error && sheet->page.rgb && sheet->done > 0 ? contact_sheet_write_page(sheet, error) : STATUS_OK;
    image_done(&sheet->page);
    return status;
}
