/* The driver of the integer matrix products: packs the activations, hands row blocks to the threads, scales the sums.
 */
#include "linear.h"

#include "../platform.h"
#include "pool.h"
#include "routines.h"
#include "rows.h"

enum {
    TOKENS_AT_ONCE = 256,    /* weights are read once for these; their sums stay in L2 */
    DEPTH_AT_ONCE = 4096,    /* columns for which activations and a row block stay in L2 */
    TASK_BYTES = 128 * 1024, /* of weights: long enough to hide the hand-out, short enough to even out the end */
    SUM_BYTES = 128 * 1024,  /* of sums of one task */
    PACK_BYTES = 32 * 1024,  /* of activations in a task: a few microseconds */
    AMX_TOKENS = 16,         /* below, a tile register is mostly empty */
    SPLIT_TOKENS = 32,       /* a multiple of every kernel's tile */
};

typedef struct job {
    const linear_ops *ops;
    const row_ops *rows;
    panel_fn *panel;
    const uint8_t *w;
    const float *s, *ws;
    const int8_t *q;
    float *y;
    int n, out_rows, cols, blocks, geglu, bits, bias, depth;
    int group, tokens; /* of a task: row blocks, tokens */
    size_t block_bytes;
    int8_t *packed; /* may be q */
    int32_t *sums;  /* bias * the sum of each token's activations */
    int32_t *acc;   /* of each worker */
    size_t acc_count;
} job;

static const linear_ops *ops_of(const cpu_isa *isa, int n) {
    switch (isa->level) {
#if defined(__x86_64__)
        case LEVEL_AMX: return n >= AMX_TOKENS ? &cpu_linear_amx : &cpu_linear_avx512vnni;
        case LEVEL_AVX512VNNI: return &cpu_linear_avx512vnni;
        case LEVEL_AVXVNNI: return &cpu_linear_avxvnni;
        case LEVEL_AVX2: return &cpu_linear_avx2;
#elif defined(__aarch64__)
        case LEVEL_I8MM: return &cpu_linear_i8mm;
        case LEVEL_DOTPROD: return &cpu_linear_dotprod;
        case LEVEL_NEON: return &cpu_linear_neon;
#elif defined(__arm__)
        case LEVEL_NEON: return &cpu_linear_neon;
#endif
        default: (void)n; return &cpu_linear_scalar;
    }
}

/* Task: one token. Its place follows from the tiling (linear.h); a single one of int8 already lies as it should. */
static void pack_task(void *context, int token, int worker) {
    (void)worker;
    const job *j = context;
    const int8_t *q = j->q + (size_t)token * j->cols;
    j->sums[token] = j->bias ? j->bias * j->rows->sum(q, j->cols) : 0;
    if (j->packed == j->q) return;
    int first = 0, tile;
    while (first + (tile = token_tile(j->n - first, j->ops->tokens)) <= token) first += tile;
    for (int k = 0, depth; k < j->cols; k += depth) {
        depth = j->cols - k < j->depth ? j->cols - k : j->depth;
        int8_t *const out = j->packed + (size_t)j->n * k + (size_t)first * depth + (token - first) * j->ops->unit;
        j->rows->pack(q + k, out, depth, j->ops->unit, (size_t)tile * j->ops->unit, j->bits == 4);
    }
}

/* Task: a group of row blocks for a group of tokens. */
static void product_task(void *context, int task, int worker) {
    const job *j = context;
    const int row_groups = (j->blocks + j->group - 1) / j->group;
    const int first = task % row_groups * j->group, from = task / row_groups * j->tokens;
    const int blocks = first + j->group < j->blocks ? j->group : j->blocks - first;
    const int n = from + j->tokens < j->n ? j->tokens : j->n - from;
    const int count = blocks * n * BLOCK_ROWS, halves = j->geglu ? 2 : 1;
    int32_t *const acc = j->acc + (size_t)worker * j->acc_count;
    memset(acc, 0, sizeof *acc * (size_t)(count * halves));
    for (int k = 0, depth; k < j->cols; k += depth) {
        depth = j->cols - k < j->depth ? j->cols - k : j->depth;
        const int8_t *const tokens = j->packed + (size_t)j->n * k + (size_t)from * depth;
        for (int half = 0; half < halves; half++) {
            const size_t block = (size_t)(half * j->blocks + first);
            j->panel(j->w + block * j->block_bytes + (size_t)k * BLOCK_ROWS * (size_t)j->bits / 8, j->block_bytes,
                     blocks, tokens, n, depth, acc + half * count);
        }
    }
    const int row = first * BLOCK_ROWS;
    const size_t step = (size_t)n * BLOCK_ROWS;
    for (int t = 0; t < n; t++) {
        const int token = from + t;
        const int32_t *const sums = acc + t * BLOCK_ROWS;
        float *const y = j->y + (size_t)token * j->out_rows + row;
        if (j->geglu)
            j->rows->dequantize_geglu(sums, sums + count, step, blocks, j->sums[token], j->s[token], j->ws + row,
                                      j->ws + j->out_rows + row, y);
        else
            j->rows->dequantize(sums, step, blocks, j->sums[token], j->s[token], j->ws + row, y);
    }
}

/* Splits the product so that every thread gets some and a task's sums stay in its cache. */
static void plan_tasks(job *j, int threads) {
    const size_t sums = sizeof(int32_t) * BLOCK_ROWS * (size_t)j->n * (j->geglu ? 2 : 1);
    int group = (int)(TASK_BYTES / (j->block_bytes * (j->geglu ? 2 : 1)));
    if (j->n >= AMX_TOKENS) group = 8; /* activations are read once for the group */
    if ((size_t)group * sums > SUM_BYTES) group = (int)(SUM_BYTES / sums);
    if (group > j->blocks / (2 * threads)) group = j->blocks / (2 * threads);
    if (group > 1) group &= ~1; /* AMX takes two at a time */
    j->group = group > 1 ? group : 1;
    j->tokens = j->n;
    /* Few rows: a thread takes the tokens that it packed and reads all the weights. Shared by rows, half of the
     * activations would move between the cores' caches (256x2048, 128 tokens, AMX: 38 us, by rows 52). */
    const int share = j->n / threads & ~(SPLIT_TOKENS - 1);
    if (share && j->blocks * BLOCK_ROWS <= 2 * j->n) j->tokens = share;
    j->depth = j->n == 1 ? j->cols : DEPTH_AT_ONCE;
    j->acc_count = (size_t)j->group * sums / sizeof(int32_t);
}

const char *cpu_linear(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args, int bits, int geglu) {
    const int n = args[5].i, rows = args[6].i, cols = args[7].i;
    const int threads = cpu_pool_threads(pool);
    for (int from = 0, count; from < n; from += count) {
        count = n - from < TOKENS_AT_ONCE ? n - from : TOKENS_AT_ONCE;
        job j = {
            .ops = ops_of(isa, count),
            .rows = cpu_row_ops(isa),
            .q = (const int8_t *)args[0].data + (size_t)from * cols,
            .s = (const float *)args[1].data + from,
            .w = args[2].data,
            .ws = args[3].data,
            .y = (float *)args[4].data + (size_t)from * rows,
            .n = count,
            .out_rows = rows,
            .cols = cols,
            .blocks = rows / BLOCK_ROWS,
            .geglu = geglu,
            .bits = bits,
            .block_bytes = (size_t)cols * BLOCK_ROWS * (size_t)bits / 8,
        };
        j.panel = bits == 8 ? j.ops->i8 : j.ops->i4;
        j.bias = bits == 8 ? j.ops->bias : 8;
        plan_tasks(&j, threads);
        const size_t packed = ((size_t)count * cols + 63) & ~(size_t)63,
                     sums = (sizeof(int32_t) * count + 63) & ~(size_t)63;
        const size_t acc = sizeof(int32_t) * j.acc_count;
        uint8_t *const scratch = cpu_scratch(pool, packed + sums + acc * threads);
        if (!scratch) return "no memory for the packed activations";
        j.packed = count == 1 && bits == 8 ? (int8_t *)args[0].data + (size_t)from * cols : (int8_t *)scratch;
        j.sums = (int32_t *)(scratch + packed);
        j.acc = (int32_t *)(scratch + packed + sums);
        cpu_parallel(pool, pack_task, &j, count, 1 + PACK_BYTES / cols);
        cpu_parallel(pool, product_task, &j, (j.blocks + j.group - 1) / j.group * ((j.n + j.tokens - 1) / j.tokens), 1);
    }
    return NULL;
}
