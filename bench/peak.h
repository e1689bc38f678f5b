/* peak.h - what this machine can do at best, measured: the yardstick of the other benches. */
#ifndef CALVARIA_BENCH_PEAK_H
#define CALVARIA_BENCH_PEAK_H

/* Single-precision multiply-adds, counted as two operations: operations per second over all OpenMP threads. */
double peak_flops(void);
/* a = b + s*c over arrays far larger than any cache: bytes per second, counted as STREAM counts (three arrays). 0: out
 * of memory. */
double peak_bandwidth(void);

/* Seconds: wall clock; with one thread its processor time, which a busy machine does not stretch. */
double peak_clock_s(void);

#endif
