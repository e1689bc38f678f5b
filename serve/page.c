/* page.c - the page's files, read once when the server starts: a request can name no other; see http.h.
 * Test: tests/serve/test_server.sh, tests/browser */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/server.h"

enum { PAGE_FILES = 512, PAGE_BYTES = 64 << 20, PAGE_DEPTH = 4 };

struct page_file {
    char *path; /* as in the URL */
    const char *type;
    char *data, *packed; /* packed: gzip; may be NULL */
    size_t bytes, packed_bytes;
    char tag[24];
};

static const char no_page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>calvaria</title>"
    "<style>body{font:16px sans-serif;max-width:40em;margin:3em auto;padding:0 1em}</style>"
    "<h1>calvaria serve</h1><p>The server runs, but it was built without its page (npm was missing). The API is there: "
    "<code>curl -F file=@skull.nrrd http://HOST:PORT/api/jobs</code>; docs/openapi.yaml describes it.</p>"
    "<p>To get the page: install npm, build, and restart the server.</p><p>Research software: not for clinical "
    "use.</p></html>";

static const char *page_type(const char *path)
{
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".mjs", "text/javascript; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".svg", "image/svg+xml"},
                                           {".png", "image/png"},
                                           {".ico", "image/x-icon"},
                                           {".json", "application/json"},
                                           {".wasm", "application/wasm"},
                                           {".woff2", "font/woff2"},
                                           {".txt", "text/plain; charset=utf-8"},
                                           {".webmanifest", "application/manifest+json"}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (file_has_suffix(path, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

static enum status page_add(struct server *server, const char *folder, const char *url, size_t *bytes,
                            struct error *error)
{
    struct page_file file = {.type = page_type(url)};
    struct error unreadable = {0};
    char *path = memory_printf("%s%s", folder, url), *packed = memory_printf("%s%s.gz", folder, url);

    file.path = memory_strdup(url);
    enum status status = path && packed && file.path ? file_read(&file.data, &file.bytes, path, PAGE_BYTES, error)
                                                     : error_memory(error, 256, "a file of the page");
    if (!status && file_exists(packed) &&
        file_read(&file.packed, &file.packed_bytes, packed, PAGE_BYTES, &unreadable)) {
        file.packed = NULL;
        status = error_if_memory(error, &unreadable);
    }
    *bytes += file.bytes + file.packed_bytes;
    if (!status && (server->n_files == PAGE_FILES || *bytes > PAGE_BYTES))
        status = error_set(error, STATUS_FAILED, "--web %s: more than %d files or %d MiB: this is no page", folder,
                           PAGE_FILES, PAGE_BYTES >> 20);
    memory_free(path);
    memory_free(packed);

    if (status) {
        memory_free(file.path);
        memory_free(file.data);
        memory_free(file.packed);
        return status;
    }

    snprintf(file.tag, sizeof file.tag, "\"%016" PRIx64 "\"", (uint64_t)XXH64(file.data, file.bytes, 0));
    server->files[server->n_files++] = file;

    return STATUS_OK;
}

/* Ordinary files alone: no links, no dot files. */
static enum status page_scan(struct server *server, const char *folder, const char *under, int depth, size_t *bytes,
                             struct error *error)
{
    struct arena arena = {0};
    struct config_strings names = {0};
    char *here = arena_printf(&arena, "%s%s", folder, under);
    enum status status = here ? file_list(&names, here, &arena, error) : error_memory(error, 256, "a path");

    for (int64_t i = 0; !status && i < names.n; i++) {
        struct stat info;
        const char *name = names.items[i];
        char *url = arena_printf(&arena, "%s/%s", under, name), *path = arena_printf(&arena, "%s/%s", here, name);
        if (!url || !path)
            status = error_memory(error, 256, "a path");
        else if (name[0] == '.' || lstat(path, &info))
            continue;
        else if (S_ISDIR(info.st_mode) && depth < PAGE_DEPTH)
            status = page_scan(server, folder, url, depth + 1, bytes, error);
        else if (S_ISREG(info.st_mode) && !file_has_suffix(name, ".gz"))
            status = page_add(server, folder, url, bytes, error);
    }

    arena_done(&arena);
    return status;
}

/* --web, else next to the program: the build's web/, or the installed share/calvaria/web. In arena; *ret NULL: nowhere.
 */
static enum status page_folder(const char **ret, const struct server *server, struct arena *arena, struct error *error)
{
    static const char *const places[] = {"web/index.html", "../share/calvaria/web/index.html", NULL};
    const char *index = NULL;
    *ret = server->config->web;
    if (*ret)
        return STATUS_OK;
    if (file_shipped(&index, arena, places, error))
        return error->status;
    if (!index)
        return STATUS_OK;
    *ret = file_folder(arena, index);
    return *ret ? STATUS_OK : error_memory(error, strlen(index), "a path");
}

static const struct page_file *page_find(const struct server *server, const char *path)
{
    const char *wanted = strcmp(path, "/") == 0 ? "/index.html" : path;
    for (int64_t i = 0; i < server->n_files; i++)
        if (strcmp(server->files[i].path, wanted) == 0)
            return &server->files[i];
    return NULL;
}

enum status page_open(struct server *server, struct error *error)
{
    struct arena arena = {0};
    size_t bytes = 0;
    const char *folder;
    enum status status = page_folder(&folder, server, &arena, error);

    server->files = memory_zalloc(PAGE_FILES, sizeof *server->files);
    if (!status && !server->files)
        status = error_memory(error, PAGE_FILES * sizeof *server->files, "the page");
    if (!status && folder)
        status = page_scan(server, folder, "", 0, &bytes, error);
    if (!status && folder && !page_find(server, "/"))
        status = error_set(error, STATUS_FAILED, "%s: no index.html in it (is this the page's folder?)", folder);
    if (!status && !folder)
        log_warn("this build has no page (npm was missing when it was made): the API alone is served");

    arena_done(&arena);
    return status;
}

bool page_has(const struct server *server, const char *path)
{
    return strcmp(path, "/") == 0 || page_find(server, path) != NULL;
}

/* Does the client take gzip? */
static bool page_takes_gzip(const struct request *request)
{
    const char *accepted = request_header(request, "Accept-Encoding");
    const char *gzip = accepted ? strstr(accepted, "gzip") : NULL;
    return gzip && strncmp(gzip, "gzip;q=0", 8) != 0;
}

enum MHD_Result page_respond(struct request *request)
{
    const struct page_file *file = page_find(request->server, request->path);
    const char *known = request_header(request, "If-None-Match");
    const char *data = file ? file->data : no_page, *type = file ? file->type : "text/html; charset=utf-8";
    size_t bytes = file ? file->bytes : sizeof no_page - 1;
    bool packed = file && file->packed && page_takes_gzip(request), same = file && http_tag_matches(known, file->tag);

    if (packed) {
        data = file->packed;
        bytes = file->packed_bytes;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same ? 0 : bytes, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);
    response_header(&response, "Content-Type", type);
    response_header(&response, "Cache-Control", "no-cache");
    if (file)
        response_header(&response, "ETag", file->tag);
    if (file && file->packed)
        response_header(&response, "Vary", "Accept-Encoding");
    if (packed && !same)
        response_header(&response, "Content-Encoding", "gzip");
    respond_within(request, http_time_s((int64_t)bytes));

    return respond(request, same ? 304 : 200, response);
}

void page_close(struct server *server)
{
    for (int64_t i = 0; i < server->n_files; i++) {
        memory_free(server->files[i].path);
        memory_free(server->files[i].data);
        memory_free(server->files[i].packed);
    }
    memory_free(server->files);
}
