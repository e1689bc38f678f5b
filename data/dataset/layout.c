/* layout.c - finds the cases of a folder: which files are complete skulls, defective ones and implants. See layout.h.
 * Test: tests/data/test_dataset.c. */
#include "data/dataset/layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/volume/formats.h"

enum role { ROLE_COMPLETE, ROLE_DEFECTIVE, ROLE_IMPLANT, ROLE_N };

static const struct {
    const char *suffix, *folder;
} roles[ROLE_N] = {{"_complete", "complete_skull"}, {"_defective", "defective_skull"}, {"_implant", "implant"}};

/* One file: what it is, of which case, of which defect (NULL: still to be found, or a skull). */
struct entry {
    const char *path, *name, *defect;
    enum role role;
};

struct finder {
    struct arena *arena;
    struct error *error;
    int64_t n, capacity, n_unmatched, capacity_unmatched;
    struct entry *entries;
    const char **unmatched;
};

/* A larger copy of an arena's array. */
static void *layout_array_grown(struct arena *arena, const void *old, int64_t n, int64_t capacity, size_t size)
{
    void *larger = arena_alloc(arena, (size_t)capacity, size);
    if (larger && n > 0)
        memcpy(larger, old, (size_t)n * size);
    return larger;
}

static enum status layout_finder_reject(struct finder *finder, const char *path, const char *why)
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

static enum status layout_finder_add(struct finder *finder, struct entry entry)
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

/* The file's name without its extension. */
static char *layout_file_stem(struct arena *arena, const char *name)
{
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

/* ---- collecting files ---- */

static enum status layout_collect_role(struct finder *finder, const char *folder, enum role role, const char *defect)
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
            char *stem = layout_file_stem(finder->arena, names.items[i]);
            if (stem)
                layout_cut_suffix(stem, roles[role].suffix);
            status = layout_finder_add(finder, (struct entry){path, stem,
                                                              role == ROLE_COMPLETE ? NULL
                                                              : defect              ? defect
                                                                                    : "d00",
                                                              role});
        }
        if (status)
            return status;
    }

    return STATUS_OK;
}

static enum status layout_collect_flat(struct finder *finder, const char *folder, const struct config_strings *names)
{
    for (int64_t i = 0; i < names->n; i++) {
        const char *path = file_join(finder->arena, folder, names->items[i]);
        if (!path)
            return error_memory(finder->error, strlen(folder), "a path");
        if (layout_file_is_silent(names->items[i]))
            continue;
        if (file_is_folder(path) || volume_format_of(names->items[i]) < 0) {
            if (layout_finder_reject(finder, path,
                                     file_is_folder(path)
                                         ? "a folder of another name than complete_skull, defective_skull, implant"
                                         : "no volume (.nii.gz .nii .nrrd .nhdr)"))
                return finder->error->status;
            continue;
        }

        /* The suffix of the name tells the role; without one the file is a complete skull */
        struct entry entry = {.path = path, .name = layout_file_stem(finder->arena, names->items[i])};
        char *stem = (char *)entry.name;
        if (stem && layout_cut_suffix(stem, "_implant"))
            entry.role = ROLE_IMPLANT;
        else if (stem && layout_cut_suffix(stem, "_defective"))
            entry.role = ROLE_DEFECTIVE;
        else if (stem && !layout_cut_suffix(stem, "_complete"))
            layout_cut_suffix(stem, "_ct");
        if (layout_finder_add(finder, entry))
            return finder->error->status;
    }

    return STATUS_OK;
}

static enum status layout_collect(struct finder *finder, const char *folder)
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
        if (layout_collect_role(finder, path, (enum role)r, NULL))
            return finder->error->status;
    }
    return any ? STATUS_OK : layout_collect_flat(finder, folder, &names);
}

/* ---- which defect of which case ---- */

static int layout_entry_compare(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
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
static enum status layout_entry_resolve(struct finder *finder, struct entry *entry, const char **skulls,
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

static enum status layout_resolve(struct finder *finder)
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

static bool layout_entry_twice(const struct entry *a, const struct entry *b)
{
    return a->role == b->role && strcmp(a->name, b->name) == 0 &&
           strcmp(a->defect ? a->defect : "", b->defect ? b->defect : "") == 0;
}

/* The entries [first, last) of one case. A defect that cannot be used is rejected. */
static enum status layout_build_case(struct finder *finder, struct layout_case *made, const struct entry *first,
                                     const struct entry *last)
{
    *made = (struct layout_case){.name = first->name,
                                 .defects = arena_alloc(finder->arena, (size_t)(last - first), sizeof *made->defects)};
    if (!made->defects)
        return error_memory(finder->error, sizeof *made, "a case");
    const struct entry *e = first;
    if (e->role == ROLE_COMPLETE)
        made->complete = (e++)->path;
    while (e < last) {
        struct layout_defect defect = {.name = e->defect};
        const struct entry *same = e;
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

static enum status layout_build(struct finder *finder, struct layout *ret)
{
    struct entry *entries = finder->entries;
    int64_t n = 0;

    /* Sorted, files of one case follow each other, and doubles of one volume in two formats too */
    if (finder->n > 0)
        qsort(entries, (size_t)finder->n, sizeof *entries, layout_entry_compare);

    for (int64_t i = 0; i < finder->n; i++) {
        if (n > 0 && layout_entry_twice(&entries[n - 1], &entries[i])) {
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

enum status layout_find(struct layout *ret, const char *folder, struct arena *arena, struct error *error)
{
    struct finder finder = {.arena = arena, .error = error};
    *ret = (struct layout){0};
    if (!file_is_folder(folder))
        return error_set(error, STATUS_FAILED, "%s: %s", folder, file_exists(folder) ? "no folder" : "no such folder");
    if (layout_collect(&finder, folder) || layout_resolve(&finder) || layout_build(&finder, ret))
        return error->status;
    ret->unmatched = (struct config_strings){finder.n_unmatched, finder.unmatched};
    if (ret->n_cases > 0)
        return STATUS_OK;
    error_set(
        error, STATUS_FAILED,
        "%s: no skull found (expected NAME_complete and NAME_implant, complete_skull/ and implant/, or healthy skulls)",
        folder);
    for (int64_t i = 0; i < finder.n_unmatched && i < 10; i++)
        error_while(error, "looking at %s", finder.unmatched[i]);
    return STATUS_FAILED;
}
