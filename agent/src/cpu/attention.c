/* Attention over a float cache with one key and value head, as Gemma-2B has it. */
#include "../platform.h"
#include "pool.h"
#include "routines.h"
#include "rows.h"

enum {
    KEYS_A_TASK = 64,    /* 64 KB of keys at dim 256 */
    COLUMNS_A_TASK = 64, /* of the values; a multiple of 16 */
};

typedef struct job {
    const row_ops *rows;
    const attention *a;
    float *scores; /* [workers][heads][stride], then [heads] inverse sums; decode uses the first worker's */
    size_t worker_size;
    int stride, token, length;
    float scale;
} job;

static float *scores_of(const job *j, int worker) { return j->scores + (size_t)worker * j->worker_size; }
static float *inverse_of(const job *j, int worker) { return scores_of(j, worker) + (size_t)j->a->heads * j->stride; }
static size_t row_size(const attention *a) { return (size_t)a->heads * a->dim; }

/* Prefill. Task: one token, start to end. */
static void token_task(void *context, int token, int worker) {
    const job *j = context;
    const attention *a = j->a;
    const int length = a->past + token + 1;
    float *const scores = scores_of(j, worker), *const inverse = inverse_of(j, worker);
    j->rows->scores(a->q + token * row_size(a), a->k, scores, a->heads, a->dim, j->stride, 0, length, j->scale);
    for (int h = 0; h < a->heads; h++) inverse[h] = j->rows->softmax(scores + (size_t)h * j->stride, length);
    j->rows->mix(scores, a->v, a->out + token * row_size(a), inverse, a->heads, a->dim, j->stride, length, 0, a->dim);
}

/* Decode: the same three steps, each shared among the threads: keys, then heads, then columns of the values. */
static void score_task(void *context, int task, int worker) {
    (void)worker;
    const job *j = context;
    const attention *a = j->a;
    const int from = task * KEYS_A_TASK, to = from + KEYS_A_TASK < j->length ? from + KEYS_A_TASK : j->length;
    j->rows->scores(a->q + j->token * row_size(a), a->k, j->scores, a->heads, a->dim, j->stride, from, to, j->scale);
}

static void softmax_task(void *context, int head, int worker) {
    (void)worker;
    const job *j = context;
    inverse_of(j, 0)[head] = j->rows->softmax(j->scores + (size_t)head * j->stride, j->length);
}

static void mix_task(void *context, int task, int worker) {
    (void)worker;
    const job *j = context;
    const attention *a = j->a;
    const int from = task * COLUMNS_A_TASK, to = from + COLUMNS_A_TASK < a->dim ? from + COLUMNS_A_TASK : a->dim;
    j->rows->mix(j->scores, a->v, a->out + j->token * row_size(a), inverse_of(j, 0), a->heads, a->dim, j->stride,
                 j->length, from, to);
}

const char *cpu_attention(cpu_pool *pool, const cpu_isa *isa, const attention *a, float **spare, size_t spare_count) {
    const int threads = cpu_pool_threads(pool);
    job j = {.rows = cpu_row_ops(isa), .a = a, .scale = 1.0f / __builtin_elementwise_sqrt((float)a->dim)};
    j.stride =
        ((a->past + a->n + 15) & ~15) + 16; /* not a power of two: the heads' rows fall in different cache sets */
    j.worker_size = (size_t)a->heads * j.stride + (size_t)((a->heads + 15) & ~15);
    float *const scratch = cpu_scratch(pool, sizeof(float) * (spare_count + threads * j.worker_size));
    if (!scratch) return "no memory for the attention scores";
    *spare = scratch;
    j.scores = scratch + spare_count;
    attention with_out = *a;
    if (!a->out) with_out.out = scratch;
    j.a = &with_out;
    if (a->n >= threads && a->n > 1) {
        cpu_parallel(pool, token_task, &j, a->n, 1);
        return NULL;
    }
    for (j.token = 0; j.token < a->n; j.token++) {
        j.length = a->past + j.token + 1;
        cpu_parallel(pool, score_task, &j, (j.length + KEYS_A_TASK - 1) / KEYS_A_TASK, 1);
        cpu_parallel(pool, softmax_task, &j, a->heads, 1);
        cpu_parallel(pool, mix_task, &j, (a->dim + COLUMNS_A_TASK - 1) / COLUMNS_A_TASK, 1);
    }
    return NULL;
}
