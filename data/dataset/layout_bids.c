/* layout_bids.c - files named after BIDS, the Brain Imaging Data Structure (bids-specification.readthedocs.io, "File
 * naming"): sub-01[_ses-02]_desc-implant_mask.nii.gz, at any depth. Sessions of one subject are one group. See
 * docs/dataset.md. Test: tests/data/test_layout.c. */
#include <string.h>

#include "base/file.h"
#include "data/dataset/layout_finder.h"

enum { BIDS_FOLDERS_MAX = 8 };

bool layout_is_bids(const struct config_strings *names)
{
    for (int64_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], "dataset_description.json") == 0)
            return true;
    return false;
}

/* The value of an entity ("sub", "desc") within the stem; {NULL, 0}: not there. */
struct bids_value {
    const char *at;
    int length;
};
static struct bids_value bids_entity(const char *stem, const char *key)
{
    const size_t n = strlen(key);
    for (const char *part = stem; part; part = strchr(part, '_')) {
        part += *part == '_';
        if (strncmp(part, key, n) == 0 && part[n] == '-')
            return (struct bids_value){part + n + 1, (int)strcspn(part + n + 1, "_")};
    }
    return (struct bids_value){NULL, 0};
}

static bool bids_is(struct bids_value value, const char *word)
{
    return strlen(word) == (size_t)value.length && strncmp(value.at, word, (size_t)value.length) == 0;
}

/* desc-implant, or label-implant: what the mask is of. Without either it is a complete skull. */
static int bids_role(struct bids_value desc)
{
    for (int r = 0; desc.at && r < ROLE_N; r++)
        if (bids_is(desc, layout_role_names[r]))
            return r;
    return !desc.at || bids_is(desc, "skull") || bids_is(desc, "bone") ? ROLE_COMPLETE : -1;
}

static enum status bids_visit(struct layout_finder *finder, const char *path, const char *relative, const void *context)
{
    (void)context;
    (void)relative;
    if (strncmp(file_base(path), "sub-", 4) != 0 || !layout_is_volume(path))
        return STATUS_OK; /* participants.tsv, sidecars and READMEs belong to every BIDS folder */
    const char *stem = layout_file_stem(finder->arena, path);
    if (!stem)
        return error_memory(finder->error, strlen(path), "a name");
    const char *suffix = strrchr(stem, '_') ? strrchr(stem, '_') + 1 : "";
    if (strcmp(suffix, "mask") != 0 && strcmp(suffix, "dseg") != 0)
        return layout_finder_reject(finder, path, "no mask (BIDS suffix mask or dseg)");

    const struct bids_value subject = bids_entity(stem, "sub"), session = bids_entity(stem, "ses"),
                            desc = bids_entity(stem, "desc"), run = bids_entity(stem, "run");
    const int role = bids_role(desc.at ? desc : bids_entity(stem, "label"));
    if (role < 0)
        return layout_finder_reject(finder, path, "desc is none of complete, skull, bone, defective, implant");
    struct layout_entry entry = {.path = path, .role = (enum layout_role)role, .split = LAYOUT_SPLIT_NONE};
    entry.group = arena_printf(finder->arena, "sub-%.*s", subject.length, subject.at);
    entry.name = session.at ? arena_printf(finder->arena, "sub-%.*s_ses-%.*s", subject.length, subject.at,
                                           session.length, session.at)
                            : entry.group;
    if (role != ROLE_COMPLETE)
        entry.defect = run.at ? arena_printf(finder->arena, "run-%.*s", run.length, run.at) : "d00";
    if (!entry.group || (role != ROLE_COMPLETE && !entry.defect))
        return error_memory(finder->error, strlen(path), "a name");
    return layout_finder_add(finder, entry);
}

enum status layout_collect_bids(struct layout_finder *finder, const char *folder)
{
    return layout_finder_walk(finder, folder, "", BIDS_FOLDERS_MAX, bids_visit, NULL);
}
