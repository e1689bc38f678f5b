/* stages.c - Reading and checking a recipe that lists stages; see stages.h. Test: tests/train/test_stages.c */
#include "train/stages.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static const char stages_prefix[] = "stages.";

#define SHAPE(member) offsetof(struct stage_shape, member)
/* clang-format off */
static const struct config_field stage_data_fields[] = {
    {.key = "set", .type = CONFIG_PATH, .offset = offsetof(struct stage_data, set), .required = true,
     .help = "the dataset, made by 'calvaria pack'"},
    {.key = "folds", .type = CONFIG_TABLE, .offset = offsetof(struct stage_data, fold), .table = &fold_table,
     .help = "cross-validation, as `calvaria train --folds` does"},
    {.key = "defects", .type = CONFIG_PATH, .offset = offsetof(struct stage_data, defects),
     .help = "with folds: generators of the defects that it is measured on; not given: the stored implants"},
    {0}};
static const struct config_table stage_data_table = {
    .help = "The skulls", .size = sizeof(struct stage_data), .fields = stage_data_fields};

static const struct config_field stage_shape_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = SHAPE(name), .required = true,
     .help = "names the stage's folder; later stages take it by this name"},
    {.key = "type", .type = CONFIG_STRING, .offset = SHAPE(type), .text = "shape", .help = "shape: this table"},
    {.key = "data", .type = CONFIG_TABLE, .offset = SHAPE(data), .table = &stage_data_table,
     .help = "skulls; not given: those beside `stages`"},
    {0}};
/* clang-format on */
const struct config_table stage_shape_table = {.help = "A stage that fits a shape model.",
                                               .size = sizeof(struct stage_shape),
                                               .base = &fit_table,
                                               .fields = stage_shape_fields};

/* clang-format off */
static const struct config_field stages_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct stages, name)}, {0}};
/* clang-format on */
static const struct config_table stages_table = {.size = sizeof(struct stages), .fields = stages_fields};

/* --- the tree of one stage --- */

/* A reading of the file for one stage: trees are changed while they are merged, so each stage has its own. */
struct stages_tree {
    struct yaml_node *common; /* the keys beside `stages` */
    struct yaml_node *list;
};

static enum status stages_tree_read(struct stages_tree *ret, const char *path, int n_sets, char *const *sets,
                                    struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    if (yaml_read_extended(&root, path, arena, error))
        return error->status;
    for (int i = 0; i < n_sets; i++)
        if (strncmp(sets[i], stages_prefix, strlen(stages_prefix)) == 0 && yaml_set(root, sets[i], arena, error))
            return error->status;
    ret->list = yaml_remove(root, "stages");
    ret->common = root;
    if (ret->list && (ret->list->kind != YAML_LIST || ret->list->n_items == 0))
        return yaml_error(error, ret->list, "stages: expected a list of stages, as [ { name: shape, type: shape } ]");
    return STATUS_OK;
}

/* The file lists the stages or holds keys beside them, in contrast to the files that a single stage extends. */
static bool stages_is_own_file(const struct stages_tree *tree, const struct yaml_node *key)
{
    bool own = key->line == 0 || strcmp(key->file, tree->common->file) == 0 || strcmp(key->file, tree->list->file) == 0;
    for (int i = 0; i < tree->common->n_items && !own; i++)
        own = strcmp(key->file, tree->common->keys[i]->file) == 0;
    return own;
}

/* Of a stage's tree what stands in the recipe itself, as a tree of its own. NULL when memory is out. */
static struct yaml_node *stages_own(const struct stages_tree *tree, const struct yaml_node *map, struct arena *arena)
{
    struct yaml_node *own = arena_alloc(arena, 1, sizeof *own);
    struct yaml_node **keys = arena_alloc(arena, (size_t)map->n_items + 1, sizeof *keys),
                     **items = arena_alloc(arena, (size_t)map->n_items + 1, sizeof *items);
    if (!own || !keys || !items)
        return NULL;
    *own = *map;
    own->n_items = 0;
    own->keys = keys;
    own->items = items;
    for (int i = 0; i < map->n_items; i++) {
        struct yaml_node *item = map->items[i];
        bool kept = stages_is_own_file(tree, map->keys[i]);
        if (item->kind == YAML_MAP) { /* its key may stand in one file, keys in it in another */
            if (!(item = stages_own(tree, item, arena)))
                return NULL;
            kept = item->n_items > 0;
        }
        if (kept) {
            keys[own->n_items] = map->keys[i];
            items[own->n_items++] = item;
        }
    }
    return own;
}

static const char *stages_scalar(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = map && map->kind == YAML_MAP ? yaml_get(map, key) : NULL;
    return node && node->kind == YAML_SCALAR ? node->text : NULL;
}

/* Letters, digits, '_', '+' and '-': it becomes a folder's name and a word of --set. */
static bool stages_name_is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_+-", *c))
            return false;
    return *name && *name != '-' && !isdigit((unsigned char)*name);
}

static enum status stages_check_names(const struct yaml_node *list, struct error *error)
{
    static const char *const types[] = {"network", "shape", NULL};
    for (int i = 0; i < list->n_items; i++) {
        const struct yaml_node *node = list->items[i];
        const char *name = stages_scalar(node, "name"), *type = stages_scalar(node, "type");
        if (!name) {
            yaml_error(error, node, "stages[%d]: no name (as { name: fine, extends: fine.yaml })", i);
            continue;
        }
        if (!stages_name_is_plain(name))
            yaml_error(error, yaml_get(node, "name"),
                       "stages[%d].name: '%s': a letter first, then letters, digits, '_', '+' and '-' alone (it names "
                       "a folder)",
                       i, name);
        for (int k = 0; k < i; k++)
            if (stages_scalar(list->items[k], "name") && strcmp(name, stages_scalar(list->items[k], "name")) == 0)
                yaml_error(error, yaml_get(node, "name"), "stages[%d].name: '%s' is another stage's name too", i, name);
        if (type && strcmp(type, types[0]) != 0 && strcmp(type, types[1]) != 0) {
            const char *near = config_nearest(type, types);
            yaml_error(error, yaml_get(node, "type"), "stages[%d].type: '%s' is not one of network, shape%s%s%s", i,
                       type, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        }
    }
    return error->status;
}

/* Beside `stages` stand keys of recipes: a shape model's stage would not notice another one. */
static enum status stages_check_common(const struct yaml_node *common, struct error *error)
{
    enum { KEYS = 32 };
    const char *names[KEYS + 2] = {"stages"};
    int n = 1;
    for (const struct config_field *field = recipe_table.fields; field->key && n < KEYS; field++)
        names[n++] = field->key;
    for (int i = 0; i < common->n_items; i++) {
        const struct yaml_node *key = common->keys[i];
        bool known = false;
        for (int k = 0; k < n && !known; k++)
            known = strcmp(key->text, names[k]) == 0;
        const char *near = known ? NULL : config_nearest(key->text, names);
        if (!known)
            yaml_error(error, key, "%s: unknown key%s%s%s", key->text, near ? " (did you mean '" : "", near ? near : "",
                       near ? "'?)" : " (beside `stages` stand a recipe's keys)");
    }
    return error->status;
}

/* --- one stage builds on another --- */

/* The earlier stage that `node` names, or -1: a file, which must be there. */
static int64_t stages_source(const struct stages *stages, int64_t own, const struct yaml_node *list, const char *key,
                             const struct yaml_node *node, struct error *error)
{
    const char *names[256] = {0};
    if (!node || node->kind != YAML_SCALAR || (!node->quoted && strcmp(node->text, "null") == 0))
        return -1;
    for (int64_t i = 0; i < own; i++)
        if (strcmp(node->text, stages->items[i].name) == 0)
            return i;
    for (int i = (int)own; i < list->n_items; i++)
        if (strcmp(node->text, stages_scalar(list->items[i], "name")) == 0) {
            yaml_error(error, node, "%s: '%s' is %s (a stage builds on stages above it)", key, node->text,
                       i == own ? "this stage itself" : "a later stage");
            return -1;
        }

    /* No stage: a file or a run folder, by its path. */
    struct arena arena = {0};
    const char *folder = node->line > 0 ? file_folder(&arena, node->file) : "";
    const char *path = folder ? file_join(&arena, folder, node->text) : NULL;
    if (path && !file_exists(path)) {
        for (int64_t i = 0; i < own && i < 255; i++)
            names[i] = stages->items[i].name;
        const char *near = config_nearest(node->text, names);
        yaml_error(error, node, "%s: '%s': no stage above has this name, and no file%s%s%s", key, node->text,
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    arena_done(&arena);
    return -1;
}

/* Mistakes that would show only when the stage begins, hours after the first. */
static void stages_check_coarse(const struct stages *stages, const struct stage *stage, struct error *error)
{
    const struct stage *coarse = &stages->items[stage->coarse];
    const int64_t channels = stage->recipe.network.input_channels;
    const double *mm = coarse->recipe.restore.working_spacing_mm;
    if (coarse->kind == STAGE_SHAPE)
        return;
    if (coarse->recipe.restore.window.scan != SCAN_WHOLE || !(mm[0] > 0) || mm[1] < mm[0] || mm[1] > mm[0] ||
        mm[2] < mm[0] || mm[2] > mm[0])
        yaml_error(error, recipe_key(&stage->recipe, "coarse"),
                   "coarse: '%s' cannot be a coarse stage (it needs restore: { scan: whole } and data.spacing_mm)",
                   coarse->name);
    if (channels != 2)
        yaml_error(error, recipe_key(&stage->recipe, "network.input_channels"),
                   "network.input_channels: %" PRId64 ", but '%s' predicts one channel beside the skull (2 would fit)",
                   channels, coarse->name);
}

/* A stage that nothing builds on would be trained in vain. */
static enum status stages_check_used(const struct stages *stages, const struct yaml_node *list, struct error *error)
{
    for (int64_t i = 0; i + 1 < stages->n; i++) {
        bool used = false;
        for (int64_t k = i + 1; k < stages->n && !used; k++)
            used = stages->items[k].coarse == i || stages->items[k].init == i;
        if (!used)
            yaml_error(error, list->items[i],
                       "stages[%" PRId64 "]: no later stage builds on '%s' (coarse: %s, or train: { init: %s })", i,
                       stages->items[i].name, stages->items[i].name, stages->items[i].name);
    }
    return error->status;
}

/* --- reading --- */

/* Of overrides for all stages, those that a shape model takes. */
static const char *const stages_shape_keys[] = {"data.set", "data.defects", "data.folds", "seed", "licence"};
enum { N_SHAPE_KEYS = sizeof stages_shape_keys / sizeof *stages_shape_keys };

/* Of the keys beside `stages` a shape model takes few. */
static enum status stages_shape_common(struct yaml_node *map, const struct yaml_node *common, struct arena *arena,
                                       struct error *error)
{
    for (int i = 0; i < common->n_items; i++) {
        const char *key = common->keys[i]->text;
        struct yaml_node *item = common->items[i];
        const bool data = strcmp(key, "data") == 0 && item->kind == YAML_MAP;
        if (strcmp(key, "seed") != 0 && strcmp(key, "licence") != 0 && !data)
            continue;
        for (int k = data ? item->n_items - 1 : -1; k >= 0; k--) {
            bool known = false;
            for (const struct config_field *field = stage_data_fields; field->key && !known; field++)
                known = strcmp(item->keys[k]->text, field->key) == 0;
            if (!known)
                yaml_remove(item, item->keys[k]->text);
        }
        struct yaml_node one = {.kind = YAML_MAP, .n_items = 1, .keys = &common->keys[i], .items = &item};
        struct yaml_node *own = yaml_remove(map, key);
        struct yaml_node mine = {.kind = YAML_MAP, .n_items = 1, .keys = &common->keys[i], .items = &own};
        if (yaml_merge(map, &one, arena, error) || (own && yaml_merge(map, &mine, arena, error)))
            return error->status;
    }
    return STATUS_OK;
}

static enum status stages_read_shape(struct stage *stage, struct yaml_node *item, const struct yaml_node *common,
                                     int n_sets, char *const *sets, struct arena *arena, struct error *error)
{
    if (stages_shape_common(item, common, arena, error))
        return error->status;
    for (int i = 0; i < n_sets; i++)
        for (int k = 0; k < N_SHAPE_KEYS; k++) {
            const size_t length = strlen(stages_shape_keys[k]);
            if (strncmp(sets[i], stages_shape_keys[k], length) == 0 && strchr("=.", sets[i][length]) &&
                yaml_set(item, sets[i], arena, error))
                return error->status;
        }
    if (config_bind(&stage_shape_table, item, &stage->shape, arena, error) ||
        recipe_absolute(&stage->shape.data.set, arena, error) ||
        recipe_absolute(&stage->shape.data.defects, arena, error) ||
        recipe_absolute(&stage->shape.fit.from, arena, error))
        return error->status;
    stage->shape.fit.fold = stage->shape.data.fold;
    stage->shape.fit.sets = (struct config_strings){1, &stage->shape.data.set};
    stage->node = item;
    return STATUS_OK;
}

static enum status stages_read_network(struct stages *stages, int64_t own, struct yaml_node *root,
                                       const struct stages_tree *tree, int n_sets, char *const *sets,
                                       struct arena *arena, struct error *error)
{
    struct stage *stage = &stages->items[own];
    struct recipe *recipe = &stage->recipe;

    /* The files that the stage extends, over them the keys beside `stages`, over all the stage's own keys. */
    yaml_remove(root, "type");
    struct yaml_node *keys = stages_own(tree, root, arena);
    yaml_remove(tree->common, "name"); /* of the run; a stage has its own */
    if (!keys)
        return error_memory(error, 0, "a stage's keys");
    if (yaml_merge(root, tree->common, arena, error) || yaml_merge(root, keys, arena, error))
        return error->status;
    for (int i = 0; i < n_sets; i++)
        if (strncmp(sets[i], stages_prefix, strlen(stages_prefix)) != 0 && yaml_set(root, sets[i], arena, error))
            return error->status;

    /* What it builds on, before the names become paths. */
    const struct yaml_node *train = yaml_get(root, "train");
    stage->coarse = stages_source(stages, own, tree->list, "coarse", yaml_get(root, "coarse"), error);
    stage->init = stages_source(stages, own, tree->list, "train.init",
                                train && train->kind == YAML_MAP ? yaml_get(train, "init") : NULL, error);
    if (recipe_bind(recipe, root, arena, error))
        return error->status;
    stage->node = root;
    if (stage->coarse >= 0)
        stages_check_coarse(stages, stage, error);
    if (stage->coarse >= 0)
        recipe->coarse = NULL;
    if (stage->init >= 0)
        recipe->train.init = NULL;
    return error->status;
}

static enum status stages_read_one(struct stages *stages, int64_t own, const char *path, int n_sets, char *const *sets,
                                   struct arena *arena, struct error *error)
{
    struct stages_tree tree = {0};
    struct stage *stage = &stages->items[own];
    if (stages_tree_read(&tree, path, n_sets, sets, arena, error))
        return error->status;
    struct yaml_node *item = tree.list->items[own];
    const char *type = stages_scalar(item, "type");
    *stage = (struct stage){.name = stages_scalar(item, "name"), .coarse = -1, .init = -1};
    stage->kind = type && strcmp(type, "shape") == 0 ? STAGE_SHAPE : STAGE_NETWORK;
    const enum status status = stage->kind == STAGE_SHAPE
                                   ? stages_read_shape(stage, item, tree.common, n_sets, sets, arena, error)
                                   : stages_read_network(stages, own, item, &tree, n_sets, sets, arena, error);
    return status ? error_while(error, "reading stage '%s'", stage->name) : STATUS_OK;
}

enum status stages_read(struct stages *ret, const char *path, int n_sets, char *const *sets, struct arena *arena,
                        struct error *error)
{
    struct stages_tree tree = {0};
    struct stages stages = {0};
    if (stages_tree_read(&tree, path, n_sets, sets, arena, error))
        return error->status;
    if (!tree.list) {
        *ret = stages;
        return STATUS_OK;
    }
    if (stages_check_names(tree.list, error) || stages_check_common(tree.common, error))
        return error->status;

    /* In order: a stage knows those above it. */
    const char *name = stages_scalar(tree.common, "name");
    stages.name = name ? name : "run";
    stages.items = arena_alloc(arena, (size_t)tree.list->n_items, sizeof *stages.items);
    if (!stages.items)
        return error_memory(error, (size_t)tree.list->n_items * sizeof *stages.items, "the stages");
    for (; stages.n < tree.list->n_items; stages.n++)
        if (stages_read_one(&stages, stages.n, path, n_sets, sets, arena, error))
            return error->status;
    if (stages_check_used(&stages, tree.list, error))
        return error->status;
    *ret = stages;
    return STATUS_OK;
}

static void stages_check_file(const struct yaml_node *node, const char *key, const char *path, const char *fix,
                              struct error *error)
{
    if (path && !file_exists(path))
        yaml_error(error, node, "%s: %s: no such file (%s)", key, path, fix);
}

enum status stages_check_files(const struct stages *stages, struct error *error)
{
    static const char pack[] = "make one with `calvaria pack`, name it with --set data.set=FILE.h5";
    for (int64_t i = 0; i < stages->n; i++) {
        const struct stage *stage = &stages->items[i];
        const struct recipe *recipe = &stage->recipe;
        if (stage->kind == STAGE_SHAPE) {
            stages_check_file(stage->node, "data.set", stage->shape.data.set, pack, error);
            stages_check_file(stage->node, "from", stage->shape.fit.from, "a shape model of these skulls", error);
            continue;
        }
        stages_check_file(recipe_key(recipe, "data.set"), "data.set", recipe->data.set, pack, error);
        stages_check_file(recipe_key(recipe, "data.defects"), "data.defects", recipe->data.defects,
                          "generators, as configs/defects/mixed.yaml", error);
    }
    return error->status;
}

static const struct yaml_node *stages_child(const struct yaml_node *node, const char *key)
{
    return node && node->kind == YAML_MAP ? yaml_get(node, key) : NULL;
}

struct stages_look stages_look(const char *path, int n_sets, char *const *sets)
{
    struct arena arena = {0};
    struct error ignored = {0};
    struct stages_look ret = {0};
    struct yaml_node *root = NULL;
    if (yaml_read_extended(&root, path, &arena, &ignored) == STATUS_OK) {
        for (int i = 0; i < n_sets; i++)
            yaml_set(root, sets[i], &arena, &ignored);
        const struct yaml_node *list = yaml_get(root, "stages"),
                               *first = list && list->kind == YAML_LIST && list->n_items ? list->items[0] : NULL;
        const struct yaml_node *maps[] = {stages_child(stages_child(first, "data"), "folds"),
                                          stages_child(stages_child(root, "data"), "folds")};
        ret.stages = list != NULL;
        for (int i = 0; i < 2; i++) { /* beside the stages wins: overrides stand there */
            const char *number = stages_scalar(maps[i], "number"), *held_out = stages_scalar(maps[i], "held_out");
            ret.folds.number = number ? strtoll(number, NULL, 10) : ret.folds.number;
            ret.folds.held_out = held_out ? strtoll(held_out, NULL, 10) : ret.folds.held_out;
        }
    }
    ret.no_memory = ignored.no_memory;
    arena_done(&arena);
    return ret;
}

/* --- writing --- */

/* The lines of a dump as an item of the list. What stands for a stage has its name in place of "null". */
static void stages_print(FILE *file, const struct stages *stages, const struct stage *stage, const char *dump)
{
    static const char coarse[] = "coarse: null\n", init[] = "  init: null\n";
    for (const char *line = dump; *line;) {
        const size_t length = strcspn(line, "\n") + 1;
        const bool is_coarse = stage->coarse >= 0 && strncmp(line, coarse, sizeof coarse - 1) == 0;
        const bool is_init = stage->init >= 0 && strncmp(line, init, sizeof init - 1) == 0;
        fprintf(file, "  %s ", line == dump ? "-" : " ");
        if (is_coarse || is_init)
            fprintf(file, "%s: %s\n", is_coarse ? "coarse" : "  init",
                    stages->items[is_coarse ? stage->coarse : stage->init].name);
        else
            fwrite(line, 1, length, file);
        line += length;
    }
}

char *stages_text(const struct stages *stages)
{
    struct error error = {0};
    struct text text;
    char *whole;
    if (text_open(&text, &error))
        return NULL;
    bool ok = config_dump(&stages_table, stages, text.file);

    if (ok)
        fputs("stages:\n", text.file);
    for (int64_t i = 0; ok && i < stages->n; i++) {
        const struct stage *stage = &stages->items[i];
        char *dump = stage->kind == STAGE_SHAPE ? config_dump_text(&stage_shape_table, &stage->shape)
                                                : config_dump_text(&recipe_table, &stage->recipe);
        ok = dump != NULL;
        if (ok)
            stages_print(text.file, stages, stage, dump);
        memory_free(dump);
    }
    text_close(&whole, &text, ok ? STATUS_OK : STATUS_FAILED, &error);
    return whole;
}
