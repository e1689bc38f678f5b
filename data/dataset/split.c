/* split.c - training, validation and test: from files of names or at random, copies of one skull on one side. See
 * split.h. Test: tests/data/test_dataset.c. */
#include "data/dataset/split.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/lines.h"
#include "base/log.h"
#include "base/rng.h"

enum { SPLIT_FILE_MAX = 16 << 20 };

/* ---- the file ---- */

static int split_name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int64_t split_name_index(const struct split_plan *plan, const char *name)
{
    const char *const *found = bsearch(&name, plan->names, (size_t)plan->n, sizeof *plan->names, split_name_compare);
    return found ? found - plan->names : -1;
}

/* The next tab-separated field of *line, ended by '\0'; NULL past the last. */
static char *split_next_field(char **line)
{
    char *field = *line;
    if (!field)
        return NULL;
    char *tab = strchr(field, '\t');
    if (tab)
        *tab = '\0';
    *line = tab ? tab + 1 : NULL;
    return field;
}

static int split_of_text(const char *text)
{
    if (strcmp(text, "-") == 0)
        return -1;
    for (int s = 0; s < SPLIT_N; s++)
        if (strcmp(text, dataset_split_names[s]) == 0)
            return s;
    return -2;
}

/* One line: case<TAB>split[<TAB>group]. Mistakes are collected. */
static void split_plan_line(struct split_plan *plan, bool *seen, const char *where, char *line, struct arena *arena,
                            struct error *error)
{
    const char *name = split_next_field(&line), *text = split_next_field(&line), *group = split_next_field(&line);
    assert(name); /* the first field of a line, empty perhaps */
    const int64_t i = split_name_index(plan, name);
    const int split = text ? split_of_text(text) : -2;
    if (!text)
        error_add(error, STATUS_USAGE, "%s: '%s': no split (expected: case<TAB>train, val, test or -)", where, name);
    else if (split < -1)
        error_add(error, STATUS_USAGE, "%s: '%s': split '%s' is none of train, val, test, -", where, name, text);
    else if (i < 0) {
        const char *near = plan->n <= 10000 ? config_nearest(name, plan->names) : NULL;
        error_add(error, STATUS_USAGE, "%s: no case '%s'%s%s%s", where, name, near ? " (did you mean '" : "",
                  near ? near : "", near ? "'?)" : "");
    } else if (seen[i])
        error_add(error, STATUS_USAGE, "%s: case '%s' is listed twice", where, name);
    else {
        seen[i] = true;
        plan->wanted[i] = split;
        if (group && group[0] && !(plan->groups[i] = arena_strdup(arena, group)))
            error_add(error, STATUS_FAILED, "out of memory");
    }
}

static enum status split_plan_file(struct split_plan *plan, const char *path, struct arena *arena, struct error *error)
{
    char *text;
    size_t bytes;
    bool *seen = arena_alloc(arena, (size_t)plan->n, sizeof *seen);

    if (!seen)
        return error_memory(error, (size_t)plan->n, "the split");
    if (file_read(&text, &bytes, path, SPLIT_FILE_MAX, error))
        return error_while(error, "reading the split");

    /* Errors are collected: one run lists every bad line of the file */
    for (struct lines lines = lines_of(path, text); lines_next(&lines);)
        split_plan_line(plan, seen, lines.where ? lines.where : path, lines.text, arena, error);

    memory_free(text);

    for (int64_t i = 0; i < plan->n; i++)
        if (!seen[i])
            error_add(error, STATUS_USAGE, "%s: case '%s' is missing (add it, with '-' for a random split)", path,
                      plan->names[i]);
    return error->status;
}

enum status split_plan(struct split_plan *ret, const char *const *names, int64_t n, const struct pack_config *config,
                       struct arena *arena, struct error *error)
{
    double sum = 0;
    for (int s = 0; s < SPLIT_N; s++) {
        sum += config->split_frac[s];
        if (!(config->split_frac[s] >= 0))
            sum = NAN;
    }
    if (!(fabs(sum - 1) < 1e-6))
        return error_set(error, STATUS_USAGE,
                         "--split: %g,%g,%g: three shares that add up to 1 are expected (0.8,0.1,0.1)",
                         config->split_frac[0], config->split_frac[1], config->split_frac[2]);
    *ret = (struct split_plan){.n = n, .names = names, .wanted = arena_alloc(arena, (size_t)n, sizeof *ret->wanted)};
    /* config_nearest wants the list NULL-terminated: the caller's is */
    ret->groups = arena_alloc(arena, (size_t)n, sizeof *ret->groups);
    if (!ret->wanted || !ret->groups)
        return error_memory(error, (size_t)n, "the split");
    for (int64_t i = 0; i < n; i++)
        ret->wanted[i] = -1;
    return config->split_file ? split_plan_file(ret, config->split_file, arena, error) : STATUS_OK;
}

/* ---- groups ---- */

/* Union-find: leader[i] is the first case of i's group. */
static int64_t split_leader_of(const int64_t *leader, int64_t i)
{
    while (leader[i] != i)
        i = leader[i];
    return i;
}

static void split_join(int64_t *leader, int64_t i, int64_t j)
{
    const int64_t a = split_leader_of(leader, i), b = split_leader_of(leader, j);
    leader[a > b ? a : b] = a < b ? a : b;
}

static enum status split_join_groups(int64_t *leader, const struct split_plan *plan, const uint64_t *hashes,
                                     struct error *error)
{
    for (int64_t i = 0; i < plan->n; i++)
        leader[i] = i;
    for (int64_t i = 0; i < plan->n; i++)
        for (int64_t j = i + 1; j < plan->n; j++) {
            const bool same = hashes[i] == hashes[j];
            const bool grouped = plan->groups[i] && plan->groups[j] && strcmp(plan->groups[i], plan->groups[j]) == 0;
            if (same)
                log_warn("'%s' and '%s' are the same skull, voxel by voxel: they stay on one side of the split",
                         plan->names[i], plan->names[j]);
            if (!same && !grouped)
                continue;
            split_join(leader, i, j);
            if (plan->wanted[i] >= 0 && plan->wanted[j] >= 0 && plan->wanted[i] != plan->wanted[j])
                error_add(error, STATUS_USAGE, "split: '%s' is in %s and '%s' in %s, but they are %s", plan->names[i],
                          dataset_split_names[plan->wanted[i]], plan->names[j], dataset_split_names[plan->wanted[j]],
                          grouped ? "one group" : "the same skull, voxel by voxel");
        }
    return error->status;
}

/* How many cases each split should get. */
static void split_targets(double target[SPLIT_N], const double frac[SPLIT_N], int64_t n, int64_t n_groups)
{
    int asked = 0, most = 0;
    for (int s = 0; s < SPLIT_N; s++) {
        asked += frac[s] > 0;
        target[s] = frac[s] * (double)n;
        most = frac[s] > frac[most] ? s : most;
    }
    for (int s = 0; s < SPLIT_N && n_groups >= asked; s++)
        if (frac[s] > 0 && target[s] < 1) {
            target[most] -= 1 - target[s];
            target[s] = 1;
        }
}

/* The groups without a wanted split, in a seeded order, each to the split that lacks most. */
static void split_assign_random(int *side, const int64_t *leader, const int64_t *sizes, int64_t *order,
                                const struct split_plan *plan, const struct pack_config *config)
{
    double lack[SPLIT_N];
    int64_t n_groups = 0, n_free = 0;
    for (int64_t i = 0; i < plan->n; i++) {
        n_groups += leader[i] == i;
        if (leader[i] == i && side[i] < 0)
            order[n_free++] = i;
    }
    split_targets(lack, config->split_frac, plan->n, n_groups);
    for (int64_t i = 0; i < plan->n; i++)
        if (leader[i] == i && side[i] >= 0)
            lack[side[i]] -= (double)sizes[i];
    struct rng rng = rng_make((uint64_t)config->seed, 0);
    for (int64_t k = n_free - 1; k > 0; k--) {
        const int64_t other = rng_below(&rng, k + 1), kept = order[k];
        order[k] = order[other];
        order[other] = kept;
    }
    for (int64_t k = 0; k < n_free; k++) {
        int best = 0;
        for (int s = 1; s < SPLIT_N; s++)
            best = lack[s] > lack[best] ? s : best;
        side[order[k]] = best;
        lack[best] -= (double)sizes[order[k]];
    }
}

enum status split_assign(enum dataset_split *ret, const struct split_plan *plan, const uint64_t *hashes,
                         const struct pack_config *config, struct error *error)
{
    const int64_t n = plan->n;
    int64_t *leader = memory_alloc((size_t)n * 3, sizeof *leader), *sizes, *order;
    int *side = memory_alloc((size_t)n, sizeof *side);
    enum status status = STATUS_OK;
    if (!leader || !side) {
        status = error_memory(error, (size_t)n * sizeof *leader, "the split");
        goto done;
    }
    sizes = leader + n;
    order = leader + 2 * n;

    if ((status = split_join_groups(leader, plan, hashes, error)))
        goto done;

    for (int64_t i = 0; i < n; i++) {
        sizes[i] = 0;
        side[i] = -1;
    }

    /* A group takes the side that the file gives to any of its members; the rest is drawn */
    for (int64_t i = 0; i < n; i++) {
        leader[i] = split_leader_of(leader, i);
        sizes[leader[i]]++;
        if (plan->wanted[i] >= 0)
            side[leader[i]] = plan->wanted[i];
    }

    split_assign_random(side, leader, sizes, order, plan, config);
    for (int64_t i = 0; i < n; i++)
        ret[i] = (enum dataset_split)side[leader[i]];
done:
    memory_free(leader);
    memory_free(side);
    return status;
}
