/* voxel_store.h - voxels between a file's or an array's order and a volume's, in chunks: the smallest type that holds
 * all, axis order. Private to data/. */
#ifndef CALVARIA_DATA_VOLUME_VOXEL_STORE_H
#define CALVARIA_DATA_VOLUME_VOXEL_STORE_H

#include "data/volume/volume.h"

enum { VOXEL_STORE_CHUNK = 1 << 15 }; /* voxels: a chunk of doubles stays in the cache */

/* Numbers as they are stored outside. */
enum disk_type {
    DISK_I8,
    DISK_U8,
    DISK_I16,
    DISK_U16,
    DISK_I32,
    DISK_U32,
    DISK_I64,
    DISK_U64,
    DISK_F32,
    DISK_F64,
    DISK_TYPES
};
struct disk_type_info {
    const char *name; /* NRRD's and numpy's: "int32" */
    size_t bytes;
};
extern const struct disk_type_info disk_types[DISK_TYPES];
enum disk_type disk_type_of(enum voxel_type type);

/* Walks voxels in the outer order; index[0] counts those done of the current row. */
struct voxel_walk {
    int64_t dim[3], step[3], index[3], start;
};
struct voxel_walk voxel_walk_start(const struct storage *storage, const struct grid *grid);
/* The next at most n voxels that lie in one row: *ret_at is where the first stands in memory. */
int64_t voxel_walk_next(struct voxel_walk *walk, int64_t n, int64_t *ret_at);

/* What comes in at a time: at most VOXEL_STORE_CHUNK numbers, aligned for any of the types. */
struct voxel_chunk {
    const void *raw;
    double *values; /* room for n */
    int64_t n;
    enum disk_type type;
    double slope, intercept; /* value = stored * slope + intercept */
    bool first;              /* nothing was stored before */
};
/* To their places in a volume that began as zeros of VOXEL_U8; it is widened where the values need it. */
enum status voxel_store_chunk(struct volume *volume, struct voxel_walk *walk, const struct voxel_chunk *chunk,
                              struct error *error);
/* n voxels from data[at], data[at + step] ... to out, side by side. */
void voxel_store_gather(void *out, const struct volume *volume, int64_t at, int64_t step, int64_t n);

#endif
