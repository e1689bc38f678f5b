/* plausible.h - is a mask the bone of a human head? Shared by segment, infer and check. */
#ifndef CALVARIA_DATA_SEGMENT_PLAUSIBLE_H
#define CALVARIA_DATA_SEGMENT_PLAUSIBLE_H

#include <stdbool.h>

#include "data/mask/morphology.h"
#include "data/volume/volume.h"

/* Warnings in plain words, collected. What does not fit is left out. */
enum { WARNINGS_MAX = 16, WARNING_BYTES = 320 };
struct warnings {
    int n;
    char text[WARNINGS_MAX][WARNING_BYTES];
};
void warnings_add(struct warnings *warnings, const char *format, ...) ERROR_PRINTF(2, 3);

/* ---- pieces of bone ---- */

enum { PIECES_MAX = 64 };
struct piece {
    int32_t label; /* in the map of labels */
    int64_t n;     /* voxels */
    double ml;
    bool near; /* some of it lies within PIECE_REACH_MM of the main piece, below its top and inside its outline */
    struct box box;
};

/* 6-connected pieces; of[0] is the largest, the others by falling size, specks of less than PIECE_SPECK_ML left out. */
struct pieces {
    int64_t n_all;
    double all_ml;
    int n;
    struct piece of[PIECES_MAX];
};
extern const double piece_reach_mm, piece_speck_ml;

/* labels: one int32 per voxel, filled with 1 to n_all by scan order. */
enum status pieces_find(struct pieces *ret, int32_t *labels, const uint8_t *mask, const struct grid *grid,
                        struct error *error);

/* ---- checks ---- */

extern const double plausible_bone_min_ml, plausible_bone_max_ml;
/* Share of 2000 rays from the middle of `box`, up from 25 degrees above the horizon, that meet no bone. */
double plausible_vault_open_frac(const struct volume *skull, struct box box);
/* Adds what is odd about the bone: its volume, its measures, its vault, its pieces. `removed`: the other pieces are
 * gone from the mask already. */
void plausible_check(struct warnings *warnings, const struct volume *skull, const struct pieces *pieces, bool removed);
/* Contradictions that the header itself has: see volume_doubts. */
void plausible_check_header(struct warnings *warnings, const struct volume *volume);

#endif
