/* parallel.h - how many threads work. Loops use OpenMP pragmas with static schedules and reduce over chunks fixed by
 * the problem's size, so the same thread count gives the same bits. */
#ifndef CALVARIA_BASE_PARALLEL_H
#define CALVARIA_BASE_PARALLEL_H

int parallel_threads(void);
int parallel_machine_threads(void); /* the machine's processors, whatever this process is bound to */
void parallel_set_threads(int n);   /* n <= 0: all the machine's processors */
/* Before any work or output: idle threads of OpenMP sleep after looking for work for about 20 us, where its default
 * looks for several ms and takes that time from whatever else runs on the machine. OpenMP reads its settings when it is
 * loaded, so the program is started once more with them set; returns when they are set, by this or by the user
 * (OMP_WAIT_POLICY, GOMP_SPINCOUNT, KMP_BLOCKTIME), or with one processor. */
void parallel_sleep_when_idle(char *const *argv);
/* "GOMP_SPINCOUNT=2000": the setting in force, or "default". From the environment. */
const char *parallel_idle_setting(void);
/* Denormal floats become zero in the calling thread and the OpenMP team (training only; see docs). */
void parallel_flush_denormals(void);

#endif
