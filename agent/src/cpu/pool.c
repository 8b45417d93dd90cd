/* A pool of persistent threads. Workers spin for a moment between jobs (a layer is a dozen jobs a few microseconds
 * apart) and then sleep on a futex.
 *
 * Every worker has a share of a job, the same part of each job, so that the rows it wrote in one are in its own cache
 * in the next; who is done takes from the others' shares. A share is one 64-bit word, generation | end | next: a worker
 * that takes a ticket knows from the word alone whether there is work in it, so that one which wakes up late (a busy
 * phone) never delays the others and never reads a job that is already over. */
#include "../system.h"
#include "denormals.h"
#include "pool.h"

/* Atomics in line: zig turns them into calls of a helper that only compiler-rt has, whatever -mno-outline-atomics says.
 */
#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("no-outline-atomics"))), apply_to = function)
#endif

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

enum { WAKE_NS = 20000000 };

enum {
    NEXT_BITS = 20,
#if defined(__x86_64__)
    IDLE_SPINS = 1000, /* about 50 us, longer than any serial part of a layer: `pause` takes 140 cycles since Skylake */
    JOIN_SPINS = 200,  /* then yield: the missing worker may wait for this very core */
#else
    IDLE_SPINS = 20000, /* `yield` is a few cycles */
    JOIN_SPINS = 4000,
#endif
};
#define NEXT_MASK ((1u << NEXT_BITS) - 1)
#define GENERATION(ticket) ((uint32_t)((ticket) >> (2 * NEXT_BITS)))

typedef struct share {
    _Alignas(64) uint64_t ticket;
} share;

typedef struct worker {
    cpu_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct cpu_pool {
    share shares[CPU_MAX_THREADS];
    _Alignas(64) uint32_t done;
    _Alignas(64) uint32_t wake; /* futex word: counts jobs */
    uint32_t sleepers;
    uint32_t stop;
    _Alignas(64) cpu_task_fn *fn;
    void *context;
    int tasks, grain;
    int threads, cpu_count, pinned;
    int cpus[CPU_MAX_THREADS];
    char cpu_text[4 * CPU_MAX_THREADS];
    void *scratch;
    size_t scratch_size;
    worker workers[CPU_MAX_THREADS];
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static void futex(uint32_t *word, int operation, uint32_t value) {
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* Restricts the calling thread: to one core of an explicit list, else to all chosen ones. A refusal (a core that
 * went offline, a cpuset of the system) leaves the thread where the scheduler puts it. */
static void set_affinity(const cpu_pool *pool, int index) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < pool->cpu_count; i++)
        if (!pool->pinned || i == index % pool->cpu_count) CPU_SET(pool->cpus[i], &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Takes tasks of one share until there are none. */
static void work_on(cpu_pool *pool, share *of, int index) {
    for (;;) {
        const uint64_t seen = __atomic_load_n(&of->ticket, __ATOMIC_RELAXED);
        if ((seen & NEXT_MASK) >= ((seen >> NEXT_BITS) & NEXT_MASK)) return;
        const uint64_t ticket = __atomic_fetch_add(&of->ticket, 1, __ATOMIC_ACQUIRE);
        const uint32_t next = ticket & NEXT_MASK, limit = (ticket >> NEXT_BITS) & NEXT_MASK;
        if (next >= limit) return;
        const int first = (int)next * pool->grain, end = first + pool->grain;
        for (int task = first; task < end && task < pool->tasks; task++) pool->fn(pool->context, task, index);
        __atomic_fetch_add(&pool->done, 1, __ATOMIC_RELEASE);
    }
}

/* Its own share first. Tasks of a job newer than the one that woke the worker are as good: a job's fields are stable
 * until its last task is done. */
static void work(cpu_pool *pool, int index) {
    const int threads = pool->threads;
    for (int i = 0; i < threads; i++) work_on(pool, &pool->shares[(index + i) % threads], index);
}

static void *worker_main(void *argument) {
    const worker *self = argument;
    cpu_pool *pool = self->pool;
    const share *own = &pool->shares[self->index];
    set_affinity(pool, self->index);
    set_float_mode(float_mode() | FLUSH);
    uint32_t seen = 0;
    for (;;) {
        for (int spins = 0;; spins++) {
            const uint32_t generation = GENERATION(__atomic_load_n(&own->ticket, __ATOMIC_ACQUIRE));
            if (generation != seen) {
                seen = generation;
                break;
            }
            if (spins < IDLE_SPINS) {
                relax();
                continue;
            }
            const uint32_t wake = __atomic_load_n(&pool->wake, __ATOMIC_SEQ_CST);
            __atomic_fetch_add(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            if (GENERATION(__atomic_load_n(&own->ticket, __ATOMIC_SEQ_CST)) == seen)
                futex(&pool->wake, FUTEX_WAIT_PRIVATE, wake);
            __atomic_fetch_sub(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            spins = 0;
        }
        if (__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE)) return NULL;
        work(pool, self->index);
    }
}

/* The caller's own share last: the others start while it is still writing. */
static void publish(cpu_pool *pool, uint32_t parts) {
    const uint32_t threads = (uint32_t)pool->threads;
    const uint64_t generation = (GENERATION(pool->shares[0].ticket) + 1) & 0xffffffu;
    for (uint32_t i = threads; i-- > 0;) {
        const uint64_t next = (uint64_t)parts * i / threads, end = (uint64_t)parts * (i + 1) / threads;
        __atomic_store_n(&pool->shares[i].ticket, generation << (2 * NEXT_BITS) | end << NEXT_BITS | next,
                         __ATOMIC_SEQ_CST);
    }
    __atomic_fetch_add(&pool->wake, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST)) futex(&pool->wake, FUTEX_WAKE_PRIVATE, CPU_MAX_THREADS);
}

void cpu_parallel(cpu_pool *pool, cpu_task_fn *fn, void *context, int tasks, int grain) {
    const uint32_t parts = (uint32_t)((tasks + grain - 1) / grain);
    if (pool->threads == 1 || parts <= 1) {
        for (int task = 0; task < tasks; task++) fn(context, task, 0);
        return;
    }
    pool->fn = fn;
    pool->context = context;
    pool->tasks = tasks;
    pool->grain = grain;
    __atomic_store_n(&pool->done, 0, __ATOMIC_RELAXED);
    publish(pool, parts);
    work(pool, 0);
    for (int spins = 0; __atomic_load_n(&pool->done, __ATOMIC_ACQUIRE) != parts; spins++) {
        if (spins < JOIN_SPINS)
            relax();
        else
            sched_yield();
    }
}

typedef struct roll {
    uint32_t present, threads;
    int64_t end;
} roll;

/* Ends when every worker is in its own, so that none can do another's. */
static void answer(void *context, int task, int worker) {
    roll *r = context;
    (void)task, (void)worker;
    __atomic_fetch_add(&r->present, 1, __ATOMIC_SEQ_CST);
    for (int spins = 1; __atomic_load_n(&r->present, __ATOMIC_ACQUIRE) < r->threads; spins++) {
        relax();
        if (spins % JOIN_SPINS) continue;
        if (clock_ns() > r->end) return;
        sched_yield();
    }
}

void cpu_pool_wake(cpu_pool *pool) {
    roll r = {0, (uint32_t)pool->threads, clock_ns() + WAKE_NS};
    cpu_parallel(pool, answer, &r, pool->threads, 1);
}

void *cpu_scratch(cpu_pool *pool, size_t size) {
    if (size > pool->scratch_size) {
        cpu_free(pool->scratch, pool->scratch_size);
        pool->scratch = cpu_alloc(size);
        pool->scratch_size = pool->scratch ? size : 0;
    }
    return pool->scratch;
}

/* "0-3,6" to numbers; -1 if it is not a list of cores below CPU_MAX_THREADS. */
static int parse_cpus(const char *text, int *cpus) {
    int count = 0;
    while (*text) {
        int range[2], parts = 0;
        do {
            int value = 0, digits = 0;
            for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++) value = value * 10 + (*text - '0');
            if (!digits || value >= CPU_MAX_THREADS) return -1;
            range[parts++] = value;
        } while (parts < 2 && *text == '-' && text++);
        for (int cpu = range[0]; cpu <= range[parts - 1]; cpu++) {
            if (count == CPU_MAX_THREADS) return -1;
            cpus[count++] = cpu;
        }
        if (*text == ',')
            text++;
        else if (*text)
            return -1;
    }
    return count;
}

static void format_cpus(cpu_pool *pool) {
    char *out = pool->cpu_text;
    size_t left = sizeof pool->cpu_text;
    for (int i = 0, last; i < pool->cpu_count; i = last + 1) {
        for (last = i; last + 1 < pool->cpu_count && pool->cpus[last + 1] == pool->cpus[last] + 1;) last++;
        const int n = last == i ? snprintf(out, left, "%s%d", i ? "," : "", pool->cpus[i])
                                : snprintf(out, left, "%s%d-%d", i ? "," : "", pool->cpus[i], pool->cpus[last]);
        if (n < 0 || (size_t)n >= left) return;
        out += n;
        left -= (size_t)n;
    }
}

cpu_pool *cpu_pool_create(int threads, const char *cpus, char *error, size_t error_size) {
    if (threads < 0 || threads > CPU_MAX_THREADS) {
        snprintf(error, error_size, "threads=%d is not in 0..%d", threads, CPU_MAX_THREADS);
        return NULL;
    }
    cpu_pool *pool = cpu_alloc(sizeof *pool);
    if (!pool) {
        snprintf(error, error_size, "no memory for the thread pool");
        return NULL;
    }
    if (cpus && *cpus) {
        pool->pinned = 1;
        pool->cpu_count = parse_cpus(cpus, pool->cpus);
        if (pool->cpu_count <= 0) {
            snprintf(error, error_size, "cpus=%.40s is not a list of cores such as 0-3,6", cpus);
            cpu_free(pool, sizeof *pool);
            return NULL;
        }
    } else {
        pool->cpu_count = cpu_fastest_cores(pool->cpus, CPU_MAX_THREADS);
    }
    format_cpus(pool);
    if (!threads) threads = pool->cpu_count;
    pool->threads = 1;
    set_affinity(pool, 0);
    for (int i = 1; i < threads; i++) {
        pool->workers[i] = (worker){.pool = pool, .index = i};
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]) != 0) {
            snprintf(error, error_size, "thread %d of %d could not be started", i + 1, threads);
            cpu_pool_destroy(pool);
            return NULL;
        }
        pool->threads = i + 1;
    }
    return pool;
}

void cpu_pool_destroy(cpu_pool *pool) {
    __atomic_store_n(&pool->stop, 1, __ATOMIC_RELEASE);
    publish(pool, 0);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    cpu_free(pool->scratch, pool->scratch_size);
    cpu_free(pool, sizeof *pool);
}

int cpu_pool_threads(const cpu_pool *pool) { return pool->threads; }

const char *cpu_pool_cpus(const cpu_pool *pool) { return pool->cpu_text; }

#if defined(__aarch64__)
#pragma clang attribute pop
#endif
