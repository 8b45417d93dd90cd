/* Parallel loops and scratch memory for the routines (internal to the CPU backend). */
#ifndef GEMMAFIT_CPU_POOL_H
#define GEMMAFIT_CPU_POOL_H

#include "cpu.h"

/* Calls fn(context, task, worker) once for each task in 0..tasks-1 and returns when all are done. Worker i (0..threads-1)
 * has the i-th part of them, in order, and then helps the others; they are taken `grain` at a time (which costs about
 * as much as 100 ns of work). Who gets a task in the end is unspecified, so a result must not depend on it.
 * tasks / grain < 2^20 - CPU_MAX_THREADS. */
typedef void cpu_task_fn(void *context, int task, int worker);
void cpu_parallel(cpu_pool *pool, cpu_task_fn *fn, void *context, int tasks, int grain);

/* Memory that lives until the next call, aligned to 64 bytes, contents undefined. NULL when there is none. */
void *cpu_scratch(cpu_pool *pool, size_t size);

/* Fills `cpus` with the fastest cores (see cores.c); returns how many, at least 1. */
int cpu_fastest_cores(int *cpus, int capacity);

#endif
