/* formats.h - volumes from and to files. The formats are the rows of a table in formats.c; a reader is added there. */
#ifndef CALVARIA_DATA_VOLUME_FORMATS_H
#define CALVARIA_DATA_VOLUME_FORMATS_H

#include "data/volume/volume.h"

/* Reads by content (magic), not by name. Values come as u8 where all are integers 0..255, as i16 where all are integers
 * that fit, else f32 (scl_slope applied). Errors, STATUS_FAILED, before any allocation of a size a header merely
 * claims: missing, truncated, not 3D (trailing dims of 1 are fine), dims that overflow, zero or non-finite spacing,
 * singular affine, compressed data that ends early. */
enum status volume_read(struct volume *ret, const char *path, struct error *error);
/* Header only: data stays NULL, type is that of the file where it is one of ours, else VOXEL_F32. */
enum status volume_read_header(struct volume *ret, const char *path, struct error *error);
/* As volume_read, then refuses what is not a mask: values other than two (0 and one other), an empty one. Result u8 of
 * 0 and 1. */
enum status volume_read_mask(struct volume *ret, const char *path, struct error *error);
/* Writes in the format of the path's ending (.nii.gz .nii .nrrd .nhdr), in storage's axis order, atomically. */
enum status volume_write(const char *path, const struct volume *volume, struct error *error);

/* ".nii.gz" ... for a format; the format for a path's ending, or -1. */
const char *volume_suffix(enum volume_format format);
int volume_format_of(const char *path);
/* NAME of a case: base name without extension and without a trailing _defective, _complete, _ct. In arena. */
char *volume_case_name(struct arena *arena, const char *path);

#endif
