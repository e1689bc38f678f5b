/* ablate_config.c - The keys of an ablation, their checks, and the arithmetic of its grid; see ablate.h.
 * Test: tests/train/test_ablate.c */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "train/ablate.h"
#include "data/metrics.h"

/* clang-format off */
static const struct config_field value_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct ablate_value, name), .required = true,
     .help = "letters, digits, . + and -: part of the run folder's name"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = offsetof(struct ablate_value, set),
     .help = "KEY=VALUE over the recipe, as in `calvaria train --set`; none: the base as it is"},
    {0}};
/* clang-format on */
static const struct config_table value_table = {
    .help = "One value of an axis", .size = sizeof(struct ablate_value), .fields = value_fields};

static const struct config_table *ablate_value_variant(int index)
{
    return index == 0 ? &value_table : NULL;
}

/* clang-format off */
static const struct config_field axis_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct ablate_axis, name), .required = true,
     .help = "its column in the table"},
    {.key = "values", .type = CONFIG_LIST, .offset = offsetof(struct ablate_axis, values),
     .variant = ablate_value_variant, .required = true, .help = "what is compared"},
    {0}};
/* clang-format on */
static const struct config_table axis_table = {
    .help = "One axis of the grid", .size = sizeof(struct ablate_axis), .fields = axis_fields};

static const struct config_table *ablate_axis_variant(int index)
{
    return index == 0 ? &axis_table : NULL;
}

static const char *const model_names[] = {"last", "best", NULL};

#define MEASURE(member) offsetof(struct ablate_measure, member)
/* clang-format off */
static const struct config_field measure_fields[] = {
    {.key = "model", .type = CONFIG_ENUM, .offset = MEASURE(model), .text = "last", .names = model_names,
     .help = "the checkpoint that restores: last.h5, or best.h5, which validation chose on these very skulls"},
    {.key = "cases", .type = CONFIG_INT, .offset = MEASURE(cases), .text = "8", .min = 1, .max = 1e6, .unit = "skulls",
     .help = "of the validation split, at most, spread evenly"},
    {.key = "seed", .type = CONFIG_INT, .offset = MEASURE(seed), .text = "1", .min = 0, .max = 9e15,
     .help = "of the generated defects: the same for every run"},
    {.key = "set", .type = CONFIG_PATH, .offset = MEASURE(set),
     .help = "another dataset to measure on; not given: the recipe's own"},
    {.key = "defects", .type = CONFIG_PATH, .offset = MEASURE(defects),
     .help = "generators of the defects that are restored; not given: the implants stored in the dataset"},
    {.key = "metrics", .type = CONFIG_STRINGS, .offset = MEASURE(metrics),
     .text = "[dsc, bdsc_mm, hd95_mm, volume_error, precision, recall]",
     .help = "columns of the table, as of `calvaria evaluate`"},
    {0}};
/* clang-format on */
static const struct config_table measure_table = {
    .help = "What each trained model is measured on", .size = sizeof(struct ablate_measure), .fields = measure_fields};

#define ABLATE(member) offsetof(struct ablate_config, member)
/* clang-format off */
static const struct config_field ablate_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = ABLATE(name), .text = "ablation",
     .help = "names the folder, runs/NAME"},
    {.key = "base", .type = CONFIG_PATH, .offset = ABLATE(base), .required = true,
     .help = "the recipe that every run starts from"},
    {.key = "set", .type = CONFIG_STRINGS, .offset = ABLATE(set),
     .help = "KEY=VALUE over it, for every run; paths start at this file's folder"},
    {.key = "seeds", .type = CONFIG_STRINGS, .offset = ABLATE(seeds), .text = "[1, 2, 3]",
     .help = "each point of the grid is trained once with each"},
    {.key = "axes", .type = CONFIG_LIST, .offset = ABLATE(axes), .variant = ablate_axis_variant, .required = true,
     .help = "the grid: every combination of their values"},
    {.key = "evaluate", .type = CONFIG_TABLE, .offset = ABLATE(measure), .table = &measure_table,
     .help = "how it is measured"},
    {0}};
/* clang-format on */
const struct config_table ablate_table = {
    .help = "An ablation: a grid of recipes.", .size = sizeof(struct ablate_config), .fields = ablate_fields};

/* --- the grid --- */

const struct ablate_axis *ablate_axis_at(const struct ablate_config *config, int axis)
{
    return config->axes.items[axis].value;
}

int64_t ablate_points(const struct ablate_config *config)
{
    int64_t n = 1;
    for (int a = 0; a < (int)config->axes.n && n <= ABLATE_MAX_POINTS; a++)
        n *= ablate_axis_at(config, a)->values.n;
    return n;
}

int64_t ablate_choice(const struct ablate_config *config, int64_t point, int axis)
{
    for (int a = (int)config->axes.n - 1; a > axis; a--)
        point /= ablate_axis_at(config, a)->values.n;
    return point % ablate_axis_at(config, axis)->values.n;
}

const struct ablate_value *ablate_value_at(const struct ablate_config *config, int64_t point, int axis)
{
    return ablate_axis_at(config, axis)->values.items[ablate_choice(config, point, axis)].value;
}

bool ablate_only_restores(const struct ablate_axis *axis)
{
    static const char prefix[] = "restore.";
    int64_t n = 0;
    for (int64_t i = 0; i < axis->values.n; i++) {
        const struct ablate_value *value = axis->values.items[i].value;
        for (int64_t k = 0; k < value->set.n; k++, n++)
            if (strncmp(value->set.items[k], prefix, sizeof prefix - 1) != 0)
                return false;
    }
    return n > 0;
}

char *ablate_run_name(const struct ablate_config *config, int64_t point, const char *seed, bool trained,
                      struct arena *arena)
{
    char *name = arena_strdup(arena, "");
    for (int a = 0; name && a < (int)config->axes.n; a++)
        if (!trained || !ablate_only_restores(ablate_axis_at(config, a)))
            name = arena_printf(arena, "%s%s_", name, ablate_value_at(config, point, a)->name);
    return name ? arena_printf(arena, "%s%ss%s", name, *name ? "" : "all_", seed) : NULL;
}

bool ablate_sets(struct config_strings *ret, const struct ablate_config *config, int64_t point, const char *seed,
                 bool trained, struct arena *arena)
{
    int64_t n = config->set.n + 1;

    for (int a = 0; a < (int)config->axes.n; a++)
        n += ablate_value_at(config, point, a)->set.n;
    struct config_strings sets = {.items = arena_alloc(arena, (size_t)n, sizeof *sets.items)};
    if (!sets.items)
        return false;
    for (int64_t i = 0; i < config->set.n; i++)
        sets.items[sets.n++] = config->set.items[i];

    for (int a = 0; a < (int)config->axes.n; a++) {
        const struct config_strings *own = &ablate_value_at(config, point, a)->set;
        for (int64_t i = 0; i < own->n && !(trained && ablate_only_restores(ablate_axis_at(config, a))); i++)
            sets.items[sets.n++] = own->items[i];
    }

    sets.items[sets.n++] = arena_printf(arena, "seed=%s", seed);

    *ret = sets;
    return sets.items[sets.n - 1] != NULL;
}

/* --- reading --- */

static bool ablate_name_is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".+-", *c))
            return false;
    return *name && *name != '.' && *name != '-';
}

/* Names become parts of folder names, so they must be plain and unique. */
static void ablate_check_axis(const struct ablate_config *config, int a, struct error *error)
{
    const struct ablate_axis *axis = ablate_axis_at(config, a);
    const struct yaml_node *node = config->axes.items[a].node;

    if (axis->values.n == 0)
        yaml_error(error, node, "axes[%d].values: none (at least one { name: ..., set: [...] })", a);

    for (int b = 0; b < a; b++)
        if (strcmp(axis->name, ablate_axis_at(config, b)->name) == 0)
            yaml_error(error, node, "axes[%d].name: '%s' is another axis' name too", a, axis->name);
    if (!ablate_name_is_plain(axis->name))
        yaml_error(error, node, "axes[%d].name: '%s': letters, digits, '.', '+' and '-' alone", a, axis->name);

    for (int64_t i = 0; i < axis->values.n; i++) {
        const struct ablate_value *value = axis->values.items[i].value;
        const struct yaml_node *at = axis->values.items[i].node;
        if (!ablate_name_is_plain(value->name))
            yaml_error(error, at,
                       "axes[%d].values[%" PRId64
                       "].name: '%s': letters, digits, '.', '+' and '-' alone (it names run folders)",
                       a, i, value->name);
        for (int64_t k = 0; k < i; k++)
            if (strcmp(value->name, ((const struct ablate_value *)axis->values.items[k].value)->name) == 0)
                yaml_error(error, at,
                           "axes[%d].values[%" PRId64 "].name: '%s' stands for another value of this axis too", a, i,
                           value->name);
    }
}

static void ablate_check_seeds(const struct ablate_config *config, struct error *error)
{
    const struct yaml_node *node = yaml_get(config->node, "seeds");
    if (config->seeds.n == 0)
        yaml_error(error, node, "seeds: none (at least one, as [1, 2, 3])");
    for (int64_t i = 0; i < config->seeds.n; i++) {
        const char *seed = config->seeds.items[i];
        if (!*seed || strspn(seed, "0123456789") != strlen(seed) || strlen(seed) > 15 || (*seed == '0' && seed[1]))
            yaml_error(error, node, "seeds[%" PRId64 "]: '%s': a whole number from 0 to 999999999999999", i, seed);
        for (int64_t k = 0; k < i; k++)
            if (strcmp(seed, config->seeds.items[k]) == 0)
                yaml_error(error, node, "seeds[%" PRId64 "]: %s is given twice", i, seed);
    }
}

static void ablate_check_metrics(const struct ablate_config *config, struct error *error)
{
    const struct yaml_node *measure = yaml_get(config->node, "evaluate");
    const struct yaml_node *node = measure ? yaml_get(measure, "metrics") : NULL;
    const char *names[64] = {0};

    for (int k = 0; metrics_columns[k].name && k < 63; k++)
        names[k] = metrics_columns[k].name;

    if (config->measure.metrics.n == 0 || config->measure.metrics.n > ABLATE_MAX_METRICS)
        yaml_error(error, node, "evaluate.metrics: %" PRId64 " of them (1 to %d)", config->measure.metrics.n,
                   ABLATE_MAX_METRICS);

    for (int64_t i = 0; i < config->measure.metrics.n; i++) {
        const char *name = config->measure.metrics.items[i];
        bool known = false;
        for (int k = 0; names[k] && !known; k++)
            known = strcmp(names[k], name) == 0;
        const char *near = known ? NULL : config_nearest(name, names);
        if (!known)
            yaml_error(error, node, "evaluate.metrics[%" PRId64 "]: '%s': no such metric (%s%s%s)", i, name,
                       near ? "did you mean '" : "a column of ", near ? near : "`calvaria evaluate`", near ? "'?" : "");
    }
}

static enum status ablate_check(const struct ablate_config *config, struct error *error)
{
    if (config->axes.n == 0 || config->axes.n > ABLATE_MAX_AXES)
        return yaml_error(error, yaml_get(config->node, "axes"), "axes: %" PRId64 " of them (1 to %d)", config->axes.n,
                          ABLATE_MAX_AXES);
    for (int a = 0; a < (int)config->axes.n; a++)
        ablate_check_axis(config, a, error);
    ablate_check_seeds(config, error);
    ablate_check_metrics(config, error);
    if (!error->status && ablate_points(config) > ABLATE_MAX_POINTS)
        return yaml_error(error, yaml_get(config->node, "axes"), "axes: more than %d points in the grid (fewer values)",
                          ABLATE_MAX_POINTS);
    return error->status;
}

/* Each point's recipe is in order before anything is trained. */
static enum status ablate_check_recipes(const struct ablate_config *config, struct error *error)
{
    enum status status = STATUS_OK;
    for (int64_t point = 0; !status && point < ablate_points(config); point++) {
        struct arena arena = {0};
        struct recipe recipe;
        struct config_strings sets;
        char *name = ablate_run_name(config, point, config->seeds.items[0], false, &arena);
        if (!name || !ablate_sets(&sets, config, point, config->seeds.items[0], false, &arena))
            status = error_memory(error, 0, "a point of the grid");
        else if ((status = recipe_read(&recipe, config->base, (int)sets.n, (char *const *)sets.items, &arena, error)) !=
                 STATUS_OK)
            error_while(error, "reading the recipe of %s", name);
        arena_done(&arena);
    }
    return status;
}

/* Paths in the file's overrides start at its folder. */
static enum status ablate_resolve(struct ablate_config *config, const char *file, struct arena *arena,
                                  struct error *error)
{
    enum status status = STATUS_OK;
    for (int64_t i = 0; !status && i < config->set.n; i++)
        status = recipe_override_from(&config->set.items[i], file, arena, error);
    for (int a = 0; !status && a < (int)config->axes.n; a++) {
        const struct config_list *values = &ablate_axis_at(config, a)->values;
        for (int64_t v = 0; !status && v < values->n; v++) {
            struct config_strings *set = &((struct ablate_value *)values->items[v].value)->set;
            for (int64_t i = 0; !status && i < set->n; i++)
                status = recipe_override_from(&set->items[i], file, arena, error);
        }
    }
    return status;
}

enum status ablate_read(struct ablate_config *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error)
{
    struct yaml_node *root;
    struct ablate_config config = {0};

    if (yaml_read_file(&root, path, arena, error) || config_bind(&ablate_table, root, &config, arena, error) ||
        ablate_resolve(&config, path, arena, error))
        return error->status;
    config.node = root;
    const char **all = arena_alloc(arena, (size_t)(config.set.n + n_sets) + 1, sizeof *all);
    if (!all)
        return error_memory(error, 0, "the overrides");
    for (int64_t i = 0; i < config.set.n; i++)
        all[i] = config.set.items[i];
    for (int i = 0; i < n_sets; i++)
        all[config.set.n + i] = sets[i];
    config.set = (struct config_strings){config.set.n + n_sets, all};
    if (ablate_check(&config, error) || ablate_check_recipes(&config, error))
        return error->status;

    *ret = config;
    return STATUS_OK;
}
