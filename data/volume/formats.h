/* formats.h - volumes from and to files. The formats are the rows of a table in formats.c; a reader is added there. */
#ifndef CALVARIA_DATA_VOLUME_FORMATS_H
#define CALVARIA_DATA_VOLUME_FORMATS_H

#include "base/config.h"
#include "data/volume/volume.h"

/* Reads by content (magic), not by name. Values come as u8 where all are integers 0..255, as i16 where all are integers
 * that fit, else f32 (scl_slope applied). Errors, STATUS_FAILED, before any allocation of a size a header merely
 * claims: missing, truncated, not 3D (trailing dims of 1 are fine), dims that overflow, zero or non-finite spacing,
 * singular affine, compressed data that ends early. */
enum status volume_read(struct volume *ret, const char *path, struct error *error);
/* Header only: data stays NULL, type is that of the file where it is one of ours, else VOXEL_F32. */
enum status volume_read_header(struct volume *ret, const char *path, struct error *error);
/* Which values of a file are bone, where there are more than two. */
struct mask_choice {
    const char *label; /* a number, or the name of a segment of a .seg.nrrd; NULL: not given */
    double threshold;  /* bone from this value up; 0: not given */
};
extern const struct config_table mask_table; /* keys label and threshold */

/* As volume_read, then a u8 mask of 0 and 1. Without a choice the file has two values, 0 and one other, or one value
 * and NaN. Refused, with what was found and the choice that would read it: an empty or full one, an inverted one,
 * several labels or segments, values in between, a CT. */
enum status volume_read_mask_by(struct volume *ret, const char *path, const struct mask_choice *choice,
                                struct error *error);
/* The same for a volume in memory; path starts the messages. */
enum status volume_to_mask(struct volume *volume, const char *path, const struct mask_choice *choice,
                           struct error *error);
/* Without a choice. */
enum status volume_read_mask(struct volume *ret, const char *path, struct error *error);
/* Writes in the format of the path's ending (.nii.gz .nii .nrrd .nhdr), in storage's axis order, atomically. */
enum status volume_write(const char *path, const struct volume *volume, struct error *error);

/* ".nii.gz" ... for a format; the format for a path's ending, or -1. */
const char *volume_suffix(enum volume_format format);
int volume_format_of(const char *path);
/* NAME of a case: base name (of a file, a zip or a folder) without extension and without a trailing _defective,
 * _complete, _ct. In arena. */
char *volume_case_name(struct arena *arena, const char *path);

#endif
