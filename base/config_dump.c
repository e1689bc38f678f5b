/* config_dump.c - a bound struct as YAML that reads back to the same bytes. See config.h. Test:
 * tests/base/test_config_dump.c */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_bind.h"
#include "base/file.h"

/* Text that grows. Once memory is out, `failed` stays and nothing more is added. */
struct dump {
    char *text;
    size_t length, capacity;
    bool failed;
    bool dash;       /* the next line begins an item: "- " stands in its indent */
    bool base_names; /* of a path, its last part alone */
};

static void dump_bytes(struct dump *dump, const char *bytes, size_t n)
{
    if (dump->failed)
        return;
    if (dump->length + n + 1 > dump->capacity) {
        size_t capacity = (dump->length + n + 1) * 2;
        char *text = memory_resize(dump->text, dump->length, capacity);
        if (!text) {
            dump->failed = true;
            return;
        }
        dump->text = text;
        dump->capacity = capacity;
    }
    memcpy(dump->text + dump->length, bytes, n);
    dump->length += n;
    dump->text[dump->length] = '\0';
}

static void dump_text(struct dump *dump, const char *text)
{
    dump_bytes(dump, text, strlen(text));
}

/* Short formats alone: numbers. */
static void dump_format(struct dump *dump, const char *format, ...) ERROR_PRINTF(2, 3);
static void dump_format(struct dump *dump, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dump_text(dump, text);
}

/* The fewest digits that read back as the same number; with a point beside an exponent, for readers of YAML 1.1. */
static void dump_double(struct dump *dump, double value)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    const char *exponent = strchr(text, 'e');
    if (exponent && !strchr(text, '.'))
        dump_format(dump, "%.*s.0%s", (int)(exponent - text), text, exponent);
    else
        dump_text(dump, text);
}

/* A word that no YAML reader takes for anything but a text. */
static bool dump_is_plain(const char *text)
{
    static const char *const taken[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"};
    if (!isalpha((unsigned char)text[0]) && text[0] != '/' && text[0] != '_')
        return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strlen(text) == strlen(taken[i]) && tolower((unsigned char)text[0]) == taken[i][0] &&
            tolower((unsigned char)text[strlen(text) - 1]) == taken[i][strlen(taken[i]) - 1])
            return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_./-+", *text))
            return false;
    return true;
}

static void dump_string(struct dump *dump, const char *text)
{
    if (!text) {
        dump_text(dump, "null");
        return;
    }

    if (dump_is_plain(text)) {
        dump_text(dump, text);
        return;
    }

    dump_text(dump, "\"");
    for (; *text; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\')
            dump_format(dump, "\\%c", letter);
        else if (letter < ' ' || letter == 127)
            dump_format(dump, "\\x%02X", letter);
        else
            dump_bytes(dump, text, 1);
    }
    dump_text(dump, "\"");
}

/* Absolute, so that the dump means the same wherever it is read on this machine. */
static void dump_path(struct dump *dump, const char *path)
{
    if (!path || *path == '/' || dump->base_names) {
        dump_string(dump, path && dump->base_names ? file_base(path) : path);
        return;
    }

    char *whole = realpath(path, NULL); /* from malloc, as getcwd's */
    if (whole) {
        dump_string(dump, whole);
        free(whole);
        return;
    }

    /* realpath fails for what does not exist yet, as the folder of a run. */
    char *folder = errno == ENOMEM ? NULL : getcwd(NULL, 0),
         *joined = folder ? memory_printf("%s/%s", folder, path) : NULL;
    if (joined)
        dump_string(dump, joined);
    else
        dump->failed = true;
    memory_free(joined);
    free(folder);
}

static void dump_value(struct dump *dump, const struct config_field *field, const void *slot)
{
    const struct config_strings *strings = slot;
    int n = field->type == CONFIG_RANGE ? 2 : 3;

    switch (field->type) {
    case CONFIG_INT:
        dump_format(dump, "%" PRId64, *(const int64_t *)slot);
        break;
    case CONFIG_DOUBLE:
        dump_double(dump, *(const double *)slot);
        break;
    case CONFIG_BOOL:
        dump_text(dump, *(const bool *)slot ? "true" : "false");
        break;
    case CONFIG_STRING:
        dump_string(dump, *(const char *const *)slot);
        break;
    case CONFIG_PATH:
        dump_path(dump, *(const char *const *)slot);
        break;
    case CONFIG_ENUM:
        dump_string(dump, field->names[*(const int *)slot]);
        break;
    case CONFIG_INT3:
    case CONFIG_DOUBLE3:
    case CONFIG_RANGE:
        for (int i = 0; i < n; i++) {
            dump_text(dump, i ? ", " : "[");
            if (field->type == CONFIG_INT3)
                dump_format(dump, "%" PRId64, ((const int64_t *)slot)[i]);
            else
                dump_double(dump, ((const double *)slot)[i]);
        }
        dump_text(dump, "]");
        break;
    case CONFIG_STRINGS:
        dump_text(dump, "[");
        for (int64_t i = 0; i < strings->n; i++) {
            dump_text(dump, i ? ", " : "");
            dump_string(dump, strings->items[i]);
        }
        dump_text(dump, "]");
        break;
    case CONFIG_TABLE:
    case CONFIG_LIST:
    case CONFIG_CHOICE:
        break; /* dump_field */
    }
}

static void dump_indent(struct dump *dump, int indent)
{
    for (int i = 0; i < indent - (dump->dash ? 2 : 0); i++)
        dump_text(dump, " ");
    if (dump->dash)
        dump_text(dump, "- ");
    dump->dash = false;
}

static void dump_table(struct dump *dump, const struct config_table *table, const void *value, int indent);

/* "key:" and the table's lines below it, or "key: {}". */
static void dump_nested(struct dump *dump, const struct config_table *table, const void *value, int indent)
{
    size_t before = dump->length;
    dump_text(dump, "\n");
    size_t begin = dump->length;
    dump_table(dump, table, value, indent + 2);
    if (dump->length == begin && !dump->failed) {
        dump->length = before;
        dump_text(dump, " {}\n");
    }
}

static void dump_list(struct dump *dump, const struct config_list *list, int indent)
{
    dump_text(dump, list->n ? "\n" : " []\n");
    for (int64_t i = 0; i < list->n; i++) {
        dump->dash = true;
        dump_table(dump, list->items[i].table, list->items[i].value, indent + 4);
        if (dump->dash) {
            dump_indent(dump, indent + 4);
            dump_text(dump, "{}\n");
        }
    }
}

static void dump_field(struct dump *dump, const struct config_field *field, const void *value, int indent)
{
    const void *slot = (const char *)value + field->offset;
    const struct config_item *item = slot;

    dump_indent(dump, indent);
    dump_text(dump, field->key);
    dump_text(dump, ":");
    if (field->type == CONFIG_TABLE)
        dump_nested(dump, field->table, slot, indent);
    else if (field->type == CONFIG_LIST)
        dump_list(dump, slot, indent);
    else if (field->type == CONFIG_CHOICE && item->table)
        dump_nested(dump, item->table, item->value, indent);
    else if (field->type == CONFIG_CHOICE)
        dump_text(dump, " null\n");
    else {
        dump_text(dump, " ");
        dump_value(dump, field, slot);
        dump_text(dump, "\n");
    }
}

static bool dump_is_default(struct dump *dump, const struct config_field *field, const void *value,
                            const void *defaults)
{
    struct dump a = {0}, b = {0};
    dump_field(&a, field, value, 0);
    dump_field(&b, field, defaults, 0);
    bool failed = a.failed || b.failed;
    bool same = !failed && strcmp(a.text, b.text) == 0;
    dump->failed |= failed;
    memory_free(a.text);
    memory_free(b.text);
    return same;
}

static void dump_table(struct dump *dump, const struct config_table *table, const void *value, int indent)
{
    const struct config_field *fields[CONFIG_MAX_KEYS];
    int n = config_fields(table, fields);
    struct arena arena = {0};
    void *defaults = NULL;

    /* Of sparse tables, only keys that differ from their defaults are written. */
    if (table->sparse) {
        struct error error = {0};
        defaults = arena_alloc(&arena, 1, table->size);
        if (!defaults || config_bind(table, NULL, defaults, &arena, &error))
            dump->failed = true;
    }

    if (table->type) {
        dump_indent(dump, indent);
        dump_text(dump, "type: ");
        dump_string(dump, table->type);
        dump_text(dump, "\n");
    }

    for (int i = 0; i < n && !dump->failed; i++)
        if (!defaults || !dump_is_default(dump, fields[i], value, defaults))
            dump_field(dump, fields[i], value, indent);
    arena_done(&arena);
}

static char *dump_whole(const struct config_table *table, const void *value, bool base_names)
{
    struct dump dump = {.base_names = base_names};
    dump_text(&dump, "");
    dump_table(&dump, table, value, 0);
    if (dump.failed) {
        memory_free(dump.text);
        return NULL;
    }
    return dump.text;
}

char *config_dump_text(const struct config_table *table, const void *value)
{
    return dump_whole(table, value, false);
}

char *config_dump_portable(const struct config_table *table, const void *value)
{
    return dump_whole(table, value, true);
}

bool config_dump(const struct config_table *table, const void *value, FILE *file)
{
    char *text = config_dump_text(table, value);
    bool written = text && fputs(text, file) >= 0;
    memory_free(text);
    return written;
}
