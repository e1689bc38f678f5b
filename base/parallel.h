/* parallel.h - how many threads work. Loops use OpenMP pragmas with static schedules and reduce over chunks fixed by
 * the problem's size, so the same thread count gives the same bits. */
#ifndef CALVARIA_BASE_PARALLEL_H
#define CALVARIA_BASE_PARALLEL_H

int parallel_threads(void);
int parallel_machine_threads(void); /* the machine's processors, whatever this process is bound to */
void parallel_set_threads(int n);   /* n <= 0: all the machine's processors */
/* Denormal floats become zero in the calling thread and the OpenMP team (training only; see docs). */
void parallel_flush_denormals(void);

#endif
