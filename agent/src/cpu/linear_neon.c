/* Integer products for NEON without dot products (Cortex-A53): products of two columns are added in 16 bits, pairs of
 * those in 32. Half a register of weights is 2 outputs x 4 columns. */
#if defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>

#include "linear.h"

#define INLINE static inline __attribute__((always_inline))

#ifdef __aarch64__
enum { TOKENS = 2 }; /* 16 of 32 registers hold sums */
#define ADD_PAIRS(a, b) vpaddq_s32(a, b)
#else
enum { TOKENS = 1 };
#define ADD_PAIRS(a, b)                                                                                                \
    vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)))
#endif

/* 4 columns of a token, twice: for two outputs. */
INLINE int8x8_t broadcast4(const int8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return vreinterpret_s8_s32(vdup_n_s32(v));
}

/* sum[t][j]: two partial sums each of outputs 2j and 2j + 1. */
#define BEGIN()                                                                                                        \
    int32x4_t sum[TOKENS][8];                                                                                          \
    for (int t = 0; t < m; t++)                                                                                        \
        for (int j = 0; j < 8; j++) sum[t][j] = vdupq_n_s32(0)

#define END()                                                                                                          \
    for (int t = 0; t < m; t++)                                                                                        \
        for (int j = 0; j < 8; j += 2, acc += 4)                                                                       \
    vst1q_s32(acc, vaddq_s32(vld1q_s32(acc), ADD_PAIRS(sum[t][j], sum[t][j + 1])))

INLINE void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    BEGIN();
    for (int k = 0; k < depth; k += 8, w += 128, x += 8 * m) {
        __builtin_prefetch(w + 512);
        __builtin_prefetch(w + 576);
        int8x8_t first[TOKENS], second[TOKENS];
        for (int t = 0; t < m; t++) first[t] = broadcast4(x + 8 * t), second[t] = broadcast4(x + 8 * t + 4);
        for (int j = 0; j < 8; j++) { /* halves of registers: taking a high half apart would cost an instruction */
            const int8x8_t a = vreinterpret_s8_u8(vld1_u8(w + 8 * j)), b = vreinterpret_s8_u8(vld1_u8(w + 64 + 8 * j));
            for (int t = 0; t < m; t++) /* |w|, |x| <= 127: two products fit 16 bits */
                sum[t][j] = vpadalq_s16(sum[t][j], vmlal_s8(vmull_s8(a, first[t]), b, second[t]));
        }
    }
    END();
}

/* Nibbles are at most 15: eight products fit 16 bits, so two groups of 8 columns share the step to 32 bits. */
INLINE void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const uint8x8_t low = vdup_n_u8(15);
    BEGIN();
    for (int k = 0; k < depth; k += 16, w += 128, x += 16 * m) {
        __builtin_prefetch(w + 512);
        __builtin_prefetch(w + 576);
        int8x8_t token[TOKENS][4]; /* even and odd columns of the first group, then of the second */
        for (int t = 0; t < m; t++)
            for (int i = 0; i < 4; i++) token[t][i] = broadcast4(x + 8 * m * (i / 2) + 8 * t + 4 * (i % 2));
#pragma clang loop unroll(full) /* else the sums live in memory */
        for (int j = 0; j < 8; j++) {
            const uint8x8_t first = vld1_u8(w + 8 * j), second = vld1_u8(w + 64 + 8 * j);
            const int8x8_t a = vreinterpret_s8_u8(vand_u8(first, low)), b = vreinterpret_s8_u8(vshr_n_u8(first, 4)),
                           c = vreinterpret_s8_u8(vand_u8(second, low)), d = vreinterpret_s8_u8(vshr_n_u8(second, 4));
            for (int t = 0; t < m; t++) {
                const int16x8_t half = vmlal_s8(vmull_s8(a, token[t][0]), b, token[t][1]);
                sum[t][j] = vpadalq_s16(sum[t][j], vmlal_s8(vmlal_s8(half, c, token[t][2]), d, token[t][3]));
            }
        }
    }
    END();
}

DEFINE_PANEL(panel_i8, , tile_i8, TOKENS)
DEFINE_PANEL(panel_i4, , tile_i4, TOKENS)

const linear_ops cpu_linear_neon = {panel_i8, panel_i4, 8, TOKENS, 0};
#endif
