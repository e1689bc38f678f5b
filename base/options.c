/* options.c - see options.h. The table and the tables nested in it are first laid out flat. Test:
 * tests/base/test_options.c */
#include "base/options.h"

#include <string.h>

#include "base/log.h"

/* clang-format off */
static const struct config_field overwrite_fields[] = {
    {.key = "overwrite", .type = CONFIG_BOOL, .offset = 0, .text = "false",
     .help = "replace files that are there already"},
    {0},
};
/* clang-format on */
const struct config_table overwrite_table = {
    .help = "Files that are there already", .size = sizeof(bool), .fields = overwrite_fields};

struct option {
    const struct config_field *field;
    size_t offset;      /* of the field's struct in the value */
    const char *prefix; /* of nested tables: "mesh", or "" */
    char *name;         /* "mesh-space", in the arena */
    char *old_name;     /* of a key that was renamed, or NULL */
    bool given;
};

struct options {
    const struct config_table *table;
    struct option *items;
    int n, capacity;
    char *value;
    struct arena *arena;
    struct error *error;
};

static bool option_takes_no_value(const struct option *option)
{
    return option->field->type == CONFIG_BOOL;
}

static enum status options_memory(struct options *options)
{
    return error_memory(options->error, sizeof(struct option), "the options");
}

static char *option_name(struct arena *arena, const char *prefix, const char *key)
{
    char *name = arena_printf(arena, "%s%s%s", prefix, *prefix ? "-" : "", key);
    for (char *c = name; c && *c; c++)
        if (*c == '_')
            *c = '-';
    return name;
}

static enum status options_add(struct options *options, const struct config_field *field, size_t offset,
                               const char *prefix)
{
    if (options->n == options->capacity) {
        int capacity = 2 * options->capacity + 16;
        struct option *items = arena_alloc(options->arena, (size_t)capacity, sizeof *items);
        if (!items)
            return options_memory(options);
        if (options->n)
            memcpy(items, options->items, (size_t)options->n * sizeof *items);
        options->items = items;
        options->capacity = capacity;
    }

    char *name = option_name(options->arena, prefix, field->key);
    char *old_name = field->old_key ? option_name(options->arena, prefix, field->old_key) : NULL;
    if (!name || (field->old_key && !old_name))
        return options_memory(options);
    options->items[options->n++] =
        (struct option){.field = field, .offset = offset, .prefix = prefix, .name = name, .old_name = old_name};
    return STATUS_OK;
}

static enum status options_flatten(struct options *options, const struct config_table *table, size_t offset,
                                   const char *prefix)
{
    enum status status = table->base ? options_flatten(options, table->base, offset, prefix) : STATUS_OK;
    for (const struct config_field *field = table->fields; !status && field && field->key; field++) {
        if (field->type == CONFIG_LIST || field->type == CONFIG_CHOICE)
            continue;
        if (field->type != CONFIG_TABLE) {
            status = options_add(options, field, offset, prefix);
            continue;
        }
        const char *inner = *field->key ? option_name(options->arena, prefix, field->key) : prefix;
        status =
            inner ? options_flatten(options, field->table, offset + field->offset, inner) : options_memory(options);
    }
    return status;
}

static struct option *options_find(struct options *options, const char *name, size_t length)
{
    for (int i = 0; i < options->n; i++) {
        struct option *option = &options->items[i];
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
        if (option->old_name && strlen(option->old_name) == length && memcmp(option->old_name, name, length) == 0) {
            log_info_once("--%s is now called --%s (the old name still works)", option->old_name, option->name);
            return option;
        }
    }
    return NULL;
}

static enum status options_unknown(struct options *options, const char *word)
{
    const char **names = arena_alloc(options->arena, (size_t)options->n + 1, sizeof *names);
    char *name = arena_strdup(options->arena, word + strspn(word, "-"));
    if (!names || !name)
        return options_memory(options);
    name[strcspn(name, "=")] = '\0';
    for (int i = 0; i < options->n; i++)
        names[i] = options->items[i].name;
    const char *near = config_nearest(name, names);
    if (near)
        return error_add(options->error, STATUS_USAGE, "%s: unknown option (did you mean '--%s'?)", word, near);
    return error_add(options->error, STATUS_USAGE, "%s: unknown option (see --help)", word);
}

static enum status option_append(struct options *options, struct option *option, const char *text)
{
    struct config_strings *strings = (void *)(options->value + option->offset + option->field->offset);
    const char **items = arena_alloc(options->arena, (size_t)strings->n + 1, sizeof *items);
    if (!items)
        return options_memory(options);
    if (strings->n)
        memcpy(items, strings->items, (size_t)strings->n * sizeof *items);
    items[strings->n++] = text;
    strings->items = items;
    return STATUS_OK;
}

static enum status option_set(struct options *options, struct option *option, const char *text)
{
    char *where = arena_printf(options->arena, "--%s", option->name);
    if (!where)
        return options_memory(options);
    if (option->field->type == CONFIG_STRINGS) {
        option->given = true;
        return option_append(options, option, text);
    }
    if (option->given)
        return error_add(options->error, STATUS_USAGE, "%s: given twice (give it once)", where);
    option->given = true;
    return config_set_text(option->field, options->value + option->offset, text, where, options->arena, options->error);
}

/* argv[i] begins with "--" and is more. *ret_used: words taken, 1 or 2. */
static enum status options_take(struct options *options, int argc, char *const *argv, int i, int *ret_used)
{
    const char *word = argv[i] + 2;
    size_t length = strcspn(word, "=");
    struct option *option = options_find(options, word, length);

    *ret_used = 1;
    if (!option && length > 3 && memcmp(word, "no-", 3) == 0 && !word[length]) {
        option = options_find(options, word + 3, length - 3);
        if (option && option_takes_no_value(option))
            return option_set(options, option, "false");
        option = NULL;
    }

    if (!option)
        return options_unknown(options, argv[i]);
    if (word[length])
        return option_set(options, option, word + length + 1);
    if (option_takes_no_value(option))
        return option_set(options, option, "true");
    if (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0)
        return error_add(options->error, STATUS_USAGE, "--%s: a value is missing (give --%s VALUE)", option->name,
                         option->name);
    *ret_used = 2;

    return option_set(options, option, argv[i + 1]);
}

static enum status options_default(struct options *options)
{
    enum status status = STATUS_OK;
    memset(options->value, 0, options->table->size);
    for (int i = 0; !status && i < options->n; i++) {
        struct option *option = &options->items[i];
        if (option->field->text && option->field->type != CONFIG_STRINGS)
            status = config_set_text(option->field, options->value + option->offset, option->field->text, option->name,
                                     options->arena, options->error);
    }
    return status;
}

static void options_require(struct options *options)
{
    for (int i = 0; i < options->n; i++) {
        const struct option *option = &options->items[i];
        if (option->field->required && !option->given)
            error_add(options->error, STATUS_USAGE, "--%s: is missing (%s)", option->name, option->field->help);
    }
}

/* Rules that span keys: the outermost table's and those of the tables nested in it. */
static void options_check(struct options *options, const struct config_table *table, size_t offset)
{
    if (table->base)
        options_check(options, table->base, offset);
    for (const struct config_field *field = table->fields; field && field->key; field++)
        if (field->type == CONFIG_TABLE)
            options_check(options, field->table, offset + field->offset);
    if (table->check)
        table->check(options->value + offset, NULL, options->error);
}

enum status options_parse(const struct config_table *table, void *value, int argc, char *const *argv,
                          struct config_strings *ret_arguments, struct arena *arena, struct error *error)
{
    struct options options = {.table = table, .value = value, .arena = arena, .error = error};
    const char **arguments = arena_alloc(arena, (size_t)argc + 1, sizeof *arguments);
    if (!arguments)
        return options_memory(&options);
    if (options_flatten(&options, table, 0, "") || options_default(&options))
        return error->status;
    int64_t n = 0;

    for (int i = 0, used = 1; i < argc; i += used) {
        used = 1;
        if (strcmp(argv[i], "--") == 0) {
            while (++i < argc)
                arguments[n++] = argv[i];
        } else if (strncmp(argv[i], "--", 2) == 0) {
            options_take(&options, argc, argv, i, &used);
        } else if (argv[i][0] == '-' && argv[i][1]) {
            options_unknown(&options, argv[i]);
        } else {
            arguments[n++] = argv[i];
        }
    }

    if (!error->status)
        options_require(&options);
    if (!error->status)
        options_check(&options, table, 0);
    if (!error->status)
        *ret_arguments = (struct config_strings){n, arguments};

    return error->status;
}

static void options_print_choices(const char *const *names, FILE *file)
{
    for (int i = 0; names[i]; i++)
        fprintf(file, "%s%s", i ? "|" : "", names[i]);
}

/* "--space lps|ras"; file NULL: only its length. */
static int options_print_left(const struct option *option, FILE *file)
{
    static const char *const words[] = {
        [CONFIG_INT] = " N",     [CONFIG_DOUBLE] = " F",     [CONFIG_BOOL] = "",       [CONFIG_STRING] = " TEXT",
        [CONFIG_PATH] = " PATH", [CONFIG_ENUM] = " ",        [CONFIG_INT3] = " X,Y,Z", [CONFIG_DOUBLE3] = " X,Y,Z",
        [CONFIG_RANGE] = " A,B", [CONFIG_STRINGS] = " TEXT",
    };

    const char *word = words[option->field->type];
    size_t length = 2 + strlen(option->name) + strlen(word);
    if (option->field->type == CONFIG_ENUM)
        for (int i = 0; option->field->names[i]; i++)
            length += strlen(option->field->names[i]) + (i ? 1 : 0);
    if (file) {
        fprintf(file, "--%s%s", option->name, word);
        if (option->field->type == CONFIG_ENUM)
            options_print_choices(option->field->names, file);
    }

    return (int)length;
}

static void options_print_option(const struct option *option, int width, FILE *file)
{
    const struct config_field *field = option->field;
    fprintf(file, "  ");
    int pad = width - options_print_left(option, file);
    fprintf(file, "%*s  %s", pad > 0 ? pad : 0, "", field->help ? field->help : "");
    if (field->unit)
        fprintf(file, " [%s]", field->unit);
    if (field->required)
        fprintf(file, " (required)");
    else if (field->type == CONFIG_STRINGS)
        fprintf(file, " (may be given again)");
    else if (field->text && *field->text && !(field->type == CONFIG_BOOL && strcmp(field->text, "false") == 0))
        fprintf(file, " (default %s)", field->text);
    fprintf(file, "\n");
}

enum status options_help(const struct config_table *table, FILE *file, struct error *error)
{
    struct arena arena = {0};
    struct options options = {.table = table, .arena = &arena, .error = error};
    const enum status status = options_flatten(&options, table, 0, "");
    if (!status) {
        int width = 0;
        for (int i = 0; i < options.n; i++) {
            int left = options_print_left(&options.items[i], NULL);
            width = left > width && left <= 40 ? left : width;
        }
        for (int i = 0; i < options.n; i++)
            options_print_option(&options.items[i], width, file);
    }
    arena_done(&arena);
    return status;
}
