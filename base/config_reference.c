/* config_reference.c - the reference page: one Markdown table per table that can be reached. See config.h. Test:
 * tests/base/test_config_dump.c */
#include <string.h>

#include "base/config_bind.h"

enum { REFERENCE_MAX_TABLES = 256 };

struct reference {
    FILE *file;
    int n_seen;
    const struct config_table *seen[REFERENCE_MAX_TABLES];
};

static const char *reference_type(enum config_type type)
{
    static const char *const names[] = {
        [CONFIG_INT] = "integer",           [CONFIG_DOUBLE] = "number",     [CONFIG_BOOL] = "bool",
        [CONFIG_STRING] = "text",           [CONFIG_PATH] = "path",         [CONFIG_ENUM] = "name",
        [CONFIG_INT3] = "3 integers",       [CONFIG_DOUBLE3] = "3 numbers", [CONFIG_RANGE] = "range",
        [CONFIG_STRINGS] = "list of texts", [CONFIG_TABLE] = "map",         [CONFIG_LIST] = "list",
        [CONFIG_CHOICE] = "choice",
    };
    return names[type];
}

/* A '|' would end the cell. */
static void reference_cell(FILE *file, const char *text)
{
    for (; *text; text++)
        fprintf(file, *text == '|' ? "\\|" : "%c", *text);
}

static void reference_values(FILE *file, const struct config_field *field)
{
    const double open = 1e15; /* as config_value.c: a bound beyond this is none */
    if (field->type == CONFIG_ENUM)
        for (int i = 0; field->names[i]; i++)
            fprintf(file, "%s`%s`", i ? ", " : "", field->names[i]);
    else if (field->type == CONFIG_BOOL)
        fputs("`true`, `false`", file);
    else if (field->type == CONFIG_LIST || field->type == CONFIG_CHOICE) {
        const struct config_table *table;
        for (int i = 0; !config_is_plain(field) && (table = field->variant(i)); i++)
            fprintf(file, "%s`%s`", i ? ", " : "", table->type);
    } else if (field->min < field->max && field->max >= open)
        fprintf(file, "≥ %g", field->min);
    else if (field->min < field->max && field->min <= -open)
        fprintf(file, "≤ %g", field->max);
    else if (field->min < field->max)
        fprintf(file, "%g … %g", field->min, field->max);
}

static void reference_row(FILE *file, const struct config_field *field)
{
    fprintf(file, "| `%s` | %s%s%s | ", field->key, reference_type(field->type), field->unit ? ", " : "",
            field->unit ? field->unit : "");
    if (field->required)
        fputs("required", file);
    else if (field->text) {
        fputs("`", file);
        reference_cell(file, field->text);
        fputs("`", file);
    }

    fputs(" | ", file);
    reference_values(file, field);
    fputs(" | ", file);
    reference_cell(file, field->help ? field->help : "");
    if (field->old_key)
        fprintf(file, " (before: `%s`)", field->old_key);
    fputs(" |\n", file);
}

static void reference_table(struct reference *reference, const struct config_table *table, const char *title, int level)
{
    const struct config_field *fields[CONFIG_MAX_KEYS];
    int n = config_fields(table, fields);
    for (int i = 0; i < reference->n_seen; i++)
        if (reference->seen[i] == table)
            return;
    if (reference->n_seen == REFERENCE_MAX_TABLES)
        return;
    reference->seen[reference->n_seen++] = table;

    fprintf(reference->file, "%.*s %s\n\n", level, "######", title);
    if (table->help)
        fprintf(reference->file, "%s\n\n", table->help);
    if (n)
        fputs("| key | type | default | values | meaning |\n|---|---|---|---|---|\n", reference->file);
    for (int i = 0; i < n; i++)
        reference_row(reference->file, fields[i]);
    if (n)
        fputs("\n", reference->file);

    for (int i = 0; i < n; i++) {
        char below[CONFIG_PATH_TEXT];
        const struct config_table *next;
        if (fields[i]->type == CONFIG_TABLE) {
            snprintf(below, sizeof below, "`%s`", fields[i]->key);
            reference_table(reference, fields[i]->table, below, level < 5 ? level + 1 : level);
        }
        for (int v = 0;
             (fields[i]->type == CONFIG_LIST || fields[i]->type == CONFIG_CHOICE) && (next = fields[i]->variant(v));
             v++) {
            snprintf(below, sizeof below, next->type ? "`%s`: `%s`" : "`%s`", fields[i]->key, next->type);
            reference_table(reference, next, below, level < 5 ? level + 1 : level);
        }
    }
}

void config_reference(const struct config_table *table, const char *title, FILE *file)
{
    struct reference reference = {.file = file};
    reference_table(&reference, table, title, 2);
}
