/* file.c - files written whole or not at all, folders, paths; see file.h. Test: tests/base/test_file.c */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"

static enum status file_fail(struct error *error, const char *path, const char *what, int number)
{
    const char *hint = number == ENOSPC || number == EDQUOT  ? " (free some space, or write to another disk)"
                       : number == EACCES || number == EPERM ? " (check who owns it and its permissions)"
                       : number == EROFS                     ? " (write to another disk)"
                                                             : "";
    error_set(error, STATUS_FAILED, "%s: %s: %s%s", path, what, strerror(number), hint);
    error->no_memory = number == ENOMEM;
    return STATUS_FAILED;
}

const char *file_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The machine's part of a part's name: processes of another machine or container are not known here. Not gethostid: it
 * looks the host's name up, over the network if need be, and gives all machines one number whose name stands for
 * 127.0.1.1. Copies of one machine need names of their own. */
static unsigned long file_host(void)
{
    char id[40] = "", all[sizeof id + sizeof(struct utsname) + 24];
    struct utsname machine = {0};
    struct stat processes = {0};
    const int file = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

    if (file >= 0 && read(file, id, sizeof id - 1) < 0)
        *id = '\0';
    if (file >= 0)
        close(file);
    uname(&machine);
    stat("/proc/self/ns/pid", &processes);
    snprintf(all, sizeof all, "%s %s %" PRIu64, id, machine.nodename, (uint64_t)processes.st_ino);
    return (unsigned long)(rng_hash(all) >> 32);
}

/* DIR/.NAME.HOST-PID-N.part, created empty and not there before. NULL with errno. */
static char *file_create_part(const char *path)
{
    enum { NAME_BYTES = 200, TRIES = 1000 }; /* a long name is cut: the system allows 255 bytes */
    static atomic_int count;
    const char *name = file_base(path);

    for (int i = 0; i < TRIES; i++) {
        char *part = memory_printf("%.*s.%.*s.%08lx-%ld-%d.part", (int)(name - path), path, NAME_BYTES, name,
                                   file_host(), (long)getpid(), atomic_fetch_add(&count, 1));
        if (!part) {
            errno = ENOMEM;
            return NULL;
        }
        int handle = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (handle >= 0) {
            close(handle);
            return part;
        }
        int number = errno;
        memory_free(part);
        errno = number;
        if (number != EEXIST)
            return NULL;
    }

    return NULL;
}

/* Is this the part of a process of this machine that is no more? */
static bool file_is_orphan(const char *name)
{
    unsigned long host;
    long pid;
    int number, end = 0;
    const char *at = name + strlen(name);

    if (*name != '.' || !file_has_suffix(name, ".part"))
        return false;
    for (int dots = 0; at > name && dots < 2; dots += *at == '.')
        at--;
    return sscanf(at, ".%8lx-%ld-%d.part%n", &host, &pid, &number, &end) == 3 && at[end] == '\0' &&
           host == file_host() && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

void file_sweep(const char *folder)
{
    DIR *dir = opendir(*folder ? folder : ".");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (file_is_orphan(entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

void file_sweep_around(const char *path)
{
    char *folder = memory_printf("%.*s", (int)(file_base(path) - path), path);
    if (folder)
        file_sweep(folder);
    memory_free(folder);
}

enum status file_check_ordinary(const char *path, struct error *error)
{
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode))
        return STATUS_OK; /* one that is not there is for the reader to report */
    return error_set(error, STATUS_FAILED, "%s: %s, not a file (name an ordinary file)", path,
                     S_ISDIR(info.st_mode)    ? "a folder"
                     : S_ISFIFO(info.st_mode) ? "a pipe"
                                              : "a device or socket");
}

enum status file_begin(char **ret_part, const char *path, struct error *error)
{
    struct stat info;
    if (!*file_base(path))
        return error_set(error, STATUS_FAILED, "%s: cannot write: a file name is missing",
                         *path ? path : "(empty path)");
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return error_set(error, STATUS_FAILED, "%s: cannot write: %s (name a file)", path,
                         S_ISDIR(info.st_mode) ? "it is a folder" : "it is no ordinary file");
    char *part = file_create_part(path);
    if (!part)
        return file_fail(error, path, "cannot write", errno);
    *ret_part = part;
    return STATUS_OK;
}

static int file_sync(const char *path, int flags)
{
    int handle = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (handle < 0)
        return errno;
    int number = fsync(handle) ? errno : 0;
    close(handle);
    return number;
}

/* Some network file systems cannot sync folders and say EINVAL. */
int file_sync_entry(const char *path)
{
    size_t length = (size_t)(file_base(path) - path);
    char *folder = length ? memory_printf("%.*s", (int)length, path) : memory_strdup(".");
    if (!folder)
        return errno = ENOMEM;
    int number = file_sync(folder, O_DIRECTORY);
    memory_free(folder);
    if (number == EINVAL)
        number = 0;
    if (number)
        errno = number;
    return number;
}

int file_rename(const char *from, const char *to)
{
    return rename(from, to) || file_sync_entry(to) ? -1 : 0;
}

enum status file_commit(char **part, const char *path, struct error *error)
{
    int number = file_sync(*part, 0);
    if (!number && rename(*part, path))
        number = errno;
    if (number) {
        file_discard(part);
        return file_fail(error, path, "cannot write", number);
    }
    memory_free(*part);
    *part = NULL;
    number = file_sync_entry(path);
    return number ? file_fail(error, path, "cannot make its folder entry durable", number) : STATUS_OK;
}

void file_discard(char **part)
{
    if (!*part)
        return;
    unlink(*part);
    memory_free(*part);
    *part = NULL;
}

enum status file_stream_open(struct file_stream *ret, const char *path, struct error *error)
{
    *ret = (struct file_stream){.path = path};
    enum status status = file_begin(&ret->part, path, error);
    if (status)
        return status;
    ret->file = fopen(ret->part, "wbe");
    if (ret->file)
        return STATUS_OK;
    const int number = errno;
    file_discard(&ret->part);
    return file_fail(error, path, "cannot write", number);
}

enum status file_stream_close(struct file_stream *stream, enum status status, struct error *error)
{
    const bool broken = ferror(stream->file);
    errno = 0;
    const bool closed = fclose(stream->file) == 0;
    stream->file = NULL;
    if (!status && (broken || !closed))
        status = file_fail(error, stream->path, "cannot write", errno ? errno : EIO);
    if (!status)
        return file_commit(&stream->part, stream->path, error);
    file_discard(&stream->part);
    return status;
}

/* Reads to the end; *ret_data has room for a '\0'. Returns errno's number, EFBIG past max_bytes. */
static int file_read_all(char **ret_data, size_t *ret_bytes, int handle, size_t first_bytes, size_t max_bytes)
{
    size_t room = first_bytes + 1, used = 0; /* one more than the file: its end is seen without growing */
    char *data = memory_alloc(room + 1, 1);
    if (!data)
        return ENOMEM;
    int number = 0;

    for (;;) {
        ssize_t n = read(handle, data + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            number = errno;
        if (n <= 0)
            break;
        used += (size_t)n;
        if (used > max_bytes) {
            number = EFBIG;
            break;
        }
        if (used == room) {
            char *larger = memory_resize(data, room + 1, room * 2 + 1);
            if (!larger) {
                number = ENOMEM;
                break;
            }
            data = larger;
            room *= 2;
        }
    }

    if (number) {
        memory_free(data);
        return number;
    }

    data[used] = '\0';
    *ret_data = data;
    *ret_bytes = used;
    return 0;
}

enum status file_read(char **ret_data, size_t *ret_bytes, const char *path, size_t max_bytes, struct error *error)
{
    struct stat info;
    /* A pipe of a name would be waited for without end; /dev/fd/N is one that the caller holds open. */
    if (strncmp(path, "/dev/", 5) != 0 && stat(path, &info) == 0 && S_ISFIFO(info.st_mode))
        return file_check_ordinary(path, error);
    int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return file_fail(error, path, "cannot read", errno);
    int number = fstat(handle, &info) ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
    size_t bytes = !number && S_ISREG(info.st_mode) ? (size_t)info.st_size : 4096;
    if (!number)
        number = bytes > max_bytes && S_ISREG(info.st_mode)
                     ? EFBIG
                     : file_read_all(ret_data, ret_bytes, handle, bytes, max_bytes);
    close(handle);
    if (number == EFBIG)
        return error_set(error, STATUS_FAILED, "%s: cannot read: it is larger than %zu bytes (is it the right file?)",
                         path, max_bytes);
    return number ? file_fail(error, path, "cannot read", number) : STATUS_OK;
}

static int file_write_all(const char *path, const char *data, size_t bytes)
{
    int handle = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (handle < 0)
        return errno;
    int number = 0;
    for (size_t done = 0; done < bytes && !number;) {
        ssize_t n = write(handle, data + done, bytes - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            number = n == 0 ? ENOSPC : errno;
    }
    if (close(handle) && !number)
        number = errno;
    return number;
}

enum status file_write(const char *path, const void *data, size_t bytes, struct error *error)
{
    char *part = NULL;
    enum status status = file_begin(&part, path, error);
    if (!part)
        return status;
    int number = file_write_all(part, data, bytes);
    if (number) {
        file_discard(&part);
        return file_fail(error, path, "cannot write", number);
    }
    return file_commit(&part, path, error);
}

enum status file_check_free(const char *path, bool overwrite, struct error *error)
{
    if (overwrite || !file_exists(path))
        return STATUS_OK;
    return error_add(error, STATUS_USAGE, "%s: exists already (--overwrite replaces it; or give another --out)", path);
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int file_make_folder(const char *path)
{
    if (mkdir(path, 0777))
        return -1;
    const int number = file_sync_entry(path);
    if (number) {
        rmdir(path);
        errno = number;
    }
    return number ? -1 : 0;
}

enum status file_make_folders(const char *path, struct error *error)
{
    char *partial = memory_strdup(path);
    if (!partial)
        return error_memory(error, strlen(path) + 1, "a path");
    enum status status = STATUS_OK;

    for (char *end = partial; *end && !status;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        const int number = file_make_folder(partial) ? errno : 0;
        if (number && !file_is_folder(partial))
            status = number == EEXIST
                         ? error_set(error, STATUS_FAILED, "%s: cannot make the folder: %s is a file", path, partial)
                         : file_fail(error, path, "cannot make the folder", number);
        *end = kept;
    }

    memory_free(partial);
    if (!status)
        file_sweep(path);
    return status;
}

static int file_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds a copy of `name`; false when memory is out. */
static bool file_list_add(struct config_strings *names, int64_t *capacity, const char *name, struct arena *arena)
{
    if (names->n == *capacity) {
        int64_t larger = *capacity ? *capacity * 2 : 64;
        const char **items = arena_alloc(arena, (size_t)larger, sizeof *items);
        if (!items)
            return false;
        if (names->n)
            memcpy(items, names->items, (size_t)names->n * sizeof *items);
        names->items = items;
        *capacity = larger;
    }
    const char *copy = arena_strdup(arena, name);
    if (copy)
        names->items[names->n++] = copy;
    return copy;
}

enum status file_list(struct config_strings *ret_names, const char *folder, struct arena *arena, struct error *error)
{
    DIR *handle = opendir(folder);
    if (!handle)
        return file_fail(error, folder, "cannot list the folder", errno);
    struct config_strings names = {0};
    int64_t capacity = 0;
    enum status status = STATUS_OK;

    while (!status) {
        errno = 0;
        struct dirent *entry = readdir(handle);
        if (!entry) {
            if (errno)
                status = file_fail(error, folder, "cannot list the folder", errno);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!file_list_add(&names, &capacity, entry->d_name, arena))
            status = error_memory(error, sizeof entry->d_name, "the names in a folder");
    }

    closedir(handle);
    if (status)
        return status;
    if (names.n)
        qsort(names.items, (size_t)names.n, sizeof *names.items, file_compare_names);
    *ret_names = names;

    return STATUS_OK;
}

char *file_join(struct arena *arena, const char *folder, const char *name)
{
    if (!name)
        return NULL;
    if (*name == '/' || !folder || !*folder)
        return arena_strdup(arena, name);
    bool ended = folder[strlen(folder) - 1] == '/';
    return arena_printf(arena, "%s%s%s", folder, ended ? "" : "/", name);
}

char *file_folder(struct arena *arena, const char *path)
{
    size_t length = (size_t)(file_base(path) - path);
    if (!length)
        return arena_strdup(arena, ".");
    return arena_printf(arena, "%.*s", (int)(length > 1 ? length - 1 : 1), path);
}

bool file_has_suffix(const char *path, const char *suffix)
{
    size_t n_path = strlen(path), n_suffix = strlen(suffix);
    return n_path >= n_suffix && strcasecmp(path + n_path - n_suffix, suffix) == 0;
}
