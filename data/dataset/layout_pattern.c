/* layout_pattern.c - files found by patterns of the user: "implant=sub-{case}/flap_{defect}.nii.gz". See
 * docs/dataset.md. Test: tests/data/test_layout.c. */
#include <string.h>

#include "base/file.h"
#include "data/dataset/layout_finder.h"

enum { PATTERN_MAX = 512, WILDCARDS_MAX = 8, FOLDERS_MAX = 8 };

struct pattern {
    enum layout_role role;
    const char *path;
};

/* What stands for {case} and {defect}; n 0: not seen yet. */
struct pattern_part {
    const char *text;
    size_t n;
};
struct pattern_match {
    struct pattern_part name, defect;
};

static const char *pattern_token(const char *pattern, const char *token)
{
    const size_t n = strlen(token);
    return strncmp(pattern, token, n) == 0 ? pattern + n : NULL;
}

/* A placeholder takes one or more characters of one folder's or file's name; where it was seen before, the same. */
static bool pattern_fits(const char *pattern, const char *text, struct pattern_match *match);

static bool pattern_part_fits(const char *rest, const char *text, struct pattern_part *part,
                              struct pattern_match *match)
{
    if (part->n > 0)
        return strncmp(text, part->text, part->n) == 0 && pattern_fits(rest, text + part->n, match);
    for (size_t n = strcspn(text, "/"); n > 0; n--) {
        *part = (struct pattern_part){text, n};
        if (pattern_fits(rest, text + n, match))
            return true;
    }
    *part = (struct pattern_part){0};
    return false;
}

static bool pattern_fits(const char *pattern, const char *text, struct pattern_match *match)
{
    const char *rest;
    for (; *pattern; pattern++, text++) {
        if ((rest = pattern_token(pattern, "{case}")))
            return pattern_part_fits(rest, text, &match->name, match);
        if ((rest = pattern_token(pattern, "{defect}")))
            return pattern_part_fits(rest, text, &match->defect, match);
        if (*pattern == '*') {
            for (size_t n = strcspn(text, "/") + 1; n-- > 0;)
                if (pattern_fits(pattern + 1, text + n, match))
                    return true;
            return false;
        }
        if (*pattern != *text)
            return false;
    }
    return !*text;
}

/* [ROLE=]PATH. A word before '=' that is no role is a mistake, not a part of a name. */
static enum status pattern_read(struct pattern *ret, const char *text, struct error *error)
{
    const char *equals = strchr(text, '=');
    *ret = (struct pattern){ROLE_COMPLETE, text};
    if (equals && !memchr(text, '/', (size_t)(equals - text))) {
        int r = 0;
        while (r < ROLE_N && (strlen(layout_role_names[r]) != (size_t)(equals - text) ||
                              strncmp(layout_role_names[r], text, (size_t)(equals - text)) != 0))
            r++;
        if (r == ROLE_N)
            return error_set(error, STATUS_USAGE,
                             "--pattern %s: '%.*s' is none of complete, defective, implant (expected ROLE=PATH)", text,
                             (int)(equals - text), text);
        *ret = (struct pattern){(enum layout_role)r, equals + 1};
    }

    int wildcards = 0, folders = 0;
    for (const char *c = ret->path; *c; c++) {
        wildcards += *c == '*' || *c == '{';
        folders += *c == '/';
        if (*c == '{' && !pattern_token(c, "{case}") && !pattern_token(c, "{defect}"))
            return error_set(error, STATUS_USAGE, "--pattern %s: unknown placeholder at '%.20s' ({case}, {defect}, *)",
                             text, c);
    }
    if (!strstr(ret->path, "{case}"))
        return error_set(error, STATUS_USAGE, "--pattern %s: no {case}, which names the skull", text);
    if (ret->role == ROLE_COMPLETE && strstr(ret->path, "{defect}"))
        return error_set(error, STATUS_USAGE, "--pattern %s: a complete skull has no {defect}", text);
    if (ret->path[0] == '/' || wildcards > WILDCARDS_MAX || folders > FOLDERS_MAX || strlen(text) > PATTERN_MAX)
        return error_set(error, STATUS_USAGE,
                         "--pattern %.80s: expected a path below the folder, with at most %d placeholders and %d "
                         "folders",
                         text, WILDCARDS_MAX, FOLDERS_MAX);
    return STATUS_OK;
}

struct pattern_list {
    int64_t n;
    const struct pattern *items;
};

/* The first pattern that fits decides. */
static enum status pattern_visit(struct layout_finder *finder, const char *path, const char *relative,
                                 const void *context)
{
    const struct pattern_list *list = context;
    for (int64_t i = 0; i < list->n; i++) {
        struct pattern_match match = {0};
        if (!pattern_fits(list->items[i].path, relative, &match))
            continue;
        if (!layout_is_volume(path))
            return layout_finder_reject(finder, path, "no volume (.nii.gz .nii .nrrd .nhdr)");
        struct layout_entry entry = {.path = path, .role = list->items[i].role, .split = LAYOUT_SPLIT_NONE};
        entry.name = arena_printf(finder->arena, "%.*s", (int)match.name.n, match.name.text);
        if (entry.role != ROLE_COMPLETE)
            entry.defect =
                match.defect.n ? arena_printf(finder->arena, "%.*s", (int)match.defect.n, match.defect.text) : "d00";
        if (!entry.name || (entry.role != ROLE_COMPLETE && !entry.defect))
            return error_memory(finder->error, strlen(path), "a name");
        return layout_finder_add(finder, entry);
    }
    return layout_is_volume(path) ? layout_finder_reject(finder, path, "no --pattern fits") : STATUS_OK;
}

enum status layout_collect_patterns(struct layout_finder *finder, const char *folder,
                                    const struct config_strings *patterns)
{
    struct pattern *items = arena_alloc(finder->arena, (size_t)patterns->n, sizeof *items);
    if (!items)
        return error_memory(finder->error, (size_t)patterns->n * sizeof *items, "the patterns");
    for (int64_t i = 0; i < patterns->n; i++)
        if (pattern_read(&items[i], patterns->items[i], finder->error))
            return finder->error->status;
    const struct pattern_list list = {patterns->n, items};
    return layout_finder_walk(finder, folder, "", FOLDERS_MAX, pattern_visit, &list);
}
