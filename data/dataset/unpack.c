/* unpack.c - a dataset back to volumes. Test: tests/data/test_dataset.c. */
#include <inttypes.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/dataset_file.h"
#include "data/volume/formats.h"

/* Where cases go. */
struct unpack {
    const char *folder;
    bool overwrite;
};

/* folder/NAME[_DEFECT]_ROLE.ext */
static enum status unpack_write(const struct unpack *to, const char *name, const char *defect, const char *role,
                                const struct volume *volume, struct error *error)
{
    char *path = memory_printf("%s/%s%s%s_%s%s", to->folder, name, defect ? "_" : "", defect ? defect : "", role,
                               volume_suffix(volume->storage.format));
    if (!path)
        return error_memory(error, 256, "a path");
    enum status status = file_check_free(path, to->overwrite, error);
    if (!status)
        status = volume_write(path, volume, error);
    memory_free(path);
    return status;
}

static enum status unpack_defect(struct dataset *set, int64_t i, int64_t j, struct volume *skull,
                                 const struct unpack *to, struct error *error)
{
    const struct dataset_case *item = dataset_case(set, i);
    struct volume implant;
    if (dataset_read_implant(&implant, set, i, j, error))
        return error->status;
    implant.storage = skull->storage;
    enum status status = unpack_write(to, item->name, item->implant_names[j], "implant", &implant, error);
    uint8_t *missing = implant.data;
    const uint8_t *bone = skull->data;
    for (int64_t v = 0; v < grid_voxels(&skull->grid); v++)
        missing[v] = bone[v] && !missing[v];
    if (!status)
        status = unpack_write(to, item->name, item->implant_names[j], "defective", &implant, error);
    volume_done(&implant);
    return status;
}

static enum status unpack_case(struct dataset *set, int64_t i, const struct unpack *to, int format, struct error *error)
{
    struct volume skull;
    if (dataset_read_skull(&skull, set, i, error))
        return error->status;
    if (format >= 0)
        skull.storage.format = (enum volume_format)format;
    enum status status = unpack_write(to, dataset_case(set, i)->name, NULL, "complete", &skull, error);
    for (int64_t j = 0; !status && j < dataset_case(set, i)->n_implants; j++)
        status = unpack_defect(set, i, j, &skull, to, error);
    volume_done(&skull);
    return status;
}

enum status dataset_unpack(const char *path, int split, const char *folder, int format, bool overwrite,
                           struct error *error)
{
    const struct unpack to = {folder, overwrite};
    struct dataset *set;
    struct progress progress;
    if (dataset_open(&set, path, error))
        return error->status;

    int64_t n = 0, done = 0;
    for (int64_t i = 0; i < dataset_n_cases(set); i++)
        n += split == SPLIT_N || (int)dataset_case(set, i)->split == split;

    enum status status =
        n > 0 ? file_make_folders(folder, error)
              : error_set(error, STATUS_FAILED, "%s: split '%s' is empty", path, dataset_split_names[split]);

    if (status) {
        dataset_close(set);
        return status;
    }

    progress_start(&progress, "unpack", "cases", 0, n);
    for (int64_t i = 0; !status && i < dataset_n_cases(set); i++) {
        if (split != SPLIT_N && (int)dataset_case(set, i)->split != split)
            continue;
        status = unpack_case(set, i, &to, format, error);
        if (status)
            error_while(error, "unpacking case '%s'", dataset_case(set, i)->name);
        else
            progress_show(&progress, ++done, dataset_case(set, i)->name);
    }
    progress_end(&progress);

    dataset_close(set);
    return status;
}
