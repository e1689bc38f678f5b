/* yaml.c - see yaml.h. The tree is built from libyaml's events, in one pass and with a bounded depth. Test:
 * tests/base/test_yaml.c */
#include "base/yaml.h"

#include <stdarg.h>
#include <string.h>

#include <yaml.h>

#include "base/file.h"
#include "base/yaml_node.h"

enum { YAML_MAX_KEYS = 10000, YAML_MAX_NODES = 1000000 };
static const size_t yaml_max_bytes = (size_t)16 << 20;

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    const char *file, *text;
    struct arena *arena;
    struct error *error;
    int64_t n_nodes;
};

void yaml_place(char *text, size_t size, const struct yaml_node *node)
{
    text[0] = '\0';
    if (node && node->line > 0)
        snprintf(text, size, "%s:%d:%d: ", node->file, node->line, node->column);
    else if (node)
        snprintf(text, size, "%s: ", node->file);
}

enum status yaml_error(struct error *error, const struct yaml_node *node, const char *format, ...)
{
    char place[ERROR_CAPACITY / 4], message[ERROR_CAPACITY / 2];
    yaml_place(place, sizeof place, node);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_add(error, STATUS_USAGE, "%s%s", place, message);
}

static enum status yaml_fail(struct yaml_reader *reader, yaml_mark_t mark, const char *why)
{
    return error_add(reader->error, STATUS_USAGE, "%s:%zu:%zu: %s", reader->file, mark.line + 1, mark.column + 1, why);
}

static enum status yaml_fail_memory(struct error *error)
{
    return error_memory(error, sizeof(struct yaml_node), "a YAML document");
}

/* Line and column of a byte: libyaml's reader knows nothing but the offset of a bad one. */
static yaml_mark_t yaml_mark_of(const char *text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n')
            mark.line++, mark.column = 0;
        else if (((unsigned char)text[i] & 0xC0) != 0x80)
            mark.column++;
    }
    return mark;
}

/* Whether line number `line` (from 0) is indented with a tab. */
static bool yaml_has_tab(const char *text, size_t line)
{
    while (line && (text = strchr(text, '\n')))
        text++, line--;
    return text && text[strspn(text, " ")] == '\t';
}

/* What libyaml found wrong, in its words, and what helps. */
static enum status yaml_fail_syntax(struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "malformed";
    if (parser->error == YAML_MEMORY_ERROR)
        return yaml_fail_memory(reader->error);
    if (parser->error == YAML_READER_ERROR) {
        yaml_mark_t mark = yaml_mark_of(reader->text, parser->problem_offset);
        return error_add(reader->error, STATUS_USAGE, "%s:%zu:%zu: not text: %s (save the file as UTF-8)", reader->file,
                         mark.line + 1, mark.column + 1, problem);
    }

    yaml_mark_t at = parser->problem_mark;
    const char *hint = yaml_has_tab(reader->text, at.line) ? " (indent with spaces, not tabs)" : "";
    if (!parser->context)
        return error_add(reader->error, STATUS_USAGE, "%s:%zu:%zu: not YAML: %s%s", reader->file, at.line + 1,
                         at.column + 1, problem, hint);
    return error_add(reader->error, STATUS_USAGE, "%s:%zu:%zu: not YAML: %s, %s that begins in line %zu%s",
                     reader->file, at.line + 1, at.column + 1, problem, parser->context, parser->context_mark.line + 1,
                     hint);
}

static enum status yaml_next(struct yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    return yaml_parser_parse(&reader->parser, &reader->event) ? STATUS_OK : yaml_fail_syntax(reader);
}

struct yaml_node *yaml_node_new(struct arena *arena, enum yaml_kind kind, const char *file, int line, int column)
{
    struct yaml_node *node = arena_alloc(arena, 1, sizeof *node);
    if (node)
        *node = (struct yaml_node){.kind = kind, .file = file, .line = line, .column = column};
    return node;
}

/* Room for one more item (and key) behind n_items; the arrays double at powers of two. */
static bool yaml_reserve(struct yaml_node *node, struct arena *arena)
{
    int n = node->n_items;
    if (n && (n & (n - 1)))
        return true;
    size_t room = n ? (size_t)n * 2 : 1;
    struct yaml_node **items = arena_alloc(arena, room, sizeof(struct yaml_node *));
    struct yaml_node **keys = node->kind == YAML_MAP ? arena_alloc(arena, room, sizeof(struct yaml_node *)) : NULL;
    if (!items || (node->kind == YAML_MAP && !keys))
        return false;
    if (n)
        memcpy(items, node->items, (size_t)n * sizeof(struct yaml_node *));
    if (n && keys)
        memcpy(keys, node->keys, (size_t)n * sizeof(struct yaml_node *));
    node->items = items;
    node->keys = keys;
    return true;
}

int yaml_find(const struct yaml_node *map, const char *key)
{
    for (int i = 0; i < map->n_items; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return i;
    return -1;
}

bool yaml_append(struct yaml_node *node, struct yaml_node *key, struct yaml_node *item, struct arena *arena)
{
    if (!yaml_reserve(node, arena))
        return false;
    if (node->kind == YAML_MAP)
        node->keys[node->n_items] = key;
    node->items[node->n_items++] = item;
    return true;
}

static enum status yaml_build(struct yaml_reader *reader, struct yaml_node **ret, int depth);

static enum status yaml_build_list(struct yaml_reader *reader, struct yaml_node *list, int depth)
{
    for (;;) {
        enum status status = yaml_next(reader);
        if (status || reader->event.type == YAML_SEQUENCE_END_EVENT)
            return status;
        struct yaml_node *item;
        if ((status = yaml_build(reader, &item, depth + 1)))
            return status;
        if (!yaml_append(list, NULL, item, reader->arena))
            return yaml_fail_memory(reader->error);
    }
}

static enum status yaml_build_key(struct yaml_reader *reader, struct yaml_node **ret_key, const struct yaml_node *map,
                                  int depth)
{
    struct yaml_node *key;
    yaml_mark_t mark = reader->event.start_mark;
    if (reader->event.type == YAML_MAPPING_START_EVENT || reader->event.type == YAML_SEQUENCE_START_EVENT)
        return yaml_fail(reader, mark, "a list or map as a key: keys are words");
    enum status status = yaml_build(reader, &key, depth + 1);
    if (status)
        return status;
    if (map->n_items >= YAML_MAX_KEYS)
        return yaml_fail(reader, mark, "more than 10000 keys in one map (is it the right file?)");
    int first = yaml_find(map, key->text);
    if (first >= 0)
        return yaml_error(reader->error, key, "%s: key given twice, first in line %d (keep one)", key->text,
                          map->keys[first]->line);
    *ret_key = key;
    return STATUS_OK;
}

static enum status yaml_build_map(struct yaml_reader *reader, struct yaml_node *map, int depth)
{
    for (;;) {
        enum status status = yaml_next(reader);
        if (status || reader->event.type == YAML_MAPPING_END_EVENT)
            return status;
        struct yaml_node *key = NULL, *item = NULL;
        if ((status = yaml_build_key(reader, &key, map, depth)) || (status = yaml_next(reader)) ||
            (status = yaml_build(reader, &item, depth + 1)))
            return status;
        if (!yaml_append(map, key, item, reader->arena))
            return yaml_fail_memory(reader->error);
    }
}

static enum status yaml_build_scalar(struct yaml_reader *reader, struct yaml_node *node)
{
    const char *value = (const char *)reader->event.data.scalar.value;
    if (strlen(value) != reader->event.data.scalar.length)
        return yaml_fail(reader, reader->event.start_mark, "a zero byte in a text (remove the \\0)");
    node->quoted = reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_strdup(reader->arena, value);
    return node->text ? STATUS_OK : yaml_fail_memory(reader->error);
}

/* The node that begins with the current event; leaves the reader on its last event. */
static enum status yaml_build(struct yaml_reader *reader, struct yaml_node **ret, int depth)
{
    const yaml_event_t *event = &reader->event;
    yaml_mark_t mark = event->start_mark;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    enum yaml_kind kind = YAML_SCALAR;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag, kind = YAML_LIST;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag, kind = YAML_MAP;
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return yaml_fail(
            reader, mark,
            "anchors and aliases (&name, *name) are not taken (write the value out; quote a text that begins so)");
    if (tag)
        return yaml_fail(reader, mark,
                         "tags (!name) are not taken (write the value alone; quote a text that begins so)");
    if (depth > YAML_MAX_DEPTH)
        return yaml_fail(reader, mark, "nested deeper than 32 levels");
    if (++reader->n_nodes > YAML_MAX_NODES)
        return yaml_fail(reader, mark, "more than 1000000 values (is it the right file?)");

    struct yaml_node *node = yaml_node_new(reader->arena, kind, reader->file, (int)mark.line + 1, (int)mark.column + 1);
    if (!node)
        return yaml_fail_memory(reader->error);
    enum status status = kind == YAML_SCALAR ? yaml_build_scalar(reader, node)
                         : kind == YAML_LIST ? yaml_build_list(reader, node, depth)
                                             : yaml_build_map(reader, node, depth);
    *ret = node;
    return status;
}

/* stream-start, [document-start, node, document-end], stream-end. An empty document is an empty map. */
static enum status yaml_build_document(struct yaml_reader *reader, struct yaml_node **ret_root)
{
    enum status status;
    if ((status = yaml_next(reader)) || (status = yaml_next(reader)))
        return status;
    struct yaml_node *root = NULL;
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        root = yaml_node_new(reader->arena, YAML_MAP, reader->file, 1, 1);
        if (!root)
            return yaml_fail_memory(reader->error);
    } else {
        if ((status = yaml_next(reader)) || (status = yaml_build(reader, &root, 1)) || (status = yaml_next(reader)) ||
            (status = yaml_next(reader)))
            return status;
        if (reader->event.type != YAML_STREAM_END_EVENT)
            return yaml_fail(reader, reader->event.start_mark,
                             "a second document begins here (one file holds one document)");
    }

    *ret_root = root;
    return STATUS_OK;
}

static enum status yaml_parse(struct yaml_node **ret_root, const char *text, size_t bytes, const char *name,
                              struct arena *arena, struct error *error)
{
    struct yaml_reader reader = {.file = arena_strdup(arena, name), .text = text, .arena = arena, .error = error};
    if (!reader.file || !yaml_parser_initialize(&reader.parser))
        return yaml_fail_memory(error);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, bytes);
    enum status status = yaml_build_document(&reader, ret_root);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return status;
}

enum status yaml_read_text(struct yaml_node **ret_root, const char *text, const char *name, struct arena *arena,
                           struct error *error)
{
    size_t bytes = strlen(text);
    if (bytes > yaml_max_bytes)
        return error_add(error, STATUS_USAGE, "%s: longer than 16 MiB (is it the right text?)", name);
    return yaml_parse(ret_root, text, bytes, name, arena, error);
}

enum status yaml_read_file(struct yaml_node **ret_root, const char *path, struct arena *arena, struct error *error)
{
    if (!file_exists(path) || file_is_folder(path))
        return error_add(error, STATUS_USAGE, "%s: cannot read: %s", path,
                         file_exists(path) ? "it is a folder (name the YAML file in it)" : "no such file");
    char *text = NULL;
    size_t bytes;
    enum status status = file_read(&text, &bytes, path, yaml_max_bytes, error);
    if (status)
        return status;
    status = yaml_parse(ret_root, text, bytes, path, arena, error);
    memory_free(text);
    return status;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    int index = map && map->kind == YAML_MAP ? yaml_find(map, key) : -1;
    return index < 0 ? NULL : map->items[index];
}
