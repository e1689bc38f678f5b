/* environment.c - Code, compiler, libraries, machine and free memory as text and numbers; see environment.h.
 * Test: tests/train/test_trainer.c */
#include "train/environment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/parallel.h"
#include "nn/engine/engine.h"
#include "train/build_info.h"

/* The text after `key` and its colon on the first line of `path` that begins with it; "" when there is none, and NULL
 * when memory is out. */
static const char *environment_line(const char *path, const char *key, char *line, int capacity)
{
    errno = 0;
    FILE *file = fopen(path, "re");
    char *found = NULL;
    while (file && !found && fgets(line, capacity, file))
        if (strncmp(line, key, strlen(key)) == 0)
            found = line + strlen(key) + strspn(line + strlen(key), " \t:=\"");
    if (file)
        fclose(file);
    if (!found)
        return file || errno != ENOMEM ? "" : NULL;
    found[strcspn(found, "\"\n")] = '\0';
    return found;
}

/* A file that holds one number; -1 when it does not ("max", absent). */
static int64_t environment_number(const char *path)
{
    char line[64];
    char *end = line;
    FILE *file = fopen(path, "re");
    int64_t value = -1;
    if (file && fgets(line, sizeof line, file))
        value = strtoll(line, &end, 10);
    if (file)
        fclose(file);
    return end == line ? -1 : value;
}

int64_t environment_available_bytes(void)
{
    char line[256];
    char *end;
    const char *text = environment_line("/proc/meminfo", "MemAvailable", line, sizeof line);
    int64_t available = text ? strtoll(text, &end, 10) : 0;
    available = !text || end == text ? -1 : available * 1024;
    int64_t limit = environment_number("/sys/fs/cgroup/memory.max"),
            used = environment_number("/sys/fs/cgroup/memory.current");
    if (limit >= 0 && used >= 0 && (available < 0 || limit - used < available))
        available = limit > used ? limit - used : 0;
    return available;
}

int64_t environment_resident_bytes(void)
{
    char line[256];
    const char *text = environment_line("/proc/self/status", "VmRSS", line, sizeof line);
    return text ? strtoll(text, NULL, 10) * 1024 : 0;
}

char *environment_versions(struct arena *arena)
{
    return arena_printf(arena, "calvaria %s (%s), %s, HDF5 %s", BUILD_VERSION, BUILD_COMMIT, engine_version(),
                        BUILD_HDF5);
}

char *environment_text(struct arena *arena)
{
    char cpu_line[512], os_line[512];
    const char *cpu = environment_line("/proc/cpuinfo", "model name", cpu_line, sizeof cpu_line);
    const char *os = environment_line("/etc/os-release", "PRETTY_NAME", os_line, sizeof os_line);
    struct utsname uts;
    if (!cpu || !os)
        return NULL;
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
