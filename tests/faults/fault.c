/* fault.c - see fault.h. The rules of seccomp's user notification: seccomp_unotify(2). Test: tests/faults/test_faults.c
 */
#define _GNU_SOURCE
#include "tests/faults/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

const char *const fault_call_names[FAULT_N_CALLS] = {"write",  "fsync",    "rename", "create",
                                                     "folder", "truncate", "remove"};

enum { AT_CWD = -1 };
struct fault_rule {
    int number;
    enum fault_call call;
    int handle, path, to_handle, to; /* which argument; AT_CWD: none. path -1: the handle is the file */
};

static const struct fault_rule fault_rules[] = {
    {SYS_write, FAULT_WRITE, 0, -1, 0, 0},
    {SYS_pwrite64, FAULT_WRITE, 0, -1, 0, 0},
    {SYS_writev, FAULT_WRITE, 0, -1, 0, 0},
    {SYS_fsync, FAULT_SYNC, 0, -1, 0, 0},
    {SYS_fdatasync, FAULT_SYNC, 0, -1, 0, 0},
    {SYS_ftruncate, FAULT_TRUNCATE, 0, -1, 0, 0},
    {SYS_renameat, FAULT_RENAME, 0, 1, 2, 3},
    {SYS_renameat2, FAULT_RENAME, 0, 1, 2, 3},
    {SYS_openat, FAULT_CREATE, 0, 1, 0, 0},
    {SYS_mkdirat, FAULT_FOLDER, 0, 1, 0, 0},
    {SYS_unlinkat, FAULT_REMOVE, 0, 1, 0, 0},
#ifdef SYS_rename /* the newer architectures have the forms above alone */
    {SYS_rename, FAULT_RENAME, AT_CWD, 0, AT_CWD, 1},
    {SYS_open, FAULT_CREATE, AT_CWD, 0, 0, 0},
    {SYS_mkdir, FAULT_FOLDER, AT_CWD, 0, 0, 0},
    {SYS_unlink, FAULT_REMOVE, AT_CWD, 0, 0, 0},
    {SYS_rmdir, FAULT_REMOVE, AT_CWD, 0, 0, 0},
#endif
};
enum { FAULT_RULES = sizeof fault_rules / sizeof *fault_rules };

/* ---- in the child ---- */

static int fault_filter(void)
{
    struct sock_filter code[FAULT_RULES + 3];
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < FAULT_RULES; i++)
        code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)fault_rules[i].number,
                                                   (unsigned char)(FAULT_RULES - i), 0);
    code[FAULT_RULES + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[FAULT_RULES + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);

    const struct sock_fprog program = {.len = FAULT_RULES + 3, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static bool fault_send_handle(int to, int handle)
{
    char byte = 0;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof handle)];
    } control = {0};
    struct msghdr message = {.msg_iov = &(struct iovec){&byte, 1},
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof handle);
    memcpy(CMSG_DATA(head), &handle, sizeof handle);
    return sendmsg(to, &message, 0) == 1;
}

static void fault_child(const struct fault_run *run, int to)
{
    const int said = open(run->said_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666),
              none = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (run->preload)
        setenv("LD_PRELOAD", run->preload, 1);
    if (said < 0 || none < 0 || dup2(none, 0) < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0)
        _exit(127);

    const int listener = fault_filter();
    if (listener < 0 || !fault_send_handle(to, listener))
        _exit(126);
    close(listener);
    close(to);
    execv(run->argv[0], run->argv);
    _exit(127);
}

/* ---- in this process ---- */

static int fault_receive_handle(int from)
{
    char byte;
    int handle = -1;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof handle)];
    } control = {0};
    struct msghdr message = {.msg_iov = &(struct iovec){&byte, 1},
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const struct cmsghdr *head = recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(&handle, CMSG_DATA(head), sizeof handle);
    return handle;
}

/* What a link of /proc/PID leads to; "" where there is none. */
static void fault_read_link(char *ret, unsigned pid, const char *what)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%u/%s", pid, what);
    const ssize_t n = readlink(link, ret, PATH_MAX - 1);
    ret[n < 0 ? 0 : n] = '\0';
}

static bool fault_read_memory(void *ret, unsigned pid, uint64_t at, size_t n, bool text)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%u/mem", pid);
    const int handle = open(link, O_RDONLY | O_CLOEXEC);
    const ssize_t got = handle < 0 ? -1 : pread(handle, ret, n, (off_t)at);
    if (handle >= 0)
        close(handle);
    return text ? got > 0 && memchr(ret, 0, (size_t)got) : got == (ssize_t)n;
}

static void fault_read_handle(char *ret, unsigned pid, uint64_t handle)
{
    char name[32] = "cwd";
    if ((int)handle != AT_FDCWD)
        snprintf(name, sizeof name, "fd/%d", (int)handle);
    fault_read_link(ret, pid, name);
}

/* The absolute path of a call's file: of its handle, or of a name below a handle. */
static bool fault_read_path(char *ret, const struct seccomp_notif *call, int handle, int name)
{
    char text[PATH_MAX] = "";
    const uint64_t folder = handle < 0 ? (uint64_t)AT_FDCWD : call->data.args[handle];
    if (name >= 0 && !fault_read_memory(text, call->pid, call->data.args[name], PATH_MAX, true))
        return false;
    if (*text == '/') {
        memcpy(ret, text, PATH_MAX);
        return true;
    }
    fault_read_handle(ret, call->pid, folder);
    const size_t n = strlen(ret);
    if (name >= 0 && n + strlen(text) + 2 > PATH_MAX)
        return false;
    if (name >= 0)
        snprintf(ret + n, PATH_MAX - n, "/%s", text);
    return n > 0;
}

/* Where write(2) begins: at the handle's position, or the file's end. */
static int64_t fault_offset(unsigned pid, int handle, const char *path)
{
    char link[64], line[128];
    long long at = 0;
    unsigned flags = 0;
    struct stat info;
    snprintf(link, sizeof link, "/proc/%u/fdinfo/%d", pid, handle);
    FILE *file = fopen(link, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "pos: %lld", &at) != 1)
            (void)sscanf(line, "flags: %o", &flags);
    if (file)
        fclose(file);
    return flags & O_APPEND && stat(path, &info) == 0 ? info.st_size : at;
}

static void fault_record(const struct fault_run *run, const struct seccomp_notif *call, struct fault_event *event)
{
    const __u64 *args = call->data.args;
    void *data = NULL;
    if (call->data.nr == SYS_writev)
        abort(); /* nothing that is recorded uses it */
    if (event->call == FAULT_WRITE) {
        event->size = (int64_t)args[2];
        event->offset =
            call->data.nr == SYS_pwrite64 ? (int64_t)args[3] : fault_offset(call->pid, (int)args[0], event->path);
        data = memory_alloc((size_t)event->size, 1);
        if (!data || !fault_read_memory(data, call->pid, args[1], (size_t)event->size, false))
            abort();
        event->data = data;
    }
    if (event->call == FAULT_TRUNCATE)
        event->size = (int64_t)args[1];
    run->record(run->context, event);
    memory_free(data);
}

static int fault_number(enum fault_call call)
{
    return call == FAULT_SYNC ? EIO : ENOSPC;
}

/* What becomes of a call: 0, or the number of an error. */
static int fault_decide(struct fault_run *run, const struct seccomp_notif *call, const struct fault_rule *rule)
{
    char path[PATH_MAX], to[PATH_MAX];
    struct fault_event event = {.call = rule->call, .path = path, .to = to};
    const size_t n = strlen(run->folder);
    const uint64_t flags = rule->call == FAULT_CREATE ? call->data.args[rule->path + 1] : 0;
    if (rule->call == FAULT_CREATE && !(flags & (O_CREAT | O_TRUNC)))
        return 0;
    if (!fault_read_path(path, call, rule->handle, rule->path) || strncmp(path, run->folder, n) != 0 ||
        (path[n] != '/' && path[n] != '\0'))
        return 0;
    if (rule->call == FAULT_RENAME && !fault_read_path(to, call, rule->to_handle, rule->to))
        return 0;
    event.exclusive = flags & O_EXCL;
    event.empties = flags & O_TRUNC;
    if (run->record)
        fault_record(run, call, &event);
    if (rule->call == FAULT_REMOVE)
        return 0;

    run->n_calls++;
    if (run->fail_at == 0 || run->n_calls < run->fail_at || (run->n_calls > run->fail_at && !run->stays))
        return 0;
    if (run->n_calls == run->fail_at) {
        run->failed_call = rule->call;
        snprintf(run->failed_path, sizeof run->failed_path, "%s", path + n);
    }
    return fault_number(rule->call);
}

/* One call of the program. */
static void fault_serve(struct fault_run *run, int listener)
{
    union {
        struct seccomp_notif call;
        char room[1024];
    } in = {0};
    union {
        struct seccomp_notif_resp back;
        char room[1024];
    } out = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in))
        return; /* it was killed meanwhile */

    int number = 0;
    for (int i = 0; i < FAULT_RULES; i++)
        if (fault_rules[i].number == in.call.data.nr)
            number = fault_decide(run, &in.call, &fault_rules[i]);
    out.back.id = in.call.id;
    out.back.error = -number;
    out.back.flags = number ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out);
}

/* Until no process of the program is left. */
static void fault_watch(struct fault_run *run, pid_t child, int listener)
{
    const double end_s = log_clock_s() + (run->limit_s > 0 ? run->limit_s : 60);
    const int process = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd wait[2] = {{.fd = listener, .events = POLLIN}, {.fd = process, .events = POLLIN}};
    int how = 0;

    /* A handle that has told its end is waited for no more. */
    while (wait[0].fd >= 0 || wait[1].fd >= 0) {
        poll(wait, 2, 1000);
        if (wait[0].revents & POLLIN)
            fault_serve(run, listener);
        else if (wait[0].revents)
            wait[0].fd = -1;
        if (wait[1].revents && waitpid(child, &how, 0) == child)
            wait[1].fd = -1;
        if (log_clock_s() > end_s && !run->timed_out) {
            run->timed_out = true;
            kill(-child, SIGKILL);
        }
    }
    close(process);
    run->code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
}

enum status fault_run(struct fault_run *run, struct error *error)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return error_set(error, STATUS_FAILED, "socketpair: %s", strerror(errno));
    run->n_calls = 0;
    run->timed_out = false;
    run->failed_call = FAULT_N_CALLS;
    const pid_t child = fork();
    if (child == 0)
        fault_child(run, pair[1]);
    close(pair[1]);

    const int listener = child < 0 ? -1 : fault_receive_handle(pair[0]);
    close(pair[0]);
    if (listener < 0) {
        if (child > 0)
            waitpid(child, NULL, 0);
        return error_set(error, STATUS_FAILED, "seccomp: this system does not allow it");
    }
    fault_watch(run, child, listener);
    close(listener);
    return STATUS_OK;
}

bool fault_possible(void)
{
    struct error error = {0};
    char *const argv[] = {"/bin/true", NULL};
    struct fault_run run = {.argv = argv, .folder = "/nowhere", .said_path = "/dev/null"};
    return fault_run(&run, &error) == STATUS_OK && run.code == 0;
}
