/* error.c - statuses and the message stack; see error.h. Test: tests/base/test_error.c */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#undef error_set /* under clang-tidy: scripts/clang_tidy.h */
#undef error_add
#undef error_memory
#undef error_while

static const char error_while_mark[] = "  while ";

/* One message is one line: what a hostile file put into it must neither break lines nor steer a terminal. */
static void error_clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

/* Appends prefix, message and '\n'; cut with "..." where the room ends. */
static void error_append(struct error *error, const char *prefix, const char *format, va_list args)
{
    char message[ERROR_CAPACITY]; /* apart: args may point into error->text */
    vsnprintf(message, sizeof message, format, args);
    error_clean(message);

    size_t room = sizeof error->text - error->length; /* the '\0' included */
    if (room < 8)
        return;
    int wanted = snprintf(error->text + error->length, room - 1, "%s%s", prefix, message);
    size_t written = wanted < 0 ? 0 : (size_t)wanted;
    if (written > room - 2) {
        written = room - 2;
        memcpy(error->text + error->length + written - 3, "...", 3);
    }
    error->length += written;
    error->text[error->length++] = '\n';
    error->text[error->length] = '\0';
}

enum status error_set(struct error *error, enum status status, const char *format, ...)
{
    /* Formatted before the old text goes: args may point into it. */
    struct error fresh = {.status = status, .n_errors = 1};
    va_list args;
    va_start(args, format);
    error_append(&fresh, "", format, args);
    va_end(args);
    *error = fresh;
    return status;
}

enum status error_add(struct error *error, enum status status, const char *format, ...)
{
    if (error->n_errors < ERROR_MAX) {
        va_list args;
        va_start(args, format);
        error_append(error, "", format, args);
        va_end(args);
    }
    error->n_errors++;
    if (status > error->status)
        error->status = status;
    return error->status;
}

enum status error_while(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_append(error, error_while_mark, format, args);
    va_end(args);
    return error->status;
}

enum status error_system(struct error *error, int number, const char *format, ...)
{
    char message[ERROR_CAPACITY];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(error, STATUS_FAILED, "%s: %s", message, strerror(number));
    error->no_memory = number == ENOMEM;
    return STATUS_FAILED;
}

enum status error_memory(struct error *error, size_t bytes, const char *what)
{
    if (bytes == 0)
        error_set(error, STATUS_FAILED, "memory: %s: not to be had (close other programs)", what);
    else if (bytes < 1 << 20)
        error_set(error, STATUS_FAILED, "memory: %s: %zu bytes are not to be had (close other programs)", what, bytes);
    else
        error_set(error, STATUS_FAILED,
                  "memory: %s: %.1f MiB are not to be had (a smaller patch, batch or volume needs less)", what,
                  (double)bytes / (1 << 20));
    error->no_memory = true;
    return STATUS_FAILED;
}

enum status error_if_memory(struct error *error, const struct error *attempt)
{
    if (!attempt->no_memory)
        return STATUS_OK;
    *error = *attempt;
    return STATUS_FAILED;
}

void error_print(FILE *file, const struct error *error)
{
    for (const char *line = error->text; *line;) {
        size_t length = strcspn(line, "\n");
        bool is_while = strncmp(line, error_while_mark, sizeof error_while_mark - 1) == 0;
        fprintf(file, "%s%.*s\n", is_while ? "" : "error: ", (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (error->n_errors > ERROR_MAX)
        fprintf(file, "error: %d more like these\n", error->n_errors - ERROR_MAX);
}
