/* The CPU backend: built-in routines in several instruction-set variants, and the threads that run them.
 *
 * docs/plan-format.md ("CPU routines") says what each routine computes; `cpu_routines` is the same table in C. A
 * routine checks the sizes of its buffers before it touches them, and its result has the same bits on every isa and for
 * every number of threads. */
#ifndef GEMMAFIT_CPU_H
#define GEMMAFIT_CPU_H

#include <stddef.h>
#include <stdint.h>

/* An instruction-set variant. `available` answers for the running CPU and kernel. */
typedef struct cpu_isa {
    const char *name; /* scalar | avx2 | avxvnni | avx512vnni | amx | neon | dotprod | i8mm */
    int (*available)(void);
    int level; /* enum cpu_level in isa.h */
} cpu_isa;

/* All isas compiled into this binary, slowest first; `cpu_isa_count` of them. The last available one is "auto". */
extern const cpu_isa cpu_isas[];
extern const int cpu_isa_count;
const cpu_isa *cpu_best_isa(void);

/* One argument: a buffer (`data`, `size` in bytes) or a scalar, as the routine's signature says. Buffers are aligned to
 * 64 bytes (`cpu_alloc`). */
typedef struct cpu_arg {
    void *data;
    size_t size;
    int32_t i;
    float f;
} cpu_arg;

typedef struct cpu_pool cpu_pool;

/* A routine bound to an isa, as `cpu_find` fills it. */
typedef struct cpu_kernel {
    const struct cpu_routine *routine;
    const cpu_isa *isa;
    int lacking; /* refused because of what this CPU is, not because of what was asked for */
} cpu_kernel;

/* Runs with `args` in the order of the signature. Returns NULL or what is wrong with the arguments. */
typedef const char *cpu_run_fn(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);

typedef struct cpu_routine {
    const char *name;
    const char *signature; /* one letter an argument: B buffer, I int32, F float32 */
    cpu_run_fn *run;
} cpu_routine;

extern const cpu_routine cpu_routines[];
extern const int cpu_routine_count;

/* Weight tile (rows R x columns C of a block, see the plan format) that the linear routines read: the same for every
 * isa, so that a plan with isa=auto is right on every phone. */
typedef struct cpu_tile {
    const char *scheme; /* i8 | i4 */
    int rows, cols;
} cpu_tile;
extern const cpu_tile cpu_tiles[2];

/* Finds `routine` for `isa` ("auto": the best that the running CPU has). Returns NULL, or an error text that names
 * what there is; an isa or arithmetic that this CPU lacks is such an error. The text is valid until the next call. */
const char *cpu_find(const char *routine, const char *isa, cpu_kernel *found);

/* Runs a kernel. NULL, or an error text (valid until the next call); nothing was written then. */
const char *cpu_run(cpu_pool *pool, const cpu_kernel *kernel, const cpu_arg *args);

/* Starts a pool of `threads` workers (0: one per chosen core; the caller is one of them).
 * `cpus`: list as in "0-3,6", one thread pinned to each in turn; NULL or "": the fastest cores by
 * cpu_capacity or cpuinfo_max_freq, every thread allowed on all of them. At most CPU_MAX_THREADS.
 * On failure returns NULL and writes a text to `error`. */
cpu_pool *cpu_pool_create(int threads, const char *cpus, char *error, size_t error_size);
void cpu_pool_destroy(cpu_pool *pool);
int cpu_pool_threads(const cpu_pool *pool);
/* Returns when all threads of the pool run, or after 20 ms: they sleep while nothing is asked of them, and a core that
 * was idle may take a millisecond to wake, which is no part of a job among many. */
void cpu_pool_wake(cpu_pool *pool);
/* The chosen cores as a list "4-7", for the report. */
const char *cpu_pool_cpus(const cpu_pool *pool);

/* Page-backed memory for large buffers, zeroed, aligned to at least 64 bytes, in huge pages where the kernel offers
 * them (a weight matrix of 32 MB costs 8192 TLB entries otherwise). NULL when there is none. */
void *cpu_alloc(size_t size);
void cpu_free(void *data, size_t size);

#endif
