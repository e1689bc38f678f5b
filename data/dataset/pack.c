/* pack.c - folders of volumes to one HDF5 dataset. Test: tests/data/test_dataset.c. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/dataset_file.h"
#include "data/dataset/pack.h"
#include "data/volume/resample.h"
#include "data/dataset/split.h"
#include "data/volume/formats.h"

/* Two files of one skull overlay each other when no voxel is further off than this. NIfTI keeps its affine in float32.
 */
static const double GRID_TOLERANCE_MM = 0.02;

static enum status pack_read_on_grid(struct volume *ret, const char *path, const struct grid *grid, struct error *error)
{
    if (volume_read_mask(ret, path, error))
        return error->status;
    if (grid_same(&ret->grid, grid, GRID_TOLERANCE_MM))
        return STATUS_OK;
    const int64_t *dim = ret->grid.dim;
    error_set(error, STATUS_FAILED,
              "%s: its grid (%" PRId64 "x%" PRId64 "x%" PRId64 ", or its affine) is not its skull's", path, dim[0],
              dim[1], dim[2]);
    volume_done(ret);
    return STATUS_FAILED;
}

/* complete = defective + implant of the first defect. */
static enum status pack_skull_from_defect(struct volume *ret, const struct layout_defect *defect, struct error *error)
{
    struct volume implant;
    if (volume_read_mask(ret, defect->defective, error))
        return error->status;
    if (pack_read_on_grid(&implant, defect->implant, &ret->grid, error)) {
        volume_done(ret);
        return error->status;
    }
    const int64_t n = grid_voxels(&ret->grid);
    uint8_t *bone = ret->data;
    const uint8_t *missing = implant.data;
    for (int64_t v = 0; v < n; v++)
        bone[v] |= missing[v];
    volume_done(&implant);
    return STATUS_OK;
}

enum status pack_read_skull(struct volume *ret, const struct layout_case *from, struct error *error)
{
    if (from->defective)
        return volume_read_mask(ret, from->defective, error);
    return from->complete ? volume_read_mask(ret, from->complete, error)
                          : pack_skull_from_defect(ret, &from->defects[0], error);
}

/* implant = skull - defective where no implant file is there; where both are, defective + implant must be the skull,
 * disjoint. */
static enum status pack_defective_check(uint8_t *implant, bool given, const struct volume *skull, const char *path,
                                        struct error *error)
{
    struct volume defective;
    if (pack_read_on_grid(&defective, path, &skull->grid, error))
        return error->status;
    const uint8_t *bone = skull->data, *left = defective.data;
    int64_t outside = 0, differs = 0, missing = 0;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++) {
        const uint8_t gone = bone[v] && !left[v];
        outside += left[v] && !bone[v];
        differs += given && gone != implant[v];
        if (!given)
            implant[v] = gone;
        missing += gone;
    }
    volume_done(&defective);
    if (outside > 0)
        return error_set(error, STATUS_FAILED,
                         "%s: %" PRId64 " voxels of the defective skull lie outside the complete skull", path, outside);
    if (differs > 0)
        return error_set(error, STATUS_FAILED,
                         "%s: defective skull and implant do not make the skull: %" PRId64 " voxels differ", path,
                         differs);
    if (missing == 0)
        return error_set(error, STATUS_FAILED, "%s: no bone is missing in the defective skull", path);
    return STATUS_OK;
}

enum status pack_read_implant(struct volume *ret, const struct layout_defect *from, const struct volume *skull,
                              struct error *error)
{
    if (from->implant ? pack_read_on_grid(ret, from->implant, &skull->grid, error)
                      : volume_new(ret, &skull->grid, VOXEL_U8, error))
        return error->status;
    int64_t outside = 0;
    const uint8_t *bone = skull->data, *implant = ret->data;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        outside += implant[v] && !bone[v];
    if (outside > 0)
        error_set(error, STATUS_FAILED, "%s: %" PRId64 " voxels of the implant lie outside the skull", from->implant,
                  outside);
    else if (!from->defective || !pack_defective_check(ret->data, from->implant != NULL, skull, from->defective, error))
        return STATUS_OK;
    volume_done(ret);
    return STATUS_FAILED;
}

/* What is missing stays part of the skull. */
static enum status pack_implant_resample(struct volume *implant, const struct volume *skull, struct error *error)
{
    struct volume coarse;
    if (resample_mask(&coarse, implant, &skull->grid, error))
        return error->status;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        ((uint8_t *)coarse.data)[v] &= ((const uint8_t *)skull->data)[v];
    volume_done(implant);
    *implant = coarse;
    return STATUS_OK;
}

/* The skull as it is stored; *ret_native (data NULL where it is the same) as it came. */
static enum status pack_skull(struct volume *ret, struct volume *ret_native, const struct layout_case *from,
                              double spacing_mm, struct error *error)
{
    const double spacing[3] = {spacing_mm, spacing_mm, spacing_mm};
    *ret_native = (struct volume){0};
    if (spacing_mm <= 0)
        return pack_read_skull(ret, from, error);
    enum status status = pack_read_skull(ret_native, from, error);
    if (status)
        return status;
    const struct grid grid = resample_grid(&ret_native->grid, spacing);
    status = resample_mask(ret, ret_native, &grid, error);
    if (status)
        volume_done(ret_native);
    return status;
}

static struct set_case pack_set_case(const struct layout_case *from)
{
    const char *source = from->complete    ? from->complete
                         : from->defective ? from->defective
                                           : from->defects[0].defective;
    return (struct set_case){.name = from->name, .source = file_base(source), .defective = from->defective != NULL};
}

static enum status pack_case(struct set_writer *writer, const struct layout_case *from, double spacing_mm,
                             uint64_t *ret_hash, struct error *error)
{
    struct volume skull, native, implant;
    hid_t group;
    if (pack_skull(&skull, &native, from, spacing_mm, error))
        return error->status;

    *ret_hash = mask_hash(skull.data, skull.grid.dim);
    const struct set_case item = pack_set_case(from);
    enum status status = set_write_case(&group, writer, &item, &skull, *ret_hash, error);
    const bool begun = status == STATUS_OK;

    /* Defects are computed on the native grid, where implant = complete - defective, and resampled afterwards */
    for (int64_t j = 0; !status && j < from->n_defects; j++) {
        const struct layout_defect *defect = &from->defects[j];
        if ((status = pack_read_implant(&implant, defect, native.data ? &native : &skull, error)))
            break;
        if (native.data)
            status = pack_implant_resample(&implant, &skull, error);
        if (!status)
            status = set_write_implant(writer, group, defect->name,
                                       file_base(defect->implant ? defect->implant : defect->defective), implant.data,
                                       skull.grid.dim, error);
        volume_done(&implant);
    }

    volume_done(&skull);
    volume_done(&native);
    if (begun)
        set_end_case(group);
    return status;
}

static enum status pack_cases(struct set_writer *writer, const struct layout *layout, const struct split_plan *plan,
                              const struct pack_config *config, struct arena *arena, struct error *error)
{
    const int64_t n = layout->n_cases;
    uint64_t *hashes = arena_alloc(arena, (size_t)n, sizeof *hashes);
    enum dataset_split *splits = arena_alloc(arena, (size_t)n, sizeof *splits);
    struct progress progress;
    enum status status = STATUS_OK;
    if (!hashes || !splits)
        return error_memory(error, (size_t)n, "the list of cases");

    progress_start(&progress, "pack", "cases", 0, n);
    for (int64_t i = 0; !status && i < n; i++) {
        status = pack_case(writer, &layout->cases[i], config->spacing_mm, &hashes[i], error);
        if (status)
            error_while(error, "packing case '%s'", layout->cases[i].name);
        else
            progress_show(&progress, i + 1, layout->cases[i].name);
    }
    progress_end(&progress);

    /* Copies of one skull are found by their hashes, so the split can only be drawn after all cases were read */
    if (!status)
        status = split_assign(splits, plan, hashes, config, error);

    int64_t counts[SPLIT_N] = {0}, n_implants = 0, n_defective = 0;
    for (int64_t i = 0; !status && i < n; i++) {
        struct set_case item = pack_set_case(&layout->cases[i]);
        item.split = splits[i];
        item.group = plan->groups[i];
        status = set_write_split(writer, &item, error);
        counts[splits[i]] += !item.defective;
        n_defective += item.defective;
        n_implants += layout->cases[i].n_defects;
    }

    if (!status)
        log_info("%" PRId64 " skulls (%" PRId64 " train, %" PRId64 " val, %" PRId64 " test), %" PRId64 " fixed defects",
                 n - n_defective, counts[0], counts[1], counts[2], n_implants);
    if (!status && n_defective)
        log_info("%" PRId64 " defective skulls whose hole nobody has filled: shape models alone learn from them",
                 n_defective);
    return status;
}

static void pack_log_unmatched(const struct config_strings *unmatched)
{
    const int64_t n_listed = unmatched->n < 20 ? unmatched->n : 20;
    for (int64_t i = 0; i < n_listed; i++)
        log_warn("left out: %s", unmatched->items[i]);
    if (unmatched->n > n_listed)
        log_warn("left out: %" PRId64 " more", unmatched->n - n_listed);
}

/* What a table or BIDS says of groups and splits, where the split file says nothing. */
static void pack_plan_layout(struct split_plan *plan, const struct layout *layout, bool has_split_file)
{
    for (int64_t i = 0; i < plan->n; i++) {
        if (!plan->groups[i])
            plan->groups[i] = layout->cases[i].group;
        if (!has_split_file)
            plan->wanted[i] = layout->cases[i].split;
    }
}

/* Names of the cases, NULL-terminated. */
static const char **pack_case_names(const struct layout *layout, struct arena *arena)
{
    const char **names = arena_alloc(arena, (size_t)layout->n_cases + 1, sizeof *names);
    for (int64_t i = 0; names && i < layout->n_cases; i++)
        names[i] = layout->cases[i].name;
    return names;
}

static enum status pack_into(const char *part, const struct layout *layout, const struct split_plan *plan,
                             const struct pack_config *config, struct arena *arena, struct error *error)
{
    struct set_writer writer;
    enum status status = set_writer_open(&writer, part, error);
    if (!status)
        status = pack_cases(&writer, layout, plan, config, arena, error);
    if (!status)
        return set_writer_close(&writer, error);
    struct error ignored = {0}; /* the first error is the one that is returned */
    set_writer_close(&writer, &ignored);
    return status;
}

/* What an earlier pack left in this folder when it was killed goes first. */
static enum status pack_begin(char **ret_part, const char *out, struct error *error)
{
    file_sweep_around(out);
    return file_begin(ret_part, out, error);
}

enum status dataset_pack(const char *folder, const char *out, const struct pack_config *config, struct error *error)
{
    struct arena arena = {0};
    struct layout layout;
    struct split_plan plan;
    char *part = NULL;
    const char **names = NULL;
    enum status status = layout_find(&layout, folder, &config->layout, &arena, error);

    if (status)
        goto done;
    pack_log_unmatched(&layout.unmatched);
    if (!(names = pack_case_names(&layout, &arena))) {
        status = error_memory(error, (size_t)layout.n_cases, "the list of cases");
        goto done;
    }
    if ((status = split_plan(&plan, names, layout.n_cases, config, &arena, error)))
        goto done;
    pack_plan_layout(&plan, &layout, config->split_file != NULL);
    if ((status = pack_begin(&part, out, error)) || (status = pack_into(part, &layout, &plan, config, &arena, error)))
        goto done;
    status = file_commit(&part, out, error);

done:
    file_discard(&part);
    arena_done(&arena);
    return status ? error_while(error, "packing %s into %s", folder, out) : STATUS_OK;
}
