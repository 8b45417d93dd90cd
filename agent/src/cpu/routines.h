/* What the routines share (internal to the CPU backend). */
#ifndef GEMMAFIT_CPU_ROUTINES_H
#define GEMMAFIT_CPU_ROUTINES_H

#include "cpu.h"

/* Formats into one static text: the error of the call in progress. */
const char *cpu_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* q, s, w, ws, y, n, rows, cols (checked): y = (q . w^T) * s * ws, or gelu(gate) * up of the two halves of w. */
const char *cpu_linear(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args, int bits, int geglu);

/* One KV head, `heads` query heads; query i attends to rows 0..past+i of k and v. */
typedef struct attention {
    const float *q, *k, *v;
    float *out;
    int n, heads, dim, past;
} attention;
/* Leaves `spare_count` floats of scratch at *spare; with out = NULL the result goes there. */
const char *cpu_attention(cpu_pool *pool, const cpu_isa *isa, const attention *a, float **spare, size_t spare_count);

const char *cpu_stream_read(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);
const char *cpu_stream_copy(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);
const char *cpu_peak_f32(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);
const char *cpu_peak_f16(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);
const char *cpu_peak_i8(cpu_pool *pool, const cpu_isa *isa, const cpu_arg *args);

#endif
