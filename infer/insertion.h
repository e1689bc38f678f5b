/* insertion.h - can an implant be put in by a straight move?
 *
 *     struct insertion insertion;
 *     insertion_find(&insertion, &implant, &skull, &error);          // the best direction of each piece
 *     insertion_trim(&implant, &insertion);                           // cuts off what cannot pass
 *
 * A rigid part moves along a direction d into the hole. A voxel of it passes where the ray from it along -d, the way
 * out, meets no bone; the others are undercut. The direction with the least undercut is searched over a cone of 70
 * degrees round the way from the head's centre to the piece; where several are equal, their mean is taken. Bone counts
 * where it is trilinearly 0.8 or more, so that the steps of voxels along a wall do not. */
#ifndef CALVARIA_INFER_INSERTION_H
#define CALVARIA_INFER_INSERTION_H

#include "infer/crop.h"

enum { INSERTION_PIECES = 4 };

struct insertion_piece {
    double volume_ml;
    double direction[3];    /* of the move into the hole, unit, world (LPS) */
    double undercut_ml;     /* of the piece behind bone along it */
    double interference_mm; /* how far the undercut reaches behind bone at most: the greatest distance to what passes */
    double trimmed_ml;      /* by insertion_trim */
    double middle_mm[3];    /* of the piece, world */
    double extent_mm;       /* its largest radius from there */
};

struct insertion {
    int n; /* the largest pieces, of 0.5 ml or more */
    struct insertion_piece piece[INSERTION_PIECES];
    struct crop undercut; /* 1: a voxel of the implant that does not pass */
};

/* implant, skull: u8 masks on one grid. An empty implant has no pieces. */
enum status insertion_find(struct insertion *ret, const struct volume *implant, const struct volume *skull,
                           struct error *error);
/* Removes the undercut from the implant; every piece then passes along its direction. */
void insertion_trim(struct volume *implant, struct insertion *insertion);
/* Bytes that insertion_find takes at most for an implant on this grid. */
int64_t insertion_bytes(const struct volume *implant);
void insertion_done(struct insertion *insertion);
/* A picture: the implant with its undercut and an arrow along each direction, in front of the skull. */
enum status insertion_picture(const char *path, const struct insertion *insertion, const struct volume *implant,
                              const struct volume *skull, const char *title, struct error *error);

#endif
