/* Machine limits: what memory and arithmetic of this CPU give to code that does nothing else. */
#include "limits.h"

#include "../platform.h"
#include "pool.h"
#include "routines.h"

enum {
    PAGE = 4096,
    CHUNK = 256 * 1024, /* of a stream, per task */
};

typedef struct stream_job {
    const uint8_t *source;
    uint8_t *target;
    uint64_t *sums; /* of each worker, 64 bytes apart */
    size_t size;
} stream_job;

static size_t chunk_of(const stream_job *j, int task) {
    const size_t from = (size_t)task * CHUNK;
    return j->size - from < CHUNK ? j->size - from : CHUNK;
}

/* Two vectors of sums: eight SSE or NEON registers, enough to keep the adds off the critical path. */
typedef uint64_t words __attribute__((vector_size(64)));

static void read_task(void *context, int task, int worker) {
    const stream_job *j = context;
    const words *p = (const words *)(j->source + (size_t)task * CHUNK);
    words sum[2] = {0};
    for (size_t left = chunk_of(j, task); left; left -= 4 * sizeof(words), p += 4)
        for (int i = 0; i < 4; i++) {
            __builtin_prefetch((const uint8_t *)(p + i) + 2048);
            sum[i & 1] += p[i];
        }
    sum[0] += sum[1];
    uint64_t total = 0;
    for (int i = 0; i < 8; i++) total += sum[0][i];
    j->sums[8 * worker] += total;
}

static void copy_task(void *context, int task, int worker) {
    (void)worker;
    const stream_job *j = context;
    memcpy(j->target + (size_t)task * CHUNK, j->source + (size_t)task * CHUNK, chunk_of(j, task));
}

static const char *check_stream(const cpu_arg *source) {
    if (!source->size || source->size % PAGE || source->size / CHUNK >= 1 << 20)
        return cpu_error("a stream of %llu bytes is not a multiple of %d", (unsigned long long)source->size, PAGE);
    return NULL;
}

const char *cpu_stream_read(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    (void)isa;
    const char *error = check_stream(&args[0]);
    if (error) return error;
    if (args[1].size < 8) return "the sum needs 8 bytes";
    uint64_t sums[8 * CPU_MAX_THREADS] = {0}, total = 0;
    stream_job j = {args[0].data, NULL, sums, args[0].size};
    cpu_parallel(pool, read_task, &j, (int)((j.size + CHUNK - 1) / CHUNK), 1);
    for (int i = 0; i < CPU_MAX_THREADS; i++) total += sums[8 * i];
    memcpy(args[1].data, &total, sizeof total);
    return NULL;
}

const char *cpu_stream_copy(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    (void)isa;
    const char *error = check_stream(&args[0]);
    if (error) return error;
    if (args[1].size != args[0].size) return "source and target differ in size";
    stream_job j = {args[0].data, args[1].data, NULL, args[0].size};
    cpu_parallel(pool, copy_task, &j, (int)((j.size + CHUNK - 1) / CHUNK), 1);
    return NULL;
}

/* --- arithmetic peaks --- */

enum { UNITS_A_TASK = 16 }; /* 10 us and more: setting up an AMX tile takes none of it */

typedef struct peak_job {
    peak_fn *fn;
    int units;
    float results[CPU_MAX_THREADS];
} peak_job;

static void peak_task(void *context, int task, int worker) {
    peak_job *j = context;
    const int left = j->units - task * UNITS_A_TASK;
    const float result = j->fn(left < UNITS_A_TASK ? left : UNITS_A_TASK);
    if (result > j->results[worker]) j->results[worker] = result; /* the largest: whoever ran the short last task */
}

static const char *run_peak(cpu_pool *pool, const cpu_arg *args, peak_fn *fn) {
    if (args[0].size < 4) return "the result needs 4 bytes";
    if (args[1].i < 1 || args[1].i >= 1 << 20)
        return cpu_error("argument 2 is %d, not in 1..%d", args[1].i, (1 << 20) - 1);
    peak_job j = {.fn = fn, .units = args[1].i};
    cpu_parallel(pool, peak_task, &j, (args[1].i + UNITS_A_TASK - 1) / UNITS_A_TASK, 1);
    float result = 0;
    for (int i = 0; i < CPU_MAX_THREADS; i++) result = j.results[i] > result ? j.results[i] : result;
    memcpy(args[0].data, &result, sizeof result);
    return NULL;
}

const char *cpu_peak_f32(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    return run_peak(pool, args, cpu_peaks(isa).f32);
}

const char *cpu_peak_i8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    return run_peak(pool, args, cpu_peaks(isa).i8);
}

const char *cpu_peak_f16(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    return run_peak(pool, args, cpu_peaks(isa).f16);
}
