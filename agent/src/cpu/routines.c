/* The table of routines: each checks its arguments, then shares the work among the threads. */
#include "routines.h"

#include "../platform.h"
#include "denormals.h"
#include "linear.h"
#include "pool.h"
#include "rows.h"

enum {
    LARGEST = 1 << 24,      /* of any dimension or row length: byte counts then fit 64 bits */
    ELEMENTS_A_TASK = 4096, /* of elementwise work: a few microseconds */
};

const char *cpu_error(const char *format, ...) {
    static char text[256]; /* the interpreter runs one routine at a time */
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return text;
}

/* --- argument checks: NULL or an error text --- */

static const char *check_size(const cpu_arg *args, int index, uint64_t bytes) {
    if (!args[index].data || args[index].size < bytes)
        return cpu_error("argument %d has %llu bytes, %llu are needed", index + 1, (unsigned long long)args[index].size,
                         (unsigned long long)bytes);
    return NULL;
}

static const char *check_count(const cpu_arg *args, int index, int lowest, int multiple) {
    const int value = args[index].i;
    if (value < lowest || value > LARGEST || value % multiple)
        return cpu_error("argument %d is %d, not a multiple of %d in %d..%d", index + 1, value, multiple, lowest,
                         LARGEST);
    return NULL;
}

#define CHECK(expression)                                                                                              \
    do {                                                                                                               \
        const char *const error_ = (expression);                                                                       \
        if (error_) return error_;                                                                                     \
    } while (0)

#define FLOATS(count) (4ull * (uint64_t)(count))

/* n at `index`, d (a multiple of 16) after it; *elements = n * d. */
static const char *check_matrix(const cpu_arg *args, int index, uint64_t *elements) {
    CHECK(check_count(args, index, 1, 1));
    CHECK(check_count(args, index + 1, 16, 16));
    *elements = (uint64_t)args[index].i * (uint64_t)args[index + 1].i;
    return NULL;
}

/* --- work on rows: one task is a row --- */

typedef struct row_job {
    const row_ops *ops;
    const cpu_arg *args;
    int d;
} row_job;

/* Rows in a task. */
static int row_grain(int d) { return 1 + ELEMENTS_A_TASK / d; }

static float *row(const row_job *j, int index, int r) { return (float *)j->args[index].data + (size_t)r * j->d; }
static int8_t *row_q(const row_job *j, int index, int r) { return (int8_t *)j->args[index].data + (size_t)r * j->d; }
static float *scale(const row_job *j, int index, int r) { return (float *)j->args[index].data + r; }

static void rmsnorm_task(void *context, int r, int worker) {
    (void)worker;
    const row_job *j = context;
    j->ops->rmsnorm(row(j, 0, r), j->args[1].data, row(j, 2, r), j->d);
}

static const char *run_rmsnorm(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 3, &elements));
    CHECK(check_size(args, 0, FLOATS(elements)));
    CHECK(check_size(args, 1, FLOATS(args[4].i)));
    CHECK(check_size(args, 2, FLOATS(elements)));
    row_job j = {cpu_row_ops(isa), args, args[4].i};
    cpu_parallel(pool, rmsnorm_task, &j, args[3].i, row_grain(j.d));
    return NULL;
}

static void quantize_task(void *context, int r, int worker) {
    (void)worker;
    const row_job *j = context;
    j->ops->quantize(row(j, 0, r), row_q(j, 1, r), scale(j, 2, r), j->d);
}

static const char *run_quantize(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 3, &elements));
    CHECK(check_size(args, 0, FLOATS(elements)));
    CHECK(check_size(args, 1, elements));
    CHECK(check_size(args, 2, FLOATS(args[3].i)));
    row_job j = {cpu_row_ops(isa), args, args[4].i};
    cpu_parallel(pool, quantize_task, &j, args[3].i, row_grain(j.d));
    return NULL;
}

static void rmsnorm_q8_task(void *context, int r, int worker) {
    (void)worker;
    const row_job *j = context;
    j->ops->rmsnorm_q8(row(j, 0, r), j->args[1].data, row_q(j, 2, r), scale(j, 3, r), j->d);
}

static const char *run_rmsnorm_q8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 4, &elements));
    CHECK(check_size(args, 0, FLOATS(elements)));
    CHECK(check_size(args, 1, FLOATS(args[5].i)));
    CHECK(check_size(args, 2, elements));
    CHECK(check_size(args, 3, FLOATS(args[4].i)));
    row_job j = {cpu_row_ops(isa), args, args[5].i};
    cpu_parallel(pool, rmsnorm_q8_task, &j, args[4].i, row_grain(j.d));
    return NULL;
}

static void add_rmsnorm_q8_task(void *context, int r, int worker) {
    (void)worker;
    const row_job *j = context;
    j->ops->add(row(j, 0, r), row(j, 1, r), row(j, 2, r), j->d);
    j->ops->rmsnorm_q8(row(j, 2, r), j->args[3].data, row_q(j, 4, r), scale(j, 5, r), j->d);
}

static const char *run_add_rmsnorm_q8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 6, &elements));
    for (int i = 0; i < 3; i++) CHECK(check_size(args, i, FLOATS(elements)));
    CHECK(check_size(args, 3, FLOATS(args[7].i)));
    CHECK(check_size(args, 4, elements));
    CHECK(check_size(args, 5, FLOATS(args[6].i)));
    row_job j = {cpu_row_ops(isa), args, args[7].i};
    cpu_parallel(pool, add_rmsnorm_q8_task, &j, args[6].i, row_grain(j.d));
    return NULL;
}

/* --- elementwise work: one task is ELEMENTS_A_TASK values --- */

typedef struct element_job {
    const row_ops *ops;
    const float *a, *b;
    float *y;
    uint64_t count;
} element_job;

static int element_tasks(uint64_t count) { return (int)((count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK); }

static void geglu_task(void *context, int task, int worker) {
    (void)worker;
    const element_job *j = context;
    const size_t from = (size_t)task * ELEMENTS_A_TASK;
    const size_t count = j->count - from < ELEMENTS_A_TASK ? j->count - from : ELEMENTS_A_TASK;
    j->ops->geglu(j->a + from, j->b + from, j->y + from, (int)count);
}

static void add_task(void *context, int task, int worker) {
    (void)worker;
    const element_job *j = context;
    const size_t from = (size_t)task * ELEMENTS_A_TASK;
    const size_t count = j->count - from < ELEMENTS_A_TASK ? j->count - from : ELEMENTS_A_TASK;
    j->ops->add(j->a + from, j->b + from, j->y + from, (int)count);
}

static const char *run_geglu(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 3, &elements));
    for (int i = 0; i < 3; i++) CHECK(check_size(args, i, FLOATS(elements)));
    element_job j = {cpu_row_ops(isa), args[0].data, args[1].data, args[2].data, elements};
    cpu_parallel(pool, geglu_task, &j, element_tasks(elements), 1);
    return NULL;
}

static const char *run_geglu_q8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    uint64_t elements;
    CHECK(check_matrix(args, 4, &elements));
    CHECK(check_size(args, 0, FLOATS(elements)));
    CHECK(check_size(args, 1, FLOATS(elements)));
    CHECK(check_size(args, 2, elements));
    CHECK(check_size(args, 3, FLOATS(args[4].i)));
    float *const y = cpu_scratch(pool, FLOATS(elements));
    if (!y) return "no memory between geglu and its quantization";
    element_job j = {cpu_row_ops(isa), args[0].data, args[1].data, y, elements};
    cpu_parallel(pool, geglu_task, &j, element_tasks(elements), 1);
    const cpu_arg quantized[] = {{.data = y}, args[2], args[3]};
    row_job rows = {j.ops, quantized, args[5].i};
    cpu_parallel(pool, quantize_task, &rows, args[4].i, row_grain(rows.d));
    return NULL;
}

static const char *run_add(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    if (args[3].i < 1) return cpu_error("argument 4 is %d, not a count", args[3].i);
    for (int i = 0; i < 3; i++) CHECK(check_size(args, i, FLOATS(args[3].i)));
    element_job j = {cpu_row_ops(isa), args[0].data, args[1].data, args[2].data, (uint64_t)args[3].i};
    cpu_parallel(pool, add_task, &j, element_tasks(j.count), 1);
    return NULL;
}

/* --- products --- */

static const char *check_linear(const cpu_arg *args, int bits, int geglu) {
    CHECK(check_count(args, 5, 1, 1));
    CHECK(check_count(args, 6, BLOCK_ROWS, BLOCK_ROWS));
    CHECK(check_count(args, 7, 64, 64));
    const uint64_t n = (uint64_t)args[5].i, rows = (uint64_t)args[6].i, cols = (uint64_t)args[7].i,
                   all = geglu ? 2 * rows : rows;
    CHECK(check_size(args, 0, n * cols));
    CHECK(check_size(args, 1, FLOATS(n)));
    CHECK(check_size(args, 2, all * cols * (uint64_t)bits / 8));
    CHECK(check_size(args, 3, FLOATS(all)));
    return check_size(args, 4, FLOATS(n * rows));
}

static const char *run_linear_i8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_linear(args, 8, 0));
    return cpu_linear(pool, isa, args, 8, 0);
}

static const char *run_linear_i4(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_linear(args, 4, 0));
    return cpu_linear(pool, isa, args, 4, 0);
}

static const char *run_linear_geglu_i8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_linear(args, 8, 1));
    return cpu_linear(pool, isa, args, 8, 1);
}

static const char *run_linear_geglu_i4(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_linear(args, 4, 1));
    return cpu_linear(pool, isa, args, 4, 1);
}

/* --- RoPE, cache and attention --- */

/* n, heads, dim from `index` on. */
static const char *check_heads(const cpu_arg *args, int index) {
    CHECK(check_count(args, index, 1, 1));
    CHECK(check_count(args, index + 1, 1, 1));
    CHECK(check_count(args, index + 2, 32, 32));
    if ((uint64_t)args[index + 1].i * (uint64_t)args[index + 2].i > LARGEST)
        return cpu_error("%d heads of %d are too many", args[index + 1].i, args[index + 2].i);
    return NULL;
}

typedef struct rope_job {
    const row_ops *ops;
    const float *x, *cosine, *sine;
    float *q, *k, *v; /* k and v: the first new row of the caches, or NULL */
    int heads, dim;
} rope_job;

static void rope_task(void *context, int token, int worker) {
    (void)worker;
    const rope_job *j = context;
    const int half = j->dim / 2, in_heads = j->k ? j->heads + 2 : j->heads;
    const float *const x = j->x + (size_t)token * in_heads * j->dim;
    const float *const cosine = j->cosine + (size_t)token * half, *const sine = j->sine + (size_t)token * half;
    float *const q = j->q + (size_t)token * j->heads * j->dim;
    for (int h = 0; h < j->heads; h++) j->ops->rope(x + h * j->dim, cosine, sine, q + h * j->dim, half);
    if (!j->k) return;
    const float *const key = x + j->heads * j->dim;
    j->ops->rope(key, cosine, sine, j->k + (size_t)token * j->dim, half);
    memcpy(j->v + (size_t)token * j->dim, key + j->dim, sizeof(float) * (size_t)j->dim);
}

static const char *run_rope(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_heads(args, 3));
    const int n = args[3].i, heads = args[4].i, dim = args[5].i;
    CHECK(check_size(args, 0, FLOATS((uint64_t)n * heads * dim)));
    CHECK(check_size(args, 1, FLOATS((uint64_t)n * dim / 2)));
    CHECK(check_size(args, 2, FLOATS((uint64_t)n * dim / 2)));
    float *const x = args[0].data;
    rope_job j = {cpu_row_ops(isa), x, args[1].data, args[2].data, x, NULL, NULL, heads, dim};
    cpu_parallel(pool, rope_task, &j, n, row_grain(heads * dim));
    return NULL;
}

static const char *run_rope_append(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_heads(args, 6));
    CHECK(check_count(args, 9, 0, 1));
    const int n = args[6].i, heads = args[7].i, dim = args[8].i, at = args[9].i;
    CHECK(check_size(args, 0, FLOATS((uint64_t)n * (heads + 2) * dim)));
    CHECK(check_size(args, 1, FLOATS((uint64_t)n * dim / 2)));
    CHECK(check_size(args, 2, FLOATS((uint64_t)n * dim / 2)));
    CHECK(check_size(args, 3, FLOATS((uint64_t)n * heads * dim)));
    for (int i = 4; i < 6; i++) CHECK(check_size(args, i, FLOATS(((uint64_t)at + n) * dim)));
    const size_t first = (size_t)at * dim;
    rope_job j = {cpu_row_ops(isa),
                  args[0].data,
                  args[1].data,
                  args[2].data,
                  args[3].data,
                  (float *)args[4].data + first,
                  (float *)args[5].data + first,
                  heads,
                  dim};
    cpu_parallel(pool, rope_task, &j, n, row_grain(heads * dim));
    return NULL;
}

static const char *run_copy_rows(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    (void)pool, (void)isa;
    CHECK(check_count(args, 2, 1, 1));
    CHECK(check_count(args, 3, 1, 1));
    CHECK(check_count(args, 4, 0, 1));
    const uint64_t n = (uint64_t)args[2].i, d = (uint64_t)args[3].i, at = (uint64_t)args[4].i;
    CHECK(check_size(args, 0, FLOATS(n * d)));
    CHECK(check_size(args, 1, FLOATS((at + n) * d)));
    memcpy((float *)args[1].data + at * d, args[0].data, sizeof(float) * (size_t)(n * d));
    return NULL;
}

/* q, k, v, then n, heads, dim, past from `index` on. */
static const char *check_attention(const cpu_arg *args, int index) {
    CHECK(check_heads(args, index));
    CHECK(check_count(args, index + 3, 0, 1));
    const uint64_t n = (uint64_t)args[index].i, dim = (uint64_t)args[index + 2].i, past = (uint64_t)args[index + 3].i;
    CHECK(check_size(args, 0, FLOATS(n * args[index + 1].i * dim)));
    CHECK(check_size(args, 1, FLOATS((past + n) * dim)));
    return check_size(args, 2, FLOATS((past + n) * dim));
}

static const char *run_attention(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_attention(args, 4));
    const attention a = {args[0].data, args[1].data, args[2].data, args[3].data,
                         args[4].i,    args[5].i,    args[6].i,    args[7].i};
    CHECK(check_size(args, 3, FLOATS((uint64_t)a.n * a.heads * a.dim)));
    float *spare;
    return cpu_attention(pool, isa, &a, &spare, 0);
}

static const char *run_attention_q8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args) {
    CHECK(check_attention(args, 5));
    const attention a = {args[0].data, args[1].data, args[2].data, NULL, args[5].i, args[6].i, args[7].i, args[8].i};
    CHECK(check_size(args, 3, (uint64_t)a.n * a.heads * a.dim));
    CHECK(check_size(args, 4, FLOATS(a.n)));
    float *out;
    CHECK(cpu_attention(pool, isa, &a, &out, (size_t)a.n * a.heads * a.dim));
    const cpu_arg quantized[] = {{.data = out}, args[3], args[4]};
    row_job j = {cpu_row_ops(isa), quantized, a.heads * a.dim};
    cpu_parallel(pool, quantize_task, &j, a.n, row_grain(j.d));
    return NULL;
}

/* --- the table --- */

const cpu_routine cpu_routines[] = {
    {"rmsnorm", "BBBII", run_rmsnorm},
    {"quantize", "BBBII", run_quantize},
    {"rmsnorm_q8", "BBBBII", run_rmsnorm_q8},
    {"add_rmsnorm_q8", "BBBBBBII", run_add_rmsnorm_q8},
    {"linear_i8", "BBBBBIII", run_linear_i8},
    {"linear_i4", "BBBBBIII", run_linear_i4},
    {"linear_geglu_i8", "BBBBBIII", run_linear_geglu_i8},
    {"linear_geglu_i4", "BBBBBIII", run_linear_geglu_i4},
    {"rope", "BBBIII", run_rope},
    {"copy_rows", "BBIII", run_copy_rows},
    {"rope_append", "BBBBBBIIII", run_rope_append},
    {"attention", "BBBBIIII", run_attention},
    {"attention_q8", "BBBBBIIII", run_attention_q8},
    {"geglu", "BBBII", run_geglu},
    {"geglu_q8", "BBBBII", run_geglu_q8},
    {"add", "BBBI", run_add},
    {"stream_read", "BB", cpu_stream_read},
    {"stream_copy", "BB", cpu_stream_copy},
    {"peak_f32", "BI", cpu_peak_f32},
    {"peak_i8", "BI", cpu_peak_i8},
    {"peak_f16", "BI", cpu_peak_f16},
};
const int cpu_routine_count = sizeof cpu_routines / sizeof cpu_routines[0];

const cpu_tile cpu_tiles[2] = {{"i8", BLOCK_ROWS, 4}, {"i4", BLOCK_ROWS, 8}};

static const char *find_isa(const char *isa, cpu_kernel *found) {
    if (!strcmp(isa, "auto")) {
        found->isa = cpu_best_isa();
        return NULL;
    }
    for (int i = 0; i < cpu_isa_count; i++) {
        if (strcmp(cpu_isas[i].name, isa)) continue;
        found->isa = &cpu_isas[i];
        found->lacking = !found->isa->available();
        return found->lacking ? cpu_error("this CPU has no %s; its best is %s", isa, cpu_best_isa()->name) : NULL;
    }
    return cpu_error("no isa of this agent is called %.48s; the best of this CPU is %s", isa, cpu_best_isa()->name);
}

const char *cpu_find(const char *routine, const char *isa, cpu_kernel *found) {
    *found = (cpu_kernel){0};
    for (int i = 0; i < cpu_routine_count; i++)
        if (!strcmp(cpu_routines[i].name, routine)) found->routine = &cpu_routines[i];
    if (!found->routine) return cpu_error("no CPU routine is called %.48s", routine);
    CHECK(find_isa(isa, found));
    found->lacking = found->routine->run == cpu_peak_f16 && !cpu_has_f16(found->isa);
    return found->lacking ? cpu_error("%s of this CPU has no half-precision arithmetic", found->isa->name) : NULL;
}

const char *cpu_run(cpu_pool *pool, const cpu_kernel *kernel, const cpu_arg *args) {
    const uint64_t mode = float_mode();
    set_float_mode(mode | FLUSH);
    const char *const error = kernel->routine->run(pool, kernel->isa, args);
    set_float_mode(mode);
    return error;
}
