/* dataset.c - reading a packed dataset: its index is checked once at opening, masks are read by box. See dataset.h.
 * Test: tests/data/test_dataset.c, tests/data/test_dataset_bad.c. */
#include "data/dataset/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/hdf5.h"
#include "data/dataset/dataset_file.h"
#include "data/volume/formats.h"

const char *const dataset_split_names[] = {"train", "val", "test", NULL};

struct dataset {
    char *path;
    hid_t file;
    struct arena arena;
    int64_t n_cases, n_defective;
    struct case_entry *cases;
};

/* Not inlined: with constant small sizes the compiler warns about the header's dead branches. */
__attribute__((noinline)) static void hash_add(XXH64_state_t *state, const void *data, size_t bytes)
{
    XXH64_update(state, data, bytes);
}

uint64_t mask_hash(const uint8_t *mask, const int64_t dim[3])
{
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    hash_add(&state, dim, 3 * sizeof *dim);
    hash_add(&state, mask, (size_t)(dim[0] * dim[1] * dim[2]));
    return XXH64_digest(&state);
}

/* ---- one stored mask: is it ours? ---- */

/* What is wrong with the dataset as a mask, or NULL; then dim (x, y, z) holds its size. */
static const char *dataset_mask_flaw(hid_t mask, int64_t dim[3])
{
    const hid_t type = H5Dget_type(mask), space = H5Dget_space(mask), properties = H5Dget_create_plist(mask);
    const char *flaw = NULL;
    hsize_t size[3] = {0}, chunk[3] = {0};

    /* Size limits first: later sizes are computed from these numbers, and an attacker may have written them */
    if (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) != 1 || H5Tget_sign(type) != H5T_SGN_NONE)
        flaw = "its values are no 8-bit masks";
    else if (H5Sget_simple_extent_ndims(space) != 3)
        flaw = "it is not 3D";
    else if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, 3, chunk) != 3)
        flaw = "it is not stored in chunks";
    else if (chunk[0] > 256 || chunk[1] > 256 || chunk[2] > 256)
        flaw = "its chunks are too large";
    else if (H5Pget_nfilters(properties) > 4)
        flaw = "it is compressed in too many ways";
    else {
        H5Sget_simple_extent_dims(space, size, NULL);
        for (int a = 0; a < 3; a++) {
            if (size[a] < 1 || size[a] > DATASET_DIM_MAX)
                flaw = "its size is out of range";
            dim[2 - a] = flaw ? 0 : (int64_t)size[a];
        }
        if (!flaw && dim[0] * dim[1] * dim[2] > DATASET_VOXELS_MAX)
            flaw = "it has too many voxels";
    }

    H5Pclose(properties);
    H5Sclose(space);
    H5Tclose(type);
    return flaw;
}

static bool dataset_name_is_plain(const char *name)
{
    return name[0] && strcmp(name, ".") != 0 && !strpbrk(name, "/\n\t");
}

/* The i-th link of a group, in byte order of names; only hard links to plain names count. */
static enum status dataset_link_name(const char **ret, hid_t group, int64_t i, struct dataset *set, struct error *error)
{
    char name[1025];
    H5L_info_t info;
    const ssize_t length =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, name, sizeof name, H5P_DEFAULT);
    if (length <= 0 || length >= (ssize_t)sizeof name)
        return hdf5_error(error, set->path, "a case has no readable name");
    if (!dataset_name_is_plain(name) || H5Lget_info(group, name, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
        return error_set(error, STATUS_FAILED, "%s: '%s' is not a case: a link, or a name with odd characters",
                         set->path, name);
    *ret = arena_strdup(&set->arena, name);
    return *ret ? STATUS_OK : error_memory(error, (size_t)length, "a case's name");
}

static enum status dataset_link_count(int64_t *ret, hid_t group, struct dataset *set, struct error *error)
{
    H5G_info_t info;
    if (H5Gget_info(group, &info) < 0)
        return hdf5_error(error, set->path, "a group cannot be read");
    if (info.nlinks > 1000000)
        return error_set(error, STATUS_FAILED, "%s: a group claims %" PRIu64 " members", set->path,
                         (uint64_t)info.nlinks);
    *ret = (int64_t)info.nlinks;
    return STATUS_OK;
}

/* ---- opening ---- */

static enum status dataset_read_box_attribute(struct box *ret, hid_t mask, const int64_t dim[3], struct dataset *set,
                                              struct error *error)
{
    int64_t box[6];
    if (hdf5_get_numbers(box, 6, mask, "box", H5T_NATIVE_INT64, set->path, error))
        return error->status;
    for (int a = 0; a < 3; a++) {
        ret->lo[a] = box[a];
        ret->hi[a] = box[3 + a];
        if (box[a] < 0 || box[a] >= box[3 + a] || box[3 + a] > dim[a])
            return error_set(error, STATUS_FAILED, "%s: attribute 'box' leaves the volume", set->path);
    }
    return STATUS_OK;
}

static enum status dataset_read_grid_attributes(struct grid *grid, hid_t mask, struct dataset *set, struct error *error)
{
    if (hdf5_get_numbers(grid->axis, 9, mask, "axis", H5T_NATIVE_DOUBLE, set->path, error) ||
        hdf5_get_numbers(grid->origin, 3, mask, "origin", H5T_NATIVE_DOUBLE, set->path, error))
        return error->status;
    const double volume_ml = grid_voxel_ml(grid);
    bool ok = isfinite(volume_ml) && volume_ml > 0;
    for (int a = 0; a < 3; a++)
        ok = ok && isfinite(grid->origin[a]) && isfinite(grid_spacing_mm(grid, a));
    return ok ? STATUS_OK
              : error_set(error, STATUS_FAILED, "%s: attributes 'axis', 'origin': the affine is singular or not finite",
                          set->path);
}

static enum status dataset_read_storage_attributes(struct storage *storage, hid_t mask, struct dataset *set,
                                                   struct error *error)
{
    int64_t axis[3], flip[3], nifti[3];
    const char *format, *space, *file_type;
    if (hdf5_get_numbers(axis, 3, mask, "storage_axis", H5T_NATIVE_INT64, set->path, error) ||
        hdf5_get_numbers(flip, 3, mask, "storage_flip", H5T_NATIVE_INT64, set->path, error) ||
        hdf5_get_numbers(nifti, 3, mask, "nifti", H5T_NATIVE_INT64, set->path, error) ||
        hdf5_get_text(&format, mask, "format", set->path, &set->arena, error) ||
        hdf5_get_text(&space, mask, "space", set->path, &set->arena, error) ||
        hdf5_get_text(&file_type, mask, "file_type", set->path, &set->arena, error))
        return error->status;

    const int known = volume_format_of(format);
    int seen = 0;

    /* The three axes must be a permutation: each of the bits 1, 2 and 4 is set once */
    for (int a = 0; a < 3; a++) {
        seen |= axis[a] >= 0 && axis[a] < 3 ? 1 << axis[a] : 0;
        storage->axis[a] = (int)(axis[a] & 3);
        storage->flip[a] = flip[a] != 0;
    }
    if (seen != 7 || known < 0 || strlen(space) >= sizeof storage->space ||
        strlen(file_type) >= sizeof storage->file_type || nifti[0] < 0 || nifti[0] > 2 || nifti[1] < 0 ||
        nifti[1] > 32767 || nifti[2] < 0 || nifti[2] > 32767)
        return error_set(error, STATUS_FAILED, "%s: the attributes of the original file's layout make no sense",
                         set->path);

    storage->format = (enum volume_format)known;
    storage->nifti_version = (int)nifti[0];
    storage->xyzt_units = 2; /* mm */
    storage->qform_code = (int)nifti[1];
    storage->sform_code = (int)nifti[2];
    memcpy(storage->space, space, strlen(space) + 1);
    memcpy(storage->file_type, file_type, strlen(file_type) + 1);
    return STATUS_OK;
}

static enum status dataset_read_implant_entry(struct case_entry *entry, hid_t implants, int64_t j, struct dataset *set,
                                              struct error *error)
{
    int64_t dim[3];
    enum status status = STATUS_FAILED;
    struct dataset_case *item = &entry->item;
    if (dataset_link_name(&item->implant_names[j], implants, j, set, error))
        return error->status;
    const hid_t mask = hdf5_open_dataset(implants, item->implant_names[j]);
    if (mask < 0)
        return hdf5_error(error, set->path, "an implant cannot be opened");
    const char *flaw = dataset_mask_flaw(mask, dim);
    if (!flaw && memcmp(dim, item->grid.dim, sizeof dim) != 0)
        flaw = "its size is not the skull's";
    if (flaw)
        error_set(error, status, "%s: implant '%s': %s", set->path, item->implant_names[j], flaw);
    else if (!dataset_read_box_attribute(&item->implant_boxes[j], mask, dim, set, error) &&
             !hdf5_get_numbers(&entry->implant_hashes[j], 1, mask, "content_hash", H5T_NATIVE_UINT64, set->path, error))
        status = STATUS_OK;
    H5Dclose(mask);
    return status;
}

static enum status dataset_read_implant_entries(struct case_entry *entry, hid_t group, struct dataset *set,
                                                struct error *error)
{
    if (!hdf5_has(group, "implants"))
        return STATUS_OK;
    const hid_t implants = hdf5_open_group(group, "implants");
    if (implants < 0)
        return hdf5_error(error, set->path, "the group 'implants' cannot be opened");
    struct dataset_case *item = &entry->item;
    int64_t n = 0;
    enum status status = dataset_link_count(&n, implants, set, error);
    if (!status) {
        item->implant_names = arena_alloc(&set->arena, (size_t)n, sizeof *item->implant_names);
        item->implant_boxes = arena_alloc(&set->arena, (size_t)n, sizeof *item->implant_boxes);
        entry->implant_hashes = arena_alloc(&set->arena, (size_t)n, sizeof *entry->implant_hashes);
        if (n > 0 && (!item->implant_names || !item->implant_boxes || !entry->implant_hashes))
            status = error_memory(error, (size_t)n, "the list of implants");
    }

    for (int64_t j = 0; !status && j < n; j++, item->n_implants++)
        status = dataset_read_implant_entry(entry, implants, j, set, error);
    H5Gclose(implants);
    return status;
}

static enum status dataset_read_skull_entry(struct case_entry *entry, hid_t group, struct dataset *set,
                                            struct error *error)
{
    struct dataset_case *item = &entry->item;
    const hid_t mask = hdf5_open_dataset(group, DATASET_SKULL(item->defective));
    if (mask < 0)
        return hdf5_error(error, set->path,
                          item->defective ? "the defective skull cannot be opened"
                                          : "the skull 'complete' cannot be opened");
    enum status status = STATUS_FAILED;
    const char *split = "", *flaw = dataset_mask_flaw(mask, item->grid.dim);
    if (flaw)
        error_set(error, status, "%s: the skull 'complete': %s", set->path, flaw);
    else if (!dataset_read_grid_attributes(&item->grid, mask, set, error) &&
             !dataset_read_box_attribute(&item->box, mask, item->grid.dim, set, error) &&
             !dataset_read_storage_attributes(&entry->storage, mask, set, error) &&
             !hdf5_get_numbers(&item->content_hash, 1, mask, "content_hash", H5T_NATIVE_UINT64, set->path, error) &&
             !hdf5_get_text(&item->source, mask, "source", set->path, &set->arena, error) &&
             !hdf5_get_text(&split, mask, "split", set->path, &set->arena, error) &&
             (H5Aexists(mask, "group") <= 0 ||
              !hdf5_get_text(&item->group, mask, "group", set->path, &set->arena, error)))
        status = STATUS_OK;
    H5Dclose(mask);

    for (int s = 0; !status && s < SPLIT_N; s++)
        if (strcmp(split, dataset_split_names[s]) == 0) {
            item->split = (enum dataset_split)s;
            return STATUS_OK;
        }
    return status ? status
                  : error_set(error, STATUS_FAILED, "%s: split '%s' is none of train, val, test", set->path, split);
}

/* One case of /cases or /defective. */
static enum status dataset_read_case(struct case_entry *entry, hid_t cases, int64_t i, struct dataset *set,
                                     struct error *error)
{
    if (dataset_link_name(&entry->item.name, cases, i, set, error))
        return error->status;
    const hid_t group = hdf5_open_group(cases, entry->item.name);
    enum status status = group < 0 ? hdf5_error(error, set->path, "it cannot be opened") : STATUS_OK;
    if (!status)
        status = dataset_read_skull_entry(entry, group, set, error);
    if (!status && !entry->item.defective)
        status = dataset_read_implant_entries(entry, group, set, error);
    if (group >= 0)
        H5Gclose(group);
    return status ? error_while(error, "opening case '%s'", entry->item.name) : STATUS_OK;
}

/* Healthy skulls first, then the defective ones, if there are any (defective: negative otherwise). */
static enum status dataset_read_cases(struct dataset *set, hid_t cases, hid_t defective, struct error *error)
{
    int64_t n = 0, n_defective = 0;
    if (dataset_link_count(&n, cases, set, error) ||
        (defective >= 0 && dataset_link_count(&n_defective, defective, set, error)))
        return error->status;
    if (n + n_defective == 0)
        return error_set(error, STATUS_FAILED, "%s: the dataset holds no case", set->path);
    set->cases = arena_alloc(&set->arena, (size_t)(n + n_defective), sizeof *set->cases);
    if (!set->cases)
        return error_memory(error, (size_t)(n + n_defective) * sizeof *set->cases, "the list of cases");

    for (; set->n_cases < n; set->n_cases++)
        if (dataset_read_case(&set->cases[set->n_cases], cases, set->n_cases, set, error))
            return error->status;
    for (; set->n_defective < n_defective; set->n_defective++) {
        struct case_entry *entry = &set->cases[n + set->n_defective];
        entry->item.defective = true;
        if (dataset_read_case(entry, defective, set->n_defective, set, error))
            return error->status;
    }
    return STATUS_OK;
}

static enum status dataset_check_format(struct dataset *set, struct error *error)
{
    const char *format;
    int64_t version;
    if (H5Aexists(set->file, "format") <= 0)
        return error_set(error, STATUS_FAILED,
                         "%s: no dataset of calvaria (attribute 'format' is missing; make one with 'calvaria pack')",
                         set->path);
    if (hdf5_get_text(&format, set->file, "format", set->path, &set->arena, error))
        return error->status;
    if (strcmp(format, DATASET_FORMAT) != 0)
        return error_set(error, STATUS_FAILED, "%s: its format is '%s', expected '%s'", set->path, format,
                         DATASET_FORMAT);
    if (hdf5_get_numbers(&version, 1, set->file, "format_version", H5T_NATIVE_INT64, set->path, error))
        return error->status;
    if (version != DATASET_VERSION)
        return error_set(error, STATUS_FAILED,
                         "%s: format version %" PRId64 ", this program reads version %d (pack it again)", set->path,
                         version, DATASET_VERSION);
    return STATUS_OK;
}

static enum status dataset_open_file(struct dataset *set, struct error *error)
{
    set->file = hdf5_open_file(set->path);
    if (set->file < 0)
        return hdf5_error(error, set->path, "no readable HDF5 file");
    if (dataset_check_format(set, error))
        return error->status;
    const hid_t cases = hdf5_open_group(set->file, "cases");
    if (cases < 0)
        return hdf5_error(error, set->path, "the group 'cases' cannot be opened");
    const hid_t defective = hdf5_has(set->file, "defective") ? hdf5_open_group(set->file, "defective") : -1;
    const enum status status = dataset_read_cases(set, cases, defective, error);
    if (defective >= 0)
        H5Gclose(defective);
    H5Gclose(cases);
    return status;
}

bool dataset_is(const char *path)
{
    bool is = false;
    struct error unused = {0};
    struct arena arena = {0};
    const char *format = NULL;
    hdf5_lock();
    const hid_t file = hdf5_open_file(path);
    if (file >= 0) {
        is = !hdf5_get_text(&format, file, "format", path, &arena, &unused) && strcmp(format, DATASET_FORMAT) == 0;
        H5Fclose(file);
    }
    hdf5_unlock();
    arena_done(&arena);
    return is;
}

enum status dataset_open(struct dataset **ret, const char *path, struct error *error)
{
    if (!file_exists(path) || file_is_folder(path))
        return error_set(error, STATUS_FAILED, "%s: %s", path,
                         file_exists(path) ? "a folder, expected a dataset (make one of it with 'calvaria pack')"
                                           : "no such file");
    struct dataset *set = memory_zalloc(1, sizeof *set);
    if (!set || !(set->path = memory_strdup(path))) {
        memory_free(set);
        return error_memory(error, sizeof *set, "a dataset");
    }

    hdf5_lock();
    const enum status status = dataset_open_file(set, error);
    hdf5_unlock();
    if (status)
        dataset_close(set);
    else
        *ret = set;
    return status;
}

void dataset_close(struct dataset *set)
{
    if (!set)
        return;
    hdf5_lock();
    if (set->file >= 0)
        H5Fclose(set->file);
    hdf5_unlock();
    arena_done(&set->arena);
    memory_free(set->path);
    memory_free(set);
}

/* ---- queries ---- */

int64_t dataset_n_cases(const struct dataset *set)
{
    return set->n_cases;
}

int64_t dataset_n_defective(const struct dataset *set)
{
    return set->n_defective;
}

const struct dataset_case *dataset_case(const struct dataset *set, int64_t i)
{
    return &set->cases[i].item;
}

void dataset_set_split(struct dataset *set, int64_t i, enum dataset_split split)
{
    set->cases[i].item.split = split;
}

const struct case_entry *dataset_entry(const struct dataset *set, int64_t i)
{
    return &set->cases[i];
}

uint64_t dataset_hash(const struct dataset *set)
{
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    for (int64_t i = 0; i < set->n_cases + set->n_defective; i++) {
        const struct dataset_case *item = &set->cases[i].item;
        const int64_t split = item->split;
        hash_add(&state, item->name, strlen(item->name) + 1);
        hash_add(&state, &item->content_hash, sizeof item->content_hash);
        hash_add(&state, &split, sizeof split);
        hash_add(&state, item->grid.axis, sizeof item->grid.axis);
        hash_add(&state, item->grid.origin, sizeof item->grid.origin);
        for (int64_t j = 0; j < item->n_implants; j++)
            hash_add(&state, item->implant_names[j], strlen(item->implant_names[j]) + 1);
        hash_add(&state, set->cases[i].implant_hashes, (size_t)item->n_implants * sizeof(uint64_t));
    }
    return XXH64_digest(&state);
}

/* ---- reading ---- */

/* The part of `box` inside the volume, into out where it belongs. Inside hdf5_lock. */
static enum status dataset_read_part(uint8_t *out, struct dataset *set, const char *name, struct box box,
                                     struct box part, struct error *error)
{
    hsize_t size[3], at[3], count[3], from[3];
    for (int a = 0; a < 3; a++) { /* HDF5's order is z, y, x */
        size[2 - a] = (hsize_t)(box.hi[a] - box.lo[a]);
        at[2 - a] = (hsize_t)(part.lo[a] - box.lo[a]);
        count[2 - a] = (hsize_t)(part.hi[a] - part.lo[a]);
        from[2 - a] = (hsize_t)part.lo[a];
    }
    const hid_t mask = hdf5_open_dataset(set->file, name);
    if (mask < 0)
        return hdf5_error(error, set->path, name);
    const hid_t file_space = H5Dget_space(mask), space = H5Screate_simple(3, size, NULL);
    const bool ok = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, from, NULL, count, NULL) >= 0 &&
                    H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL) >= 0 &&
                    H5Dread(mask, H5T_NATIVE_UINT8, space, file_space, H5P_DEFAULT, out) >= 0;
    if (!ok)
        hdf5_error(error, set->path, name);
    H5Sclose(space);
    H5Sclose(file_space);
    H5Dclose(mask);
    return ok ? STATUS_OK : STATUS_FAILED;
}

enum status dataset_read_box(uint8_t *out, struct dataset *set, int64_t i, int64_t implant, struct box box,
                             struct error *error)
{
    const struct dataset_case *item = dataset_case(set, i);
    int64_t n = 1, n_part = 1;
    struct box part = box;

    /* Only the part inside the volume is in the file; the rest of the box is air */
    for (int a = 0; a < 3; a++) {
        part.lo[a] = box.lo[a] > 0 ? box.lo[a] : 0;
        part.hi[a] = box.hi[a] < item->grid.dim[a] ? box.hi[a] : item->grid.dim[a];
        n *= box.hi[a] - box.lo[a];
        n_part *= part.hi[a] > part.lo[a] ? part.hi[a] - part.lo[a] : 0;
    }
    if (n_part < n)
        memset(out, 0, (size_t)n);
    if (n_part == 0)
        return STATUS_OK;

    char *name = implant < 0 ? memory_printf("/%s/%s/%s", item->defective ? "defective" : "cases", item->name,
                                             DATASET_SKULL(item->defective))
                             : memory_printf("/cases/%s/implants/%s", item->name, item->implant_names[implant]);
    if (!name)
        return error_memory(error, strlen(item->name), "a case's path");
    hdf5_lock();
    const enum status status = dataset_read_part(out, set, name, box, part, error);
    hdf5_unlock();
    memory_free(name);
    if (status)
        return status;

    /* Training assumes 0 and 1: a corrupt chunk must not reach it */
    uint8_t all = 0;
    for (int64_t v = 0; v < n; v++)
        all |= out[v];
    return all <= 1 ? STATUS_OK
                    : error_set(error, STATUS_FAILED, "%s: case '%s': values other than 0 and 1: no mask (corrupt?)",
                                set->path, item->name);
}

static enum status dataset_read_whole(struct volume *ret, struct dataset *set, int64_t i, int64_t implant,
                                      struct error *error)
{
    const struct case_entry *entry = dataset_entry(set, i);
    const int64_t *dim = entry->item.grid.dim;
    if (volume_new(ret, &entry->item.grid, VOXEL_U8, error))
        return error->status;
    ret->storage = entry->storage;
    if (dataset_read_box(ret->data, set, i, implant, (struct box){.hi = {dim[0], dim[1], dim[2]}}, error)) {
        volume_done(ret);
        return error->status;
    }
    return STATUS_OK;
}

enum status dataset_read_skull(struct volume *ret, struct dataset *set, int64_t i, struct error *error)
{
    return dataset_read_whole(ret, set, i, -1, error);
}

enum status dataset_read_implant(struct volume *ret, struct dataset *set, int64_t i, int64_t j, struct error *error)
{
    return dataset_read_whole(ret, set, i, j, error);
}
