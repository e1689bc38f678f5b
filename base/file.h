/* file.h - files that are whole or absent: temp + fsync + rename; paths; folders.
 *
 *     char *part;                                       // DIR/.NAME.HOST-PID-N.part: write here with any library ...
 *     if (file_begin(&part, path, error)) ...
 *     if (file_commit(&part, path, error)) ...          // ... then fsync, rename onto path, fsync the folder
 *     file_discard(&part);                              // on failure: removes the part; NULL allowed */
#ifndef CALVARIA_BASE_FILE_H
#define CALVARIA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/config.h"
#include "base/error.h"

enum status file_begin(char **ret_part, const char *path, struct error *error);
enum status file_commit(char **part, const char *path, struct error *error);
void file_discard(char **part);

/* The same for text and bytes that are written piece by piece:
 *     struct file_stream stream;
 *     if (file_stream_open(&stream, path, error)) ...
 *     fprintf(stream.file, ...);
 *     return file_stream_close(&stream, status, error);   // STATUS_OK: whole under its name; else nothing is left */
struct file_stream {
    FILE *file;
    char *part;
    const char *path; /* the caller's */
};
enum status file_stream_open(struct file_stream *ret, const char *path, struct error *error);
enum status file_stream_close(struct file_stream *stream, enum status status, struct error *error);

/* Removes the parts that processes of this machine left in a folder when they were killed. file_make_folders does it.
 */
void file_sweep(const char *folder);
void file_sweep_around(const char *path); /* the folder of a file that is going to be written */

/* Nothing that is not an ordinary file is opened for reading: a pipe would be waited for without end. STATUS_OK where
 * there is nothing of this name. */
enum status file_check_ordinary(const char *path, struct error *error);

/* Whole small files. The text is NUL-ended; free with memory_free. max_bytes guards against surprises. */
enum status file_read(char **ret_data, size_t *ret_bytes, const char *path, size_t max_bytes, struct error *error);
enum status file_write(const char *path, const void *data, size_t bytes, struct error *error); /* atomic */

/* STATUS_USAGE where the file exists and `overwrite` was not given: no command replaces results unasked. */
enum status file_check_free(const char *path, bool overwrite, struct error *error);
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* The name that `path` was given, or lost, in its folder outlives a power loss from here on. 0, or a number that
 * errno has, too. */
int file_sync_entry(const char *path);
/* rename(2), whose new name outlives a power loss. */
int file_rename(const char *from, const char *to);
/* mkdir(2), whose entry outlives a power loss. */
int file_make_folder(const char *path);
enum status file_make_folders(const char *path, struct error *error); /* mkdir -p */
/* Names in a folder, sorted in byte order, without "." and ".."; strings live in arena. */
enum status file_list(struct config_strings *ret_names, const char *folder, struct arena *arena, struct error *error);
/* folder/name, or name alone when it is absolute or folder is NULL or empty. In arena; NULL for name NULL. */
char *file_join(struct arena *arena, const char *folder, const char *name);
const char *file_base(const char *path);                  /* after the last '/' */
char *file_folder(struct arena *arena, const char *path); /* before the last '/', or "." */
/* What is shipped with the program: the first of `places` (NULL-terminated, as "../share/calvaria/web"), taken from the
 * running program's own folder, that exists. *ret NULL: none. In arena. */
enum status file_shipped(const char **ret, struct arena *arena, const char *const *places, struct error *error);
bool file_has_suffix(const char *path, const char *suffix); /* case-insensitive */

#endif
