/* layout.h - which files of a folder make which cases, by name alone.
 *
 *   flat          NAME_complete, NAME_implant, NAME_defective; several defects of one skull: NAME_DEFECT_implant,
 * NAME_DEFECT_defective (DEFECT is d00, d01 ... as 'calvaria inject' writes them, or anything where NAME's skull is
 *   there)
 *   folders       complete_skull/NAME, defective_skull/[CLASS/]NAME, implant/[CLASS/]NAME (SkullFix, SkullBreak)
 *   healthy       any other name: a healthy skull
 *   defective     NAME_defective alone: a skull whose hole nobody has filled; shape models can learn from it
 * Without a skull's own file it is defective + implant. Where one mask is there in two formats, NRRD is taken (it keeps
 * the affine in full precision). */
#ifndef CALVARIA_DATA_DATASET_LAYOUT_H
#define CALVARIA_DATA_DATASET_LAYOUT_H

#include "base/config.h"

struct layout_defect {
    const char *name;                /* "d00", or the class */
    const char *implant, *defective; /* paths; one of them may be NULL */
};

struct layout_case {
    const char *name, *complete; /* complete NULL: every defect has both files, or there is `defective` alone */
    const char *defective;       /* a defective skull of which no more is known; then there are no defects */
    int64_t n_defects;
    struct layout_defect *defects;
};

struct layout {
    int64_t n_cases;
    struct layout_case *cases;       /* in byte order of names */
    struct config_strings unmatched; /* "FILE: why" */
};

/* Everything lives in arena. STATUS_FAILED when the folder holds no case, listing what is there. */
enum status layout_find(struct layout *ret, const char *folder, struct arena *arena, struct error *error);

#endif
