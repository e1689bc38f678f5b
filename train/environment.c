/* environment.c - Code, compiler, libraries, machine and free memory as text and numbers; see environment.h.
 * Test: tests/train/test_trainer.c */
#include "train/environment.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/parallel.h"
#include "nn/engine/engine.h"
#include "train/build_info.h"

enum { HEAD_BYTES = 4096 };

/* The first bytes of a file, without taking memory: that it is out must not read as "there is no limit". "" where the
 * file is not there. */
static const char *environment_head(const char *path, char head[HEAD_BYTES])
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = file < 0 ? 0 : read(file, head, HEAD_BYTES - 1);
    if (file >= 0)
        close(file);
    head[n > 0 ? n : 0] = '\0';
    return head;
}

/* The text after `key` and its colon on the first line that begins with it; "" when there is none. */
static const char *environment_line(const char *path, const char *key, char head[HEAD_BYTES])
{
    const char *line = environment_head(path, head);
    while (*line && strncmp(line, key, strlen(key)) != 0) {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    if (!*line)
        return "";
    char *found = head + (line - head) + strlen(key);
    found += strspn(found, " \t:=\"");
    found[strcspn(found, "\"\n")] = '\0';
    return found;
}

/* A file that holds one number; -1 when it does not ("max", absent). */
static int64_t environment_number(const char *path)
{
    char head[HEAD_BYTES], *end;
    const int64_t value = strtoll(environment_head(path, head), &end, 10);
    return end == head ? -1 : value;
}

int64_t environment_available_bytes(void)
{
    char head[HEAD_BYTES], *end;
    const char *text = environment_line("/proc/meminfo", "MemAvailable", head);
    int64_t available = strtoll(text, &end, 10);
    available = end == text ? -1 : available * 1024;
    int64_t limit = environment_number("/sys/fs/cgroup/memory.max"),
            used = environment_number("/sys/fs/cgroup/memory.current");
    if (limit >= 0 && used >= 0 && (available < 0 || limit - used < available))
        available = limit > used ? limit - used : 0;
    return available;
}

int64_t environment_resident_bytes(void)
{
    char head[HEAD_BYTES];
    return strtoll(environment_line("/proc/self/status", "VmRSS", head), NULL, 10) * 1024;
}

char *environment_versions(struct arena *arena)
{
    return arena_printf(arena, "calvaria %s (%s), %s, HDF5 %s", BUILD_VERSION, BUILD_COMMIT, engine_version(),
                        BUILD_HDF5);
}

char *environment_text(struct arena *arena)
{
    char cpu_head[HEAD_BYTES], os_head[HEAD_BYTES];
    const char *cpu = environment_line("/proc/cpuinfo", "model name", cpu_head);
    const char *os = environment_line("/etc/os-release", "PRETTY_NAME", os_head);
    struct utsname uts;
    if (uname(&uts) != 0)
        memset(&uts, 0, sizeof uts);
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    return arena_printf(arena,
                        "calvaria: '%s'\ncommit: '%s'\ncompiler: '%s'\nflags: '%s'\nlibraries: '%s, HDF5 %s'\ncpu: "
                        "'%s'\nprocessors: %ld\n"
                        "threads: %d\nidle_threads: '%s'\nmemory_gb: %.1f\nos: '%s'\nkernel: '%s %s %s'\n",
                        BUILD_VERSION, BUILD_COMMIT, BUILD_COMPILER, BUILD_FLAGS, engine_version(), BUILD_HDF5,
                        *cpu ? cpu : uts.machine, sysconf(_SC_NPROCESSORS_ONLN), parallel_threads(),
                        parallel_idle_setting(), (double)memory / 1e9, *os ? os : uts.sysname, uts.sysname, uts.release,
                        uts.machine);
}
