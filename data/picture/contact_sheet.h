/* contact_sheet.h - contact sheets: many skulls on a page, one row each: three planes through the defect (where there
 * is a truth: where implant and truth differ most), a shaded view of where it is, and a few words. Pages follow each
 * other when there are many: FILE.png, or FILE_01.png, FILE_02.png
 * ...
 *
 *     struct contact_sheet sheet;
 *     if (contact_sheet_open(&sheet, "preview.png", "inject", n, false, error)) ...
 *     for each: contact_sheet_add(&sheet, &(struct contact_sheet_row){.grid = &grid, .skull = skull, .implant =
 * implant, .name = "case_00"}, error); contact_sheet_close(&sheet, error);                      // writes the last
 * page; also after a failure (error NULL: writes nothing) */
#ifndef CALVARIA_DATA_PICTURE_CONTACT_SHEET_H
#define CALVARIA_DATA_PICTURE_CONTACT_SHEET_H

#include "data/picture/render.h"

enum contact_sheet_mark {
    CONTACT_PLAIN,
    CONTACT_GOOD,
    CONTACT_ODD,
    CONTACT_BAD
}; /* the colour of the bar at the row's left */

struct contact_sheet_row {
    const struct grid *grid; /* NULL: no pictures */
    const uint8_t *skull;    /* complete or defective */
    const uint8_t *implant;  /* NULL: none */
    const uint8_t *truth;    /* the true implant, which the other is compared with; NULL: not known */
    const char *name, *text; /* text: lines, wrapped; may be NULL */
    enum contact_sheet_mark mark;
};

struct contact_sheet {
    const char *path, *title; /* the caller's */
    int64_t n, per_page, columns, done;
    bool compares; /* the caller's: rows have a truth, and the legend names its colours */
    struct image page;
};

/* n rows will be added at most. STATUS_USAGE where path does not end in .png, and where a page's file is there already,
 * unless overwrite. */
enum status contact_sheet_open(struct contact_sheet *ret, const char *path, const char *title, int64_t n,
                               bool overwrite, struct error *error);
enum status contact_sheet_add(struct contact_sheet *sheet, const struct contact_sheet_row *row, struct error *error);
enum status contact_sheet_close(struct contact_sheet *sheet, struct error *error);

#endif
