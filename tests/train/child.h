/* child.h - the runs that a test starts in processes of their own: started, killed, awaited. */
#ifndef CALVARIA_TESTS_TRAIN_CHILD_H
#define CALVARIA_TESTS_TRAIN_CHILD_H

#include <sys/types.h>

/* Starts arguments[0], looked for on the PATH when it has no slash; the list ends with NULL. */
pid_t child_start(const char *const *arguments);

/* Its exit status when it has ended; -1: it was killed. */
int child_wait(pid_t child);

int child_run(const char *const *arguments);

void child_nap(double seconds);

/* kill -9 at random moments of `killed`, again and again until one run ends. Checks that it ends with 0, and that there
 * was a kill: the first comes as soon as the path `first`, which a run makes early, is there. The moments are shares of
 * the time that the run `alone` takes; they grow, so that a busy machine gets through too. */
void child_kill_at_random(const char *const *alone, const char *const *killed, const char *first);

#endif
