/* layout.h - which files make which cases: by the names in a folder, by patterns, or by a table.
 *
 *   flat          NAME_complete, NAME_implant, NAME_defective; several defects of one skull: NAME_DEFECT_implant,
 *   NAME_DEFECT_defective (DEFECT is d00, d01 ... as 'calvaria inject' writes them, or anything where NAME's skull is
 *   there)
 *   folders       complete_skull/NAME, defective_skull/[CLASS/]NAME, implant/[CLASS/]NAME (SkullFix, SkullBreak)
 *   subfolders    A/B/complete, A/B/implant: case A_B. Any other file of a subfolder is named as if it lay in the flat
 *   folder, behind the names of its folders where it does not begin with the last of them
 *   BIDS          sub-X[/ses-Y]/.../sub-X[_ses-Y]_desc-complete|defective|implant_mask; one group per subject
 *   healthy       any other name: a healthy skull
 *   defective     NAME_defective alone: a skull whose hole nobody has filled; shape models can learn from it
 *
 * Without a skull's own file it is defective + implant. Where one mask is there in two formats, NRRD is taken (it keeps
 * the affine in full precision). docs/dataset.md describes patterns and tables. */
#ifndef CALVARIA_DATA_DATASET_LAYOUT_H
#define CALVARIA_DATA_DATASET_LAYOUT_H

#include "base/config.h"

enum { LAYOUT_SPLIT_NONE = -1 };

struct layout_defect {
    const char *name;                /* "d00", or the class */
    const char *implant, *defective; /* paths; one of them may be NULL */
};

struct layout_case {
    const char *name, *complete; /* complete NULL: every defect has both files, or there is `defective` alone */
    const char *defective;       /* a defective skull of which no more is known; then there are no defects */
    int64_t n_defects;
    struct layout_defect *defects;
    const char *group; /* from a table or BIDS; NULL: none */
    int split;         /* enum dataset_split from a table, or LAYOUT_SPLIT_NONE */
};

struct layout {
    int64_t n_cases;
    struct layout_case *cases;       /* in byte order of names */
    struct config_strings unmatched; /* "FILE: why" */
};

struct layout_options {
    struct config_strings patterns; /* "[ROLE=]PATH with {case}, {defect} and *"; none: by the names above */
    const char *group_column;       /* of a table; NULL: "group" */
};

/* `path` is a folder, or a tab-separated table (.tsv). options NULL: the defaults. Everything lives in arena.
 * STATUS_FAILED when there is no case, listing what is there; STATUS_USAGE for a bad pattern or table. */
enum status layout_find(struct layout *ret, const char *path, const struct layout_options *options, struct arena *arena,
                        struct error *error);

#endif
