/* layout_finder.h - the files found so far, while a folder or a table is read: shared by the ways of finding them.
 * Private to layout*.c. */
#ifndef CALVARIA_DATA_DATASET_LAYOUT_FINDER_H
#define CALVARIA_DATA_DATASET_LAYOUT_FINDER_H

#include "data/dataset/layout.h"

enum layout_role { ROLE_COMPLETE, ROLE_DEFECTIVE, ROLE_IMPLANT, ROLE_N };
extern const char *const layout_role_names[]; /* "complete", "defective", "implant", NULL */

/* One file: what it is, of which case, of which defect (NULL: still to be found, or a skull). */
struct layout_entry {
    const char *path, *name, *defect;
    enum layout_role role;
    const char *group; /* NULL: none given */
    int split;         /* enum dataset_split, or LAYOUT_SPLIT_NONE */
};

struct layout_finder {
    struct arena *arena;
    struct error *error;
    int64_t n, capacity, n_unmatched, capacity_unmatched;
    struct layout_entry *entries;
    const char **unmatched;
};

enum status layout_finder_add(struct layout_finder *finder, struct layout_entry entry);
/* Remembers why a file is left out. */
enum status layout_finder_reject(struct layout_finder *finder, const char *path, const char *why);
/* Calls `visit` for every file at most `max_depth` folders below `folder`, in byte order, hidden ones and voxel files
 * of a .nhdr excepted. `relative` is its path from there. */
enum status layout_finder_walk(struct layout_finder *finder, const char *folder, const char *relative, int max_depth,
                               enum status (*visit)(struct layout_finder *finder, const char *path,
                                                    const char *relative, const void *context),
                               const void *context);
/* The file's name without its folder and extension, in the arena; NULL when memory is out. */
char *layout_file_stem(struct arena *arena, const char *path);
bool layout_is_volume(const char *path);

/* The ways of finding; layout_find chooses. */
enum status layout_collect_patterns(struct layout_finder *finder, const char *folder,
                                    const struct config_strings *patterns);
enum status layout_collect_table(struct layout_finder *finder, const char *path, const char *group_column);
bool layout_is_bids(const struct config_strings *names);
enum status layout_collect_bids(struct layout_finder *finder, const char *folder);

#endif
