/* truth.c - Finds and reads the volumes of a case by name; see truth.h. Test: tests/cli/test_evaluate.sh */
#include "cli/truth.h"

#include <string.h>

#include "base/file.h"
#include "data/volume/formats.h"

enum status truth_find(const char **ret, struct arena *arena, const char *folder, const char *name, const char *kind,
                       struct error *error)
{
    *ret = NULL;
    for (int format = VOLUME_NIFTI_GZ; !*ret && format <= VOLUME_NHDR; format++) {
        char *file = arena_printf(arena, "%s_%s%s", name, kind, volume_suffix((enum volume_format)format));
        char *path = file_join(arena, folder, file);
        if (!path)
            return error_memory(error, strlen(name), "a path");
        *ret = file_exists(path) ? path : NULL;
    }
    return STATUS_OK;
}

enum status truth_cases(struct config_strings *ret, const char *folder, struct arena *arena, struct error *error)
{
    struct config_strings files = {0};
    if (file_list(&files, folder, arena, error))
        return error->status;
    const char **names = arena_alloc(arena, (size_t)files.n + 1, sizeof *names);
    if (!names)
        return error_memory(error, (size_t)files.n * sizeof *names, "the cases");
    int64_t n = 0;

    for (int64_t i = 0; i < files.n; i++) {
        int format = volume_format_of(files.items[i]);
        if (format < 0)
            continue;
        char *stem = arena_strdup(arena, files.items[i]);
        if (!stem)
            return error_memory(error, strlen(files.items[i]), "a case name");
        stem[strlen(stem) - strlen(volume_suffix((enum volume_format)format))] = '\0';
        if (!file_has_suffix(stem, "_implant"))
            continue;
        stem[strlen(stem) - strlen("_implant")] = '\0';
        if (n == 0 || strcmp(names[n - 1], stem) != 0)
            names[n++] = stem;
    }

    if (n == 0)
        return error_set(error, STATUS_FAILED, "%s: holds no NAME_implant volume (.nii.gz, .nii, .nrrd or .nhdr)",
                         folder);
    *ret = (struct config_strings){.n = n, .items = names};
    return STATUS_OK;
}

enum status truth_read_implant(struct volume *ret, const char *path, struct error *error)
{
    struct volume volume = {0};
    enum status status = volume_read(&volume, path, error);

    if (status)
        return status;

    if (volume.type != VOXEL_U8) {
        volume_done(&volume);
        return error_set(error, STATUS_FAILED, "%s: values are no mask's (0 and one other)", path);
    }

    uint8_t *mask = volume.data, value = 0;
    const int64_t n = grid_voxels(&volume.grid);

    /* Masks of 0 and 255 are common; labels of several values are not a mask. */
    for (int64_t i = 0; i < n; i++) {
        if (mask[i] && value && mask[i] != value) {
            status = error_set(error, STATUS_FAILED, "%s: values 0, %d and %d: an implant mask has one besides 0", path,
                               value, mask[i]);
            volume_done(&volume);
            return status;
        }
        if (mask[i])
            value = mask[i];
    }

    for (int64_t i = 0; i < n; i++)
        mask[i] = mask[i] != 0;

    *ret = volume;
    return STATUS_OK;
}

enum status truth_read_defective(struct volume *ret, struct arena *arena, const char *folder, const char *name,
                                 const struct volume *implant, struct error *error)
{
    const char *path;
    if (truth_find(&path, arena, folder, name, "defective", error))
        return error->status;
    if (path)
        return volume_read_mask(ret, path, error);
    enum status status = truth_find(&path, arena, folder, name, "complete", error);
    if (status || !path)
        return status;
    status = volume_read_mask(ret, path, error);
    if (!status && grid_voxels(&ret->grid) == grid_voxels(&implant->grid)) {
        uint8_t *bone = ret->data;
        const uint8_t *removed = implant->data;
        for (int64_t i = 0; i < grid_voxels(&ret->grid); i++)
            bone[i] = (uint8_t)(bone[i] && !removed[i]);
    }
    return status;
}
