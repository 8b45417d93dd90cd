/* Float work on rows, compiled once per vector width (internal to the CPU backend).
 *
 * Lengths are multiples of 16 unless said otherwise. Strides are in floats. */
#ifndef GEMMAFIT_CPU_ROWS_H
#define GEMMAFIT_CPU_ROWS_H

#include "isa.h"

typedef struct row_ops {
    /* y = x * rsqrt(mean(x^2) + 1e-6) * (1 + w) */
    void (*rmsnorm)(const float *x, const float *w, float *y, int d);
    /* q, s = q8 of x */
    void (*quantize)(const float *x, int8_t *q, float *s, int d);
    /* quantize(rmsnorm(x)), with the same bits and no memory between */
    void (*rmsnorm_q8)(const float *x, const float *w, int8_t *q, float *s, int d);
    void (*geglu)(const float *gate, const float *up, float *y, int d);
    /* y = a + b, any count */
    void (*add)(const float *a, const float *b, float *y, int count);
    /* y = the rotated halves of x, each half = dim/2 long; y may be x */
    void (*rope)(const float *x, const float *cosine, const float *sine, float *y, int half);
    /* y = (sums - correction) * s * ws for `blocks` of 16 rows; a block's sums are `step` after those of the last */
    void (*dequantize)(const int32_t *sums, size_t step, int blocks, int32_t correction, float s, const float *ws,
                       float *y);
    /* dequantizes both, y = gelu(gate) * up */
    void (*dequantize_geglu)(const int32_t *gate, const int32_t *up, size_t step, int blocks, int32_t correction,
                             float s, const float *gate_ws, const float *up_ws, float *y);
    int32_t (*sum)(const int8_t *q, int count);
    /* `depth` columns (a multiple of 64) of one token into units of `unit` bytes, `step` apart; see linear.h */
    void (*pack)(const int8_t *q, int8_t *out, int depth, int unit, size_t step, int permute);
    /* scores[h * stride + j] = scale * (q_h . k_j) for heads x [from, to) */
    void (*scores)(const float *q, const float *k, float *scores, int heads, int dim, int stride, int from, int to,
                   float scale);
    /* exp(x - max) in place over `length` (padded with zeros to 16); returns 1 / sum */
    float (*softmax)(float *scores, int length);
    /* out_h[c] = inverse[h] * sum over j < length of p[h * stride + j] * v_j[c], for c in [from, to) */
    void (*mix)(const float *p, const float *v, float *out, const float *inverse, int heads, int dim, int stride,
                int length, int from, int to);
} row_ops;

extern const row_ops *const cpu_avx2_rows, *const cpu_avx512_rows;
const row_ops *cpu_row_ops(const cpu_isa *isa);

#endif
