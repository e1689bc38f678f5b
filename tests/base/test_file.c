/* test_file.c - whole or absent; full disks; folders and paths. */
#include "base/file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static struct arena arena;

static void check_content(const char *path, const char *expected)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes = 0;
    if (CHECK_OK(file_read(&text, &bytes, path, 1 << 20, &error), &error)) {
        CHECK_TEXT(text, expected);
        CHECK_INT((int64_t)bytes, (int64_t)strlen(expected));
    }
    memory_free(text);
}

static int64_t count_names(const char *folder)
{
    struct error error = {0};
    struct config_strings names = {0};
    CHECK_OK(file_list(&names, folder, &arena, &error), &error);
    return names.n;
}

static const char *fresh_folder(const char *name)
{
    struct error error = {0};
    const char *folder = check_path(name);
    CHECK_OK(file_make_folders(folder, &error), &error);
    return folder;
}

static void test_write_read(void)
{
    struct error error = {0};
    const char *folder = fresh_folder("write");
    const char *path = file_join(&arena, folder, "a.txt");
    CHECK_OK(file_write(path, "first", 5, &error), &error);
    check_content(path, "first");
    CHECK_OK(file_write(path, "second one", 10, &error), &error);
    check_content(path, "second one");
    CHECK_OK(file_write(path, "", 0, &error), &error);
    check_content(path, "");
    CHECK_INT(count_names(folder), 1); /* no part is left */
}

static void test_parts(void)
{
    struct error error = {0};
    const char *folder = fresh_folder("parts");
    const char *path = file_join(&arena, folder, "m.h5");
    char *a = NULL, *b = NULL;
    CHECK_OK(file_write(path, "old", 3, &error), &error);
    CHECK_OK(file_begin(&a, path, &error), &error);
    CHECK_OK(file_begin(&b, path, &error), &error);
    CHECK(a && b && strcmp(a, b) != 0);
    CHECK(a && file_base(a)[0] == '.' && file_has_suffix(a, ".part"));
    check_content(path, "old"); /* until the commit */
    FILE *file = a ? fopen(a, "w") : NULL;
    CHECK(file && fputs("new", file) >= 0 && fclose(file) == 0);
    CHECK_OK(file_commit(&a, path, &error), &error);
    CHECK(!a);
    check_content(path, "new");
    file_discard(&b);
    CHECK(!b);
    file_discard(&b);
    CHECK_INT(count_names(folder), 1);
}

/* What a killed process left goes when a folder is prepared for writing; what is being written stays. */
static void test_sweep(void)
{
    struct error error = {0};
    const char *folder = fresh_folder("sweep");
    const char *path = file_join(&arena, folder, "m.h5");
    char *own = NULL;

    const pid_t child = fork();
    if (child == 0) {
        char *left;
        _exit(file_begin(&left, path, &error) ? 1 : 0);
    }
    int how = 1;
    CHECK(child > 0 && waitpid(child, &how, 0) == child && how == 0);
    CHECK_OK(file_begin(&own, path, &error), &error);
    CHECK_OK(file_write(file_join(&arena, folder, ".m.h5.ffffffff-1-1.part"), "x", 1, &error), &error);
    CHECK_INT(count_names(folder), 3);
    CHECK_OK(file_make_folders(folder, &error), &error);
    CHECK_INT(count_names(folder), 2); /* of this process, and of another machine */
    file_discard(&own);
}

static void test_pipe_refused(void)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    const char *pipe = file_join(&arena, fresh_folder("pipe"), "in.yaml");
    CHECK_INT(mkfifo(pipe, 0600), 0);
    CHECK_FAILS(file_read(&text, &bytes, pipe, 100, &error), &error, STATUS_FAILED, "a pipe, not a file");
}

static void test_commit_fails(void)
{
    struct error error = {0};
    const char *folder = fresh_folder("commit");
    const char *path = file_join(&arena, folder, "x");
    char *part = NULL;
    CHECK_OK(file_begin(&part, path, &error), &error);
    CHECK(mkdir(path, 0777) == 0); /* meanwhile somebody made a folder of that name */
    CHECK_FAILS(file_commit(&part, path, &error), &error, STATUS_FAILED, "x: cannot write: ");
    CHECK(!part);
    CHECK_INT(count_names(folder), 1);
}

static void test_begin_refused(void)
{
    struct error error = {0};
    char *part = NULL;
    const char *folder = fresh_folder("refused");
    CHECK_FAILS(file_begin(&part, folder, &error), &error, STATUS_FAILED, "it is a folder");
    CHECK_FAILS(file_begin(&part, "/dev/null", &error), &error, STATUS_FAILED,
                "/dev/null: cannot write: it is no ordinary file");
    CHECK_FAILS(file_begin(&part, "", &error), &error, STATUS_FAILED, "a file name is missing");
    CHECK_FAILS(file_begin(&part, "x/", &error), &error, STATUS_FAILED, "a file name is missing");
    CHECK_FAILS(file_begin(&part, file_join(&arena, folder, "no/such/file"), &error), &error, STATUS_FAILED,
                "No such file or directory");
    char name[260];
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    const char *longest = file_join(&arena, folder, name);
    CHECK_OK(file_write(longest, "x", 1, &error), &error); /* the longest name there is */
    check_content(longest, "x");
    CHECK(!part);
}

/* A file size limit stands for a disk that fills while we write: the file is the old one, whole, and no part is left.
 */
static void test_full_disk(void)
{
    struct error error = {0};
    const char *folder = fresh_folder("full");
    const char *path = file_join(&arena, folder, "kept.bin");
    CHECK_OK(file_write(path, "kept", 4, &error), &error);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        static char large[1 << 20];
        struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit))
            _exit(9);
        enum status status = file_write(path, large, sizeof large, &error);
        _exit(status == STATUS_FAILED && strstr(error.text, "kept.bin: cannot write: File too large") ? 0 : 1);
    }
    int result = -1;
    CHECK(child > 0 && waitpid(child, &result, 0) == child);
    CHECK(WIFEXITED(result));
    CHECK_INT(WEXITSTATUS(result), 0);
    check_content(path, "kept");
    CHECK_INT(count_names(folder), 1);
}

static void test_read_refused(void)
{
    struct error error = {0};
    char *text = NULL;
    size_t bytes;
    const char *path = check_path("ten");
    CHECK_OK(file_write(path, "0123456789", 10, &error), &error);
    CHECK_OK(file_read(&text, &bytes, path, 10, &error), &error);
    memory_free(text);
    text = NULL;
    CHECK_FAILS(file_read(&text, &bytes, path, 9, &error), &error, STATUS_FAILED,
                "ten: cannot read: it is larger than 9 bytes");
    CHECK_FAILS(file_read(&text, &bytes, check_path("none"), 9, &error), &error, STATUS_FAILED,
                "none: cannot read: No such file");
    CHECK_FAILS(file_read(&text, &bytes, check_folder(), 9, &error), &error, STATUS_FAILED, "Is a directory");
    CHECK_FAILS(file_read(&text, &bytes, "/dev/zero", 1 << 20, &error), &error, STATUS_FAILED, "larger than 1048576");
    CHECK(!text);
    CHECK_OK(file_read(&text, &bytes, "/proc/self/status", 1 << 20, &error), &error); /* says its size is 0 */
    CHECK(bytes > 100);
    memory_free(text);
}

static void test_folders(void)
{
    struct error error = {0};
    CHECK_OK(file_make_folders(check_path("a/b//c/"), &error), &error);
    CHECK(file_is_folder(check_path("a/b/c")));
    CHECK_OK(file_make_folders(check_path("a/b/c"), &error), &error);
    CHECK_OK(file_make_folders("/", &error), &error);
    CHECK_OK(file_write(check_path("a/file"), "x", 1, &error), &error);
    CHECK_FAILS(file_make_folders(check_path("a/file"), &error), &error, STATUS_FAILED, "a/file is a file");
    CHECK_FAILS(file_make_folders(check_path("a/file/below"), &error), &error, STATUS_FAILED, "a/file is a file");
    CHECK(file_exists(check_path("a/file")) && !file_is_folder(check_path("a/file")));
    CHECK(!file_exists(check_path("a/none")));
}

static void test_list(void)
{
    static const char *const names[] = {"b", "a10", "a2", ".hidden", "B", "\xC3\xBC"};
    struct error error = {0};
    const char *folder = fresh_folder("list");
    for (int i = 0; i < 6; i++)
        CHECK_OK(file_write(file_join(&arena, folder, names[i]), "", 0, &error), &error);
    for (int i = 0; i < 150; i++)
        CHECK_OK(file_write(file_join(&arena, folder, arena_printf(&arena, "z%03d", i)), "", 0, &error), &error);
    struct config_strings listed = {0};
    CHECK_OK(file_list(&listed, folder, &arena, &error), &error);
    CHECK_INT(listed.n, 156);
    static const char *const sorted[] = {".hidden", "B", "a10", "a2", "b"};
    for (int i = 0; i < 5; i++)
        CHECK_TEXT(listed.items[i], sorted[i]);
    CHECK_TEXT(listed.items[154], "z149");
    CHECK_TEXT(listed.items[155], "\xC3\xBC");
    CHECK_FAILS(file_list(&listed, check_path("nowhere"), &arena, &error), &error, STATUS_FAILED,
                "nowhere: cannot list the folder");
    CHECK_INT(count_names(fresh_folder("empty")), 0);
}

static void test_paths(void)
{
    CHECK_TEXT(file_join(&arena, "a", "b"), "a/b");
    CHECK_TEXT(file_join(&arena, "a/", "b"), "a/b");
    CHECK_TEXT(file_join(&arena, "a", "/b"), "/b");
    CHECK_TEXT(file_join(&arena, "", "b"), "b");
    CHECK_TEXT(file_join(&arena, NULL, "b"), "b");
    CHECK(!file_join(&arena, "a", NULL)); /* of a name for which memory was out */
    CHECK_TEXT(file_base("a/b.c"), "b.c");
    CHECK_TEXT(file_base("b"), "b");
    CHECK_TEXT(file_base("a/"), "");
    CHECK_TEXT(file_folder(&arena, "a/b/c"), "a/b");
    CHECK_TEXT(file_folder(&arena, "c"), ".");
    CHECK_TEXT(file_folder(&arena, "/c"), "/");
    CHECK(file_has_suffix("x.NII.gz", ".nii.GZ"));
    CHECK(!file_has_suffix("gz", ".gz"));
}

static enum status write_and_read(void *folder, struct error *error)
{
    char path[256];
    snprintf(path, sizeof path, "%s/f", (const char *)folder);
    struct arena own = {0};
    struct config_strings names = {0};
    char *text = NULL;
    size_t bytes;
    enum status status = file_make_folders(folder, error);
    if (!status)
        status = file_write(path, "content", 7, error);
    if (!status)
        status = file_read(&text, &bytes, path, 100, error);
    if (!status)
        status = file_list(&names, folder, &own, error);
    memory_free(text);
    arena_done(&own);
    return status;
}

static void test_memory_out(void)
{
    const char *folder = fresh_folder("memory");
    check_allocation_failures(write_and_read, (void *)folder, 5);
    CHECK_INT(count_names(folder), 1); /* never a part left */
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"write_read", test_write_read},
                                       {"parts", test_parts},
                                       {"sweep", test_sweep},
                                       {"pipe_refused", test_pipe_refused},
                                       {"commit_fails", test_commit_fails},
                                       {"begin_refused", test_begin_refused},
                                       {"full_disk", test_full_disk},
                                       {"read_refused", test_read_refused},
                                       {"folders", test_folders},
                                       {"list", test_list},
                                       {"paths", test_paths},
                                       {"memory_out", test_memory_out},
                                       {0}};
    int status = check_main(argc, argv, tests);
    arena_done(&arena);
    return status;
}
