/* voxel_file.h - a file as its reader describes it, and the voxels between disk and memory. Private to
 * data/. */
#ifndef CALVARIA_DATA_VOLUME_VOXEL_FILE_H
#define CALVARIA_DATA_VOLUME_VOXEL_FILE_H

#include "data/volume/byte_stream.h"
#include "data/volume/volume.h"
#include "data/volume/voxel_store.h"

/* The files of one volume: one, or the slices of a series in any order. */
struct file_series {
    int64_t n;
    const char *const *paths;
};

/* A segment of a .seg.nrrd (3D Slicer). */
enum { SEGMENTS_MAX = 256 };
struct segment_entry {
    char name[64];
    int value, layer;
};

struct voxel_file {
    const char *path;    /* the header's, for messages */
    char *data_path;     /* detached data: memory_free with voxel_file_done; NULL: in `path` */
    int64_t data_offset; /* in the file: where the packed or the raw bytes begin */
    int64_t skip_bytes;  /* from there, unpacked, to the first voxel; -1: the voxels are the file's last bytes */
    enum packing packing;
    bool swap; /* not this machine's byte order */
    enum disk_type type;
    double slope, intercept;        /* value = stored * slope + intercept; 1 and 0: as stored */
    int n_layers, layer;            /* values stored per voxel, and which of them is read; 0 layers: one */
    struct segment_entry *segments; /* of a .seg.nrrd: memory_free by voxel_file_done */
    int n_segments;
    struct storage storage; /* format, grid (file order), codes; axis and flip are filled by voxel_file_check */
};

void voxel_file_done(struct voxel_file *file);
/* The gate before any allocation: dims, spacing, affine, and whether the file is large enough for what its header
 * claims. *ret_grid: canonical. */
enum status voxel_file_check(struct voxel_file *file, struct grid *ret_grid, struct error *error);
/* Reads all voxels into a new volume of the smallest type that holds them. file was checked. */
enum status voxel_file_read(struct volume *ret, const struct voxel_file *file, const struct grid *grid,
                            struct error *error);
/* Writes all voxels in storage's axis order, little-endian. */
enum status voxel_file_write(struct byte_stream *stream, const struct volume *volume, struct error *error);

/* The file of a detached header's voxels: in the header's folder or below it. STATUS_FAILED for any other place, a list
 * or a pattern. In file->data_path. */
enum status voxel_file_detach(struct voxel_file *file, const char *name, struct error *error);
/* In place of the values: 1 where a voxel has the value of a label. `label` names it in messages. */
enum status mask_of_label(struct volume *volume, double value, const char *label, const char *path,
                          struct error *error);

/* Opens by the first bytes of the first file. Header values are not yet checked. */
enum status formats_open(struct voxel_file *ret, const struct file_series *files, struct error *error);

/* The readers and writers, called by formats.c alone. Header values are checked later, by voxel_file_check. */
enum status nifti_open(struct voxel_file *ret, const char *path, bool gzip, struct error *error);
enum status nifti_write(const char *path, const struct volume *volume, bool gzip, struct error *error);
enum status nrrd_open(struct voxel_file *ret, const char *path, struct error *error);
enum status metaimage_open(struct voxel_file *ret, const char *path, struct error *error);
enum status nrrd_write(const char *path, const struct volume *volume, bool detached, struct error *error);

#endif
