/* Sixteen floats as one value, in the compiler's own vector language, and the functions over them.
 *
 * One source for every isa: clang lowers a 64-byte vector to one AVX-512, two AVX2 or four NEON or SSE registers. Every
 * operation is an IEEE single one with its own rounding (no contraction, no reassociation) and sums run in the order
 * written here, so that all of them give the same bits. Denormals are zeros (denormals.h). */
#ifndef GEMMAFIT_CPU_VEC_H
#define GEMMAFIT_CPU_VEC_H

#include "../platform.h"

#pragma STDC FP_CONTRACT OFF

enum { LANES = 16 };

typedef float vec __attribute__((ext_vector_type(16)));
typedef int32_t ivec __attribute__((ext_vector_type(16)));
typedef int8_t bvec __attribute__((ext_vector_type(16)));
typedef float vec8 __attribute__((ext_vector_type(8)));
typedef float vec4 __attribute__((ext_vector_type(4)));
typedef float vec2 __attribute__((ext_vector_type(2)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float *p, vec v) { memcpy(p, &v, sizeof v); }

INLINE vec splat(float x) { return (vec){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

INLINE vec bits_to_float(ivec v) {
    vec f;
    memcpy(&f, &v, sizeof f);
    return f;
}

INLINE ivec float_to_bits(vec v) {
    ivec i;
    memcpy(&i, &v, sizeof i);
    return i;
}

INLINE vec max(vec a, vec b) { return a > b ? a : b; }
INLINE vec min(vec a, vec b) { return a < b ? a : b; }
INLINE vec absolute(vec v) { return bits_to_float(float_to_bits(v) & 0x7fffffff); }

/* Pairwise: lanes i and i+8, then +4, +2, +1. */
INLINE float sum_lanes(vec v) {
    const vec8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    const vec4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    const vec2 c = __builtin_shufflevector(b, b, 0, 1) + __builtin_shufflevector(b, b, 2, 3);
    return c[0] + c[1];
}

/* Pairwise, as sum_lanes. */
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
INLINE float max_lanes(vec v) {
    const vec8 a = MAXIMUM(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                                             __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
    const vec4 b =
        MAXIMUM(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
    const vec2 c = MAXIMUM(__builtin_shufflevector(b, b, 0, 1), __builtin_shufflevector(b, b, 2, 3));
    return c[0] > c[1] ? c[0] : c[1];
}

/* Adding and subtracting 1.5 * 2^23 rounds |x| < 2^22 to an integer, half to even; the integer is then the difference
 * of the bit patterns. */
#define ROUNDER 12582912.0f

INLINE ivec round_to_int(vec v) { return float_to_bits(v + ROUNDER) - 0x4b400000; }

/* exp(x) to 1.5 ulp (8.1e-8 relative, measured over 2 million points) for -87 <= x <= 88; clamped outside, so that
 * neither infinity nor denormals appear. 2^n * (1 + r + r^2 p(r)), |r| <= ln2/2, ln2 in two parts (the first has 9
 * bits, so that n times it is exact); p by weighted least squares on Chebyshev nodes, relative error of the
 * approximation 3.1e-9. */
INLINE vec exponential(vec x) {
    x = min(max(x, splat(-87.0f)), splat(88.0f));
    const vec shifted = x * 1.44269504f + ROUNDER;
    const vec n = shifted - ROUNDER;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 0.00138145965f + 0.00836871751f;
    p = p * r + 0.041668389f;
    p = p * r + 0.166665211f;
    p = p * r + 0.49999994f;
    p = p * r * r + r + 1.0f;
    const ivec power = (float_to_bits(shifted) - 0x4b400000 + 127) << 23;
    return p * bits_to_float(power);
}

/* x/2 (1 + tanh(z)), z = sqrt(2/pi) (x + 0.044715 x^3), written as x / (1 + exp(-2z)): no cancellation, so the relative
 * error is that of exp also where tanh(z) is near -1. */
INLINE vec gelu_tanh(vec x) {
    const vec z2 = (x + x * x * x * 0.044715f) * 1.5957691216f;
    return x / (exponential(-z2) + 1.0f);
}

#endif
