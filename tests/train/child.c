/* child.c - see child.h. */
#include "tests/train/child.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "tests/check.h"
#include "tests/train/chain.h"

pid_t child_start(const char *const *arguments)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    return child;
}

int child_wait(pid_t child)
{
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int child_run(const char *const *arguments)
{
    return child_wait(child_start(arguments));
}

void child_nap(double seconds)
{
    const struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
    nanosleep(&time, NULL);
}

void child_kill_at_random(const char *const *alone, const char *const *killed, const char *first)
{
    const double begin_s = log_clock_s();
    CHECK_INT(child_run(alone), 0);
    const double alone_s = log_clock_s() - begin_s;
    struct rng rng = rng_make((uint64_t)time(NULL), 0);
    int n_killed = 0, status = -1;
    for (int i = 0; i < 100 && status != 0; i++) {
        const pid_t child = child_start(killed);
        if (i == 0)
            chain_wait_for(first);
        else
            child_nap(alone_s * rng_uniform(&rng, 0.05, 0.6 + 0.1 * i));
        kill(child, SIGKILL); /* of a child that has ended already: nothing */
        status = child_wait(child);
        n_killed += status == -1;
    }
    printf("    killed %d times\n", n_killed);
    CHECK_INT(status, 0);
    CHECK(n_killed > 0);
}
