/* layout.c - finds the cases of a folder: which files are complete skulls, defective ones and implants. See layout.h.
 * Test: tests/data/test_layout.c, tests/data/test_dataset.c. */
#include "data/dataset/layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/layout_finder.h"
#include "data/volume/formats.h"

const char *const layout_role_names[] = {"complete", "defective", "implant", NULL};

static const struct {
    const char *suffix, *folder;
} roles[ROLE_N] = {{"_complete", "complete_skull"}, {"_defective", "defective_skull"}, {"_implant", "implant"}};

enum { SUBFOLDERS_MAX = 8 };

/* A larger copy of an arena's array. */
static void *layout_array_grown(struct arena *arena, const void *old, int64_t n, int64_t capacity, size_t size)
{
    void *larger = arena_alloc(arena, (size_t)capacity, size);
    if (larger && n > 0)
        memcpy(larger, old, (size_t)n * size);
    return larger;
}

enum status layout_finder_reject(struct layout_finder *finder, const char *path, const char *why)
{
    if (finder->n_unmatched == finder->capacity_unmatched) {
        finder->capacity_unmatched = finder->capacity_unmatched ? 2 * finder->capacity_unmatched : 16;
        finder->unmatched = layout_array_grown(finder->arena, finder->unmatched, finder->n_unmatched,
                                               finder->capacity_unmatched, sizeof *finder->unmatched);
    }
    const char *line = finder->unmatched ? arena_printf(finder->arena, "%s: %s", path, why) : NULL;
    if (!line)
        return error_memory(finder->error, strlen(path), "the list of files");
    finder->unmatched[finder->n_unmatched++] = line;
    return STATUS_OK;
}

enum status layout_finder_add(struct layout_finder *finder, struct layout_entry entry)
{
    if (entry.name && strpbrk(entry.name, "\n\t"))
        return layout_finder_reject(finder, entry.path, "a tab or line end in its name");
    if (finder->n == finder->capacity) {
        finder->capacity = finder->capacity ? 2 * finder->capacity : 64;
        finder->entries =
            layout_array_grown(finder->arena, finder->entries, finder->n, finder->capacity, sizeof *finder->entries);
    }
    if (!finder->entries || !entry.path || !entry.name)
        return error_memory(finder->error, sizeof entry, "the list of files");
    finder->entries[finder->n++] = entry;
    return STATUS_OK;
}

bool layout_is_volume(const char *path)
{
    return volume_format_of(path) >= 0;
}

char *layout_file_stem(struct arena *arena, const char *path)
{
    const char *name = file_base(path);
    char *stem = arena_strdup(arena, name);
    if (stem)
        stem[strlen(name) - strlen(volume_suffix((enum volume_format)volume_format_of(name)))] = '\0';
    return stem;
}

/* Cuts `suffix` off; false when it is not there or nothing would be left. */
static bool layout_cut_suffix(char *text, const char *suffix)
{
    const size_t n = strlen(text), m = strlen(suffix);
    if (n <= m || strcmp(text + n - m, suffix) != 0)
        return false;
    text[n - m] = '\0';
    return true;
}

/* Hidden files, and the voxel file of a .nhdr. */
static bool layout_file_is_silent(const char *name)
{
    return name[0] == '.' || file_has_suffix(name, ".raw") || file_has_suffix(name, ".raw.gz");
}

enum status layout_finder_walk(struct layout_finder *finder, const char *folder, const char *relative, int max_depth,
                               enum status (*visit)(struct layout_finder *finder, const char *path,
                                                    const char *relative, const void *context),
                               const void *context)
{
    struct config_strings names;
    if (file_list(&names, folder, finder->arena, finder->error))
        return finder->error->status;

    enum status status = STATUS_OK;
    for (int64_t i = 0; !status && i < names.n; i++) {
        if (layout_file_is_silent(names.items[i]))
            continue;
        const char *path = file_join(finder->arena, folder, names.items[i]);
        const char *below = file_join(finder->arena, relative, names.items[i]);
        if (!path || !below)
            return error_memory(finder->error, strlen(folder), "a path");
        if (!file_is_folder(path))
            status = visit(finder, path, below, context);
        else if (max_depth > 0)
            status = layout_finder_walk(finder, path, below, max_depth - 1, visit, context);
        else
            status = layout_finder_reject(finder, path, "a folder below all that is searched");
    }
    return status;
}

/* ---- collecting files ---- */

static enum status layout_collect_role(struct layout_finder *finder, const char *folder, enum layout_role role,
                                       const char *defect)
{
    struct config_strings names;
    if (file_list(&names, folder, finder->arena, finder->error))
        return finder->error->status;

    for (int64_t i = 0; i < names.n; i++) {
        const char *path = file_join(finder->arena, folder, names.items[i]);
        enum status status = STATUS_OK;
        if (!path)
            return error_memory(finder->error, strlen(folder), "a path");
        /* Hidden files, and the voxels of a .nhdr, are not cases and not worth a warning */
        if (layout_file_is_silent(names.items[i]))
            continue;

        if (file_is_folder(path) && role != ROLE_COMPLETE && !defect)
            status = layout_collect_role(finder, path, role, names.items[i]);
        else if (file_is_folder(path) || volume_format_of(names.items[i]) < 0)
            status = layout_finder_reject(finder, path, "no volume");
        else {
            struct layout_entry entry = {.path = path, .role = role, .split = LAYOUT_SPLIT_NONE};
            char *stem = layout_file_stem(finder->arena, names.items[i]);
            if (stem)
                layout_cut_suffix(stem, roles[role].suffix);
            entry.name = stem;
            if (role != ROLE_COMPLETE)
                entry.defect = defect ? defect : "d00";
            status = layout_finder_add(finder, entry);
        }
        if (status)
            return status;
    }

    return STATUS_OK;
}

/* The names of the folders of `relative`, joined by '_'; "" where it has none. *ret_last is the innermost of them. */
static char *layout_folder_prefix(struct arena *arena, const char *relative, const char **ret_last)
{
    const char *base = file_base(relative);
    char *prefix = arena_strdup(arena, relative);
    *ret_last = "";
    if (!prefix || base == relative) {
        if (prefix)
            prefix[0] = '\0';
        return prefix;
    }
    prefix[base - relative - 1] = '\0';
    *ret_last = arena_strdup(arena, file_base(prefix));
    for (char *c = prefix; *c; c++)
        *c = *c == '/' ? '_' : *c;
    return *ret_last ? prefix : NULL;
}

/* The stem of a file in a subfolder is a role alone, as "implant" or "implant_d01": the folder names the case. */
static bool layout_stem_is_role(const char *stem, struct layout_entry *entry)
{
    for (int r = 0; r < ROLE_N; r++) {
        const size_t n = strlen(layout_role_names[r]);
        if (strncmp(stem, layout_role_names[r], n) != 0 || (stem[n] && (stem[n] != '_' || !stem[n + 1])))
            continue;
        entry->role = (enum layout_role)r;
        if (stem[n] && r != ROLE_COMPLETE)
            entry->defect = stem + n + 1;
        return r != ROLE_COMPLETE || !stem[n];
    }
    return false;
}

/* The suffix of the name tells the role; without one the file is a complete skull. */
static enum layout_role layout_cut_role(char *stem)
{
    if (layout_cut_suffix(stem, "_implant"))
        return ROLE_IMPLANT;
    if (layout_cut_suffix(stem, "_defective"))
        return ROLE_DEFECTIVE;
    if (!layout_cut_suffix(stem, "_complete"))
        layout_cut_suffix(stem, "_ct");
    return ROLE_COMPLETE;
}

static enum status layout_visit_flat(struct layout_finder *finder, const char *path, const char *relative,
                                     const void *context)
{
    (void)context;
    if (!layout_is_volume(path))
        return layout_finder_reject(finder, path, "no volume (.nii.gz .nii .nrrd .nhdr)");

    struct layout_entry entry = {.path = path, .split = LAYOUT_SPLIT_NONE};
    const char *last;
    char *stem = layout_file_stem(finder->arena, path);
    char *prefix = layout_folder_prefix(finder->arena, relative, &last);
    if (!stem || !prefix)
        return error_memory(finder->error, strlen(path), "a name");
    if (prefix[0] && layout_stem_is_role(stem, &entry)) {
        entry.name = prefix;
        return layout_finder_add(finder, entry);
    }

    /* 001/001_implant is 001; siteA/001_implant is siteA_001 */
    entry.role = layout_cut_role(stem);
    const size_t n = strlen(last);
    if (strncmp(stem, last, n) == 0 && (!stem[n] || stem[n] == '_'))
        prefix[strlen(prefix) - n] = '\0';
    else if (n > 0)
        prefix = arena_printf(finder->arena, "%s_", prefix);
    entry.name = prefix ? arena_printf(finder->arena, "%s%s", prefix, stem) : NULL;
    return layout_finder_add(finder, entry);
}

static enum status layout_collect(struct layout_finder *finder, const char *folder)
{
    struct config_strings names;
    if (file_list(&names, folder, finder->arena, finder->error))
        return finder->error->status;
    bool any = false;
    for (int r = 0; r < ROLE_N; r++) {
        const char *path = file_join(finder->arena, folder, roles[r].folder);
        if (!path)
            return error_memory(finder->error, strlen(folder), "a path");
        if (!file_is_folder(path))
            continue;
        any = true;
        if (layout_collect_role(finder, path, (enum layout_role)r, NULL))
            return finder->error->status;
    }
    if (any)
        return STATUS_OK;
    return layout_is_bids(&names) ? layout_collect_bids(finder, folder)
                                  : layout_finder_walk(finder, folder, "", SUBFOLDERS_MAX, layout_visit_flat, NULL);
}

/* ---- which defect of which case ---- */

static int layout_entry_compare(const void *a, const void *b)
{
    const struct layout_entry *p = a, *q = b;
    int order = strcmp(p->name, q->name);
    if (order == 0)
        order = strcmp(p->defect ? p->defect : "", q->defect ? q->defect : "");
    if (order == 0)
        order = (int)p->role - (int)q->role;
    if (order == 0) /* NRRD first */
        order = (volume_format_of(p->path) < VOLUME_NRRD) - (volume_format_of(q->path) < VOLUME_NRRD);
    return order ? order : strcmp(p->path, q->path);
}

static int layout_name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NAME_d00 -> its length without "_d00", or 0. */
static size_t layout_numbered_prefix(const char *name)
{
    size_t n = strlen(name), digits = 0;
    while (digits < n && isdigit((unsigned char)name[n - 1 - digits]))
        digits++;
    if (digits < 2 || n < digits + 3 || name[n - digits - 1] != 'd' || name[n - digits - 2] != '_')
        return 0;
    return n - digits - 2;
}

/* Splits an implant's or defective skull's name: the longest known skull it starts with and the rest; else NAME_d00;
 * else all of it. */
static enum status layout_entry_resolve(struct layout_finder *finder, struct layout_entry *entry, const char **skulls,
                                        int64_t n_skulls)
{
    const char *whole = entry->name;
    char *name = arena_strdup(finder->arena, whole);
    entry->defect = "d00";
    for (bool more = name != NULL; more;) {
        if (bsearch(&name, skulls, (size_t)n_skulls, sizeof *skulls, layout_name_compare)) {
            if (strlen(name) < strlen(whole))
                entry->defect = whole + strlen(name) + 1;
            entry->name = name;
            return STATUS_OK;
        }
        char *cut = strrchr(name, '_');
        more = cut && cut > name;
        if (more)
            *cut = '\0';
    }
    const size_t prefix = layout_numbered_prefix(whole);
    if (name && prefix > 0) {
        memcpy(name, whole, prefix);
        name[prefix] = '\0';
        entry->name = name;
        entry->defect = whole + prefix + 1;
    }
    return name ? STATUS_OK : error_memory(finder->error, strlen(whole), "a name");
}

static enum status layout_resolve(struct layout_finder *finder)
{
    int64_t n_skulls = 0;
    const char **skulls = arena_alloc(finder->arena, (size_t)finder->n, sizeof *skulls);
    if (!skulls && finder->n > 0)
        return error_memory(finder->error, (size_t)finder->n, "the list of skulls");
    for (int64_t i = 0; i < finder->n; i++)
        if (finder->entries[i].role == ROLE_COMPLETE)
            skulls[n_skulls++] = finder->entries[i].name;
    if (n_skulls > 0)
        qsort(skulls, (size_t)n_skulls, sizeof *skulls, layout_name_compare);
    for (int64_t i = 0; i < finder->n; i++)
        if (finder->entries[i].role != ROLE_COMPLETE && !finder->entries[i].defect &&
            layout_entry_resolve(finder, &finder->entries[i], skulls, n_skulls))
            return finder->error->status;
    return STATUS_OK;
}

/* ---- cases from sorted entries ---- */

static bool layout_entry_twice(const struct layout_entry *a, const struct layout_entry *b)
{
    return a->role == b->role && strcmp(a->name, b->name) == 0 &&
           strcmp(a->defect ? a->defect : "", b->defect ? b->defect : "") == 0;
}

/* The entries [first, last) of one case. A defect that cannot be used is rejected. */
static enum status layout_build_case(struct layout_finder *finder, struct layout_case *made,
                                     const struct layout_entry *first, const struct layout_entry *last)
{
    *made = (struct layout_case){.name = first->name,
                                 .defects = arena_alloc(finder->arena, (size_t)(last - first), sizeof *made->defects),
                                 .group = first->group,
                                 .split = first->split};
    if (!made->defects)
        return error_memory(finder->error, sizeof *made, "a case");
    const struct layout_entry *e = first;
    if (e->role == ROLE_COMPLETE)
        made->complete = (e++)->path;
    while (e < last) {
        struct layout_defect defect = {.name = e->defect};
        const struct layout_entry *same = e;
        for (; e < last && strcmp(e->defect, defect.name) == 0; e++)
            *(e->role == ROLE_IMPLANT ? &defect.implant : &defect.defective) = e->path;
        if (made->complete || (defect.implant && defect.defective))
            made->defects[made->n_defects++] = defect;
        else if (!defect.implant && first->role != ROLE_COMPLETE && !made->defective)
            made->defective = defect.defective;
        else if (layout_finder_reject(finder, same->path,
                                      defect.implant
                                          ? "an implant whose skull is missing (NAME_complete or NAME_defective)"
                                          : "a second defective skull of a head without a complete skull"))
            return finder->error->status;
    }
    if (made->n_defects > 0) /* another defect gives the whole skull */
        made->defective = NULL;
    return STATUS_OK;
}

/* What one file of a case says of its group and split holds for the next file too, unless that says otherwise. */
static enum status layout_pass_on(struct layout_finder *finder, const struct layout_entry *from,
                                  struct layout_entry *to)
{
    if (strcmp(from->name, to->name) != 0)
        return STATUS_OK;
    const bool other_group = from->group && to->group && strcmp(from->group, to->group) != 0;
    if (other_group || (from->split != LAYOUT_SPLIT_NONE && to->split != LAYOUT_SPLIT_NONE && from->split != to->split))
        return error_set(finder->error, STATUS_USAGE, "case '%s': its files name two %s", to->name,
                         other_group ? "groups" : "splits");
    to->group = to->group ? to->group : from->group;
    to->split = to->split != LAYOUT_SPLIT_NONE ? to->split : from->split;
    return STATUS_OK;
}

static enum status layout_build(struct layout_finder *finder, struct layout *ret)
{
    struct layout_entry *entries = finder->entries;
    int64_t n = 0;

    /* Sorted, files of one case follow each other, and doubles of one volume in two formats too */
    if (finder->n > 0)
        qsort(entries, (size_t)finder->n, sizeof *entries, layout_entry_compare);

    for (int64_t i = 1; i < finder->n; i++)
        if (layout_pass_on(finder, &entries[i - 1], &entries[i]))
            return finder->error->status;
    for (int64_t i = finder->n - 1; i > 0; i--)
        if (layout_pass_on(finder, &entries[i], &entries[i - 1]))
            return finder->error->status;

    for (int64_t i = 0; i < finder->n; i++) {
        if (n > 0 && layout_entry_twice(&entries[n - 1], &entries[i])) {
            if (strcmp(entries[n - 1].path, entries[i].path) == 0) /* a table names one skull in several lines */
                continue;
            const char *why =
                arena_printf(finder->arena, "the same as %s, which is used", file_base(entries[n - 1].path));
            if (!why || layout_finder_reject(finder, entries[i].path, why))
                return error_memory(finder->error, 1, "the list of files");
            continue;
        }
        entries[n++] = entries[i];
    }

    ret->cases = arena_alloc(finder->arena, (size_t)n, sizeof *ret->cases);
    if (!ret->cases && n > 0)
        return error_memory(finder->error, (size_t)n * sizeof *ret->cases, "the list of cases");

    /* One case per run of equal names; a case without skull and defects is dropped */
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && strcmp(entries[i].name, entries[j].name) == 0; j++)
            continue;
        struct layout_case *made = &ret->cases[ret->n_cases];
        if (layout_build_case(finder, made, entries + i, entries + j))
            return finder->error->status;
        ret->n_cases += made->complete || made->defective || made->n_defects > 0;
    }

    return STATUS_OK;
}

enum status layout_find(struct layout *ret, const char *path, const struct layout_options *options, struct arena *arena,
                        struct error *error)
{
    static const struct layout_options by_name = {0};
    struct layout_finder finder = {.arena = arena, .error = error};
    const bool is_table = file_has_suffix(path, ".tsv") && !file_is_folder(path);
    if (!options)
        options = &by_name;
    *ret = (struct layout){0};

    if (!is_table && !file_is_folder(path))
        return error_set(error, STATUS_FAILED, "%s: %s", path,
                         file_exists(path) ? "no folder and no table (.tsv)" : "no such folder");
    if (is_table && options->patterns.n > 0)
        return error_set(error, STATUS_USAGE, "%s: a table names its files; --pattern is for a folder", path);
    const enum status found = is_table                  ? layout_collect_table(&finder, path, options->group_column)
                              : options->patterns.n > 0 ? layout_collect_patterns(&finder, path, &options->patterns)
                                                        : layout_collect(&finder, path);
    if (found || layout_resolve(&finder) || layout_build(&finder, ret))
        return error->status;

    ret->unmatched = (struct config_strings){finder.n_unmatched, finder.unmatched};
    if (ret->n_cases > 0)
        return STATUS_OK;
    error_set(
        error, STATUS_FAILED,
        "%s: no skull found (expected NAME_complete and NAME_implant, complete_skull/ and implant/, BIDS, healthy "
        "skulls, or files that --pattern names)",
        path);
    for (int64_t i = 0; i < finder.n_unmatched && i < 10; i++)
        error_while(error, "looking at %s", finder.unmatched[i]);
    return STATUS_FAILED;
}
