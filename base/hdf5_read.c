/* hdf5_read.c - see hdf5_read.h. Tests: tests/nn/test_model_file.c, tests/data/test_dataset_bad.c */
#include "base/hdf5_read.h"

#include <stdint.h>
#include <string.h>

enum { PATH_MAX_BYTES = 4096 };

/* The calls of the library clear its error stack: this is the last one. */
static hid_t hdf5_refuse(const char *why)
{
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_SYM, H5E_CANTOPENOBJ, "%s", why);
    return -1;
}

hid_t hdf5_open_file(const char *path)
{
    H5PLset_loading_state(0);
    return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
}

/* Walks to the path's last part over the file's own groups alone. NULL, or why that is not possible. */
static const char *hdf5_walk(hid_t parent, const char *path, bool last_too)
{
    char part[PATH_MAX_BYTES];
    if (strlen(path) >= sizeof part)
        return "a path too long";
    for (const char *at = path; at; at = *at ? at + 1 : NULL) {
        at += strcspn(at, "/");
        const size_t length = (size_t)(at - path);
        H5L_info_t link;
        memcpy(part, path, length);
        part[length] = '\0';
        if (length == 0 || (!*at && !last_too))
            continue;
        if (H5Lexists(parent, part, H5P_DEFAULT) <= 0 || H5Lget_info(parent, part, &link, H5P_DEFAULT) < 0)
            return "missing";
        if (link.type != H5L_TYPE_HARD)
            return link.type == H5L_TYPE_SOFT ? "a soft link (only the file's own objects are read)"
                                              : "a link out of the file (only the file's own objects are read)";
    }
    return NULL;
}

bool hdf5_has(hid_t parent, const char *path)
{
    return !hdf5_walk(parent, path, false) && H5Lexists(parent, path, H5P_DEFAULT) > 0;
}

hid_t hdf5_open_group(hid_t parent, const char *path)
{
    const char *flaw = hdf5_walk(parent, path, true);
    return flaw ? hdf5_refuse(flaw) : H5Gopen2(parent, path, H5P_DEFAULT);
}

/* What would make reading the dataset open another file, or NULL. */
static const char *hdf5_dataset_flaw(hid_t dataset)
{
    const hid_t create = H5Dget_create_plist(dataset);
    const char *flaw = create < 0 ? "how it is stored cannot be read" : NULL;
    if (!flaw && H5Pget_layout(create) == H5D_VIRTUAL)
        flaw = "a virtual dataset: its values lie in other files";
    else if (!flaw && H5Pget_external_count(create) != 0)
        flaw = "its values lie in another file";
    const int n_filters = flaw ? 0 : H5Pget_nfilters(create);
    for (int i = 0; i < n_filters; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        const H5Z_filter_t filter = H5Pget_filter2(create, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            flaw = "it is compressed in an unknown way (gzip, shuffle and fletcher32 are known)";
    }
    if (create >= 0)
        H5Pclose(create);
    return flaw;
}

hid_t hdf5_open_dataset(hid_t parent, const char *path)
{
    const char *flaw = hdf5_walk(parent, path, true);
    if (flaw)
        return hdf5_refuse(flaw);
    const hid_t dataset = H5Dopen2(parent, path, H5P_DEFAULT);
    flaw = dataset < 0 ? NULL : hdf5_dataset_flaw(dataset);
    if (!flaw)
        return dataset;
    H5Dclose(dataset);
    return hdf5_refuse(flaw);
}
