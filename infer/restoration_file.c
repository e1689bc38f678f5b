/* restoration_file.c - see restoration_file.h. Test: tests/infer/test_edit.c
 *
 * One walk over the structures serves both directions: it writes each block, or reads it and allocates what it points
 * to. Every block is preceded by its size, which must be the one expected. */
#include "infer/restoration_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "shape/restore.h"

static const char MAGIC[16] = "calvaria-part 3";

/* Whoever gives one of these a member puts it into the walk below and states the new size (of 64-bit systems): what is
 * forgotten would be nothing where a kept restoration is taken up again. Not walked: completed, cuts, raw (made anew or
 * of the run alone), shape->in_hole (of the restoring alone). */
#define WALKS(type, bytes) \
    _Static_assert(sizeof(void *) != 8 || sizeof(type) == (bytes), "walk the new member of " #type)
WALKS(struct restoration, 2584);
WALKS(struct shape_restoration, 520);
WALKS(struct surfaces, 248);
WALKS(struct hole, 64);
WALKS(struct radial_map, 40);

struct walk {
    FILE *file;
    bool writing, failed, short_of_memory;
    int64_t left;               /* bytes of the file that were not read yet: no array is larger */
    const struct volume *skull; /* reading: the implant takes none of its voxels */
};

static void walk_block(struct walk *walk, void *data, int64_t bytes)
{
    int64_t size = bytes;
    if (walk->failed)
        return;
    if (walk->writing) {
        walk->failed = fwrite(&size, sizeof size, 1, walk->file) != 1 ||
                       (bytes > 0 && fwrite(data, (size_t)bytes, 1, walk->file) != 1);
        return;
    }
    walk->failed = fread(&size, sizeof size, 1, walk->file) != 1 || size != bytes ||
                   (bytes > 0 && fread(data, (size_t)bytes, 1, walk->file) != 1);
    walk->left -= bytes + (int64_t)sizeof size;
}

/* n items at *data, which reading allocates; NULL stays NULL. */
static void walk_array(struct walk *walk, void **data, int64_t n, int64_t item)
{
    uint8_t there = *data != NULL;
    walk_block(walk, &there, sizeof there);
    if (!walk->writing)
        *data = NULL;
    if (walk->failed || !there)
        return;

    if (!walk->writing) {
        walk->failed = n < 0 || n > walk->left / item;
        if (walk->failed)
            return;
        *data = memory_alloc((size_t)n + 1, (size_t)item);
        walk->failed = walk->short_of_memory = !*data;
    }
    walk_block(walk, *data, n * item);
}

static void walk_map(struct walk *walk, struct radial_map *map)
{
    float *values = map->inner;
    int64_t n = map->n_rays;
    walk_block(walk, &n, sizeof n);
    walk_array(walk, (void **)&values, RADIAL_MAP_PLANES * n, sizeof *values);
    if (!walk->writing && values)
        *map = (struct radial_map){n, values, values + n, values + 2 * n, values + 3 * n};
}

static void walk_hole(struct walk *walk, struct hole *hole)
{
    struct hole read = *hole;
    walk_block(walk, &read.n_rays, sizeof read.n_rays);
    walk_block(walk, &read.n_parts, sizeof read.n_parts);
    walk_block(walk, &read.n_seen, sizeof read.n_seen);
    walk_block(walk, &read.n_unseen, sizeof read.n_unseen);
    walk_array(walk, (void **)&read.class, read.n_rays, sizeof *read.class);
    walk_array(walk, (void **)&read.part, read.n_rays, sizeof *read.part);
    walk_array(walk, (void **)&read.seen, read.n_seen, sizeof *read.seen);
    walk_array(walk, (void **)&read.unseen, read.n_unseen, sizeof *read.unseen);
    *hole = read;
}

static int64_t walk_box_voxels(const struct box *box)
{
    return box_size(*box, 0) * box_size(*box, 1) * box_size(*box, 2);
}

static void walk_shape(struct walk *walk, struct shape_restoration *shape)
{
    walk_block(walk, &shape->pose, sizeof shape->pose);
    walk_map(walk, &shape->surfaces.map);
    walk_map(walk, &shape->surfaces.filled);
    walk_map(walk, &shape->surfaces.sd);
    walk_hole(walk, &shape->surfaces.hole);
    walk_block(walk, &shape->surfaces.field, sizeof shape->surfaces.field);
    walk_block(walk, &shape->surfaces.n_retraced, sizeof shape->surfaces.n_retraced);
    walk_block(walk, &shape->box, sizeof shape->box);
    walk_array(walk, (void **)&shape->depth, walk_box_voxels(&shape->box), sizeof *shape->depth);
    walk_block(walk, &shape->hole_cm2, sizeof shape->hole_cm2);
    walk_block(walk, &shape->pose_s, sizeof shape->pose_s);
    walk_block(walk, &shape->surfaces_s, sizeof shape->surfaces_s);
    walk_block(walk, &shape->depth_s, sizeof shape->depth_s);
}

/* A volume of floats on a grid of its own; of no data nothing. */
static void walk_floats(struct walk *walk, struct volume *volume)
{
    int64_t n = volume->data ? grid_voxels(&volume->grid) : 0;
    walk_block(walk, &volume->grid, sizeof volume->grid);
    walk_block(walk, &n, sizeof n);
    if (walk->failed || n == 0)
        return;
    for (int a = 0; a < 3; a++)
        walk->failed = walk->failed || volume->grid.dim[a] < 1 || volume->grid.dim[a] > n;
    walk->failed = walk->failed || n != volume->grid.dim[0] * volume->grid.dim[1] * volume->grid.dim[2];
    volume->type = VOXEL_F32;
    walk_array(walk, &volume->data, n, sizeof(float));
}

/* All but the masks. */
static void walk_numbers(struct walk *walk, struct restoration *restoration)
{
    walk_block(walk, &restoration->stats, sizeof restoration->stats);
    walk_block(walk, &restoration->network_s, sizeof restoration->network_s);
    walk_block(walk, &restoration->postprocess_s, sizeof restoration->postprocess_s);
    walk_block(walk, &restoration->total_s, sizeof restoration->total_s);
    walk_block(walk, &restoration->peak_bytes, sizeof restoration->peak_bytes);
    walk_block(walk, &restoration->removed, sizeof restoration->removed);
    walk_block(walk, &restoration->changed_vox, sizeof restoration->changed_vox);

    /* From the network's values the implant's surface is made; from an ensemble's spread its uncertainty. */
    walk_block(walk, &restoration->threshold, sizeof restoration->threshold);
    walk_floats(walk, &restoration->prediction);
    walk_floats(walk, &restoration->spread);

    uint8_t has_shape = restoration->shape != NULL;
    walk_block(walk, &has_shape, sizeof has_shape);
    if (walk->failed || !has_shape)
        return;
    if (!walk->writing) {
        restoration->shape = memory_zalloc(1, sizeof *restoration->shape);
        walk->failed = walk->short_of_memory = !restoration->shape;
    }
    if (restoration->shape)
        walk_shape(walk, restoration->shape);
}

/* The implant's box of the volume. */
static enum status walk_implant(struct walk *walk, struct volume *implant, struct error *error)
{
    struct grid grid = implant->grid;
    struct crop crop = {0};
    struct box box = {{0}, {0}};

    if (walk->writing)
        box = box_of_mask(implant->data, grid.dim);
    walk_block(walk, grid.dim, sizeof grid.dim);
    walk_block(walk, &box, sizeof box);
    for (int a = 0; a < 3; a++)
        walk->failed = walk->failed || grid.dim[a] != implant->grid.dim[a] || box.lo[a] < 0 || box.lo[a] > box.hi[a] ||
                       box.hi[a] > grid.dim[a];
    if (walk->failed || box_empty(box))
        return STATUS_OK;

    enum status status = crop_take(&crop, implant, box, error);
    if (!status)
        walk_block(walk, crop.mask, crop_voxels(&crop));
    if (!status && !walk->failed && !walk->writing)
        crop_put(&crop, implant, walk->skull);
    crop_done(&crop);
    return status;
}

static enum status walk_all(struct walk *walk, struct restoration *restoration, struct error *error)
{
    char magic[sizeof MAGIC];
    memcpy(magic, MAGIC, sizeof magic);
    walk_block(walk, magic, sizeof magic);
    walk->failed = walk->failed || memcmp(magic, MAGIC, sizeof magic) != 0;
    if (!walk->failed)
        walk_numbers(walk, restoration);
    return walk->failed ? STATUS_OK : walk_implant(walk, &restoration->implant, error);
}

enum status restoration_write(const char *path, const struct restoration *restoration, struct error *error)
{
    struct restoration copy = *restoration; /* the walk changes nothing when it writes */
    struct walk walk = {.writing = true};
    char *part = NULL;

    if (file_begin(&part, path, error))
        return error->status;
    walk.file = fopen(part, "wb");
    walk.failed = !walk.file;
    enum status status = walk_all(&walk, &copy, error);
    if (walk.file && fclose(walk.file))
        walk.failed = true;
    if (!status && walk.failed)
        status = error_system(error, errno, "%s: cannot be written", path);
    if (!status)
        status = file_commit(&part, path, error);
    file_discard(&part);
    return status;
}

enum status restoration_read(struct restoration *ret, const char *path, const struct volume *skull, struct error *error)
{
    struct restoration result = {0};
    if (file_check_ordinary(path, error))
        return error->status;
    struct walk walk = {.file = fopen(path, "rb"), .skull = skull};
    if (!walk.file)
        return error_system(error, errno, "%s: cannot be read", path);
    fseeko(walk.file, 0, SEEK_END);
    walk.left = (int64_t)ftello(walk.file);
    rewind(walk.file);

    enum status status = volume_new(&result.implant, &skull->grid, VOXEL_U8, error);
    if (!status)
        status = volume_new(&result.completed, &skull->grid, VOXEL_U8, error);
    result.implant.storage = result.completed.storage = skull->storage;
    if (!status)
        status = walk_all(&walk, &result, error);
    fclose(walk.file);
    if (!status && walk.failed)
        status = walk.short_of_memory
                     ? error_memory(error, (size_t)walk.left, "a restoration")
                     : error_set(error, STATUS_FAILED,
                                 "%s: not a restoration of this skull by this version of the program (restore it anew)",
                                 path);

    if (status) {
        restoration_done(&result);
        return status;
    }
    restoration_complete(&result, skull);
    *ret = result;
    return STATUS_OK;
}
