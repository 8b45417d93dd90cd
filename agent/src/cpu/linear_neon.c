/* Integer products for NEON without dot products (Cortex-A53): products of two columns are added in 16 bits, pairs of those
 * in 32. A register of weights is 4 outputs x 4 columns. */
#if defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>

#include "linear.h"

#define INLINE static inline __attribute__((always_inline))

#ifdef __aarch64__
enum { TOKENS = 2 }; /* 16 of 32 registers hold sums */
#define MUL_HIGH(a, b) vmull_high_s8(a, b)
#define MLA_HIGH(acc, a, b) vmlal_high_s8(acc, a, b)
#define ADD_PAIRS(a, b) vpaddq_s32(a, b)
#else
enum { TOKENS = 1 };
#define MUL_HIGH(a, b) vmull_s8(vget_high_s8(a), vget_high_s8(b))
#define MLA_HIGH(acc, a, b) vmlal_s8(acc, vget_high_s8(a), vget_high_s8(b))
#define ADD_PAIRS(a, b)                                                                     \
    vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)))
#endif

INLINE int8x16_t broadcast4(const int8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

/* sum[t][j][h]: two partial sums each of outputs 4j + 2h and 4j + 2h + 1. */
#define BEGIN()                               \
    int32x4_t sum[TOKENS][4][2];              \
    for (int t = 0; t < m; t++)               \
        for (int j = 0; j < 4; j++) sum[t][j][0] = sum[t][j][1] = vdupq_n_s32(0)

#define END()                                                                     \
    for (int t = 0; t < m; t++)                                                   \
        for (int j = 0; j < 4; j++, acc += 4)                                     \
            vst1q_s32(acc, vaddq_s32(vld1q_s32(acc), ADD_PAIRS(sum[t][j][0], sum[t][j][1])))

/* a . x + b . y over 4 columns each. |w|, |x| <= 127: two products fit 16 bits. */
#define STEP(t, j, a, b, x, y)                                                                             \
    do {                                                                                                   \
        const int16x8_t low_ = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(x)), vget_low_s8(b), vget_low_s8(y)); \
        const int16x8_t high_ = MLA_HIGH(MUL_HIGH(a, x), b, y);                                            \
        sum[t][j][0] = vpadalq_s16(sum[t][j][0], low_);                                                    \
        sum[t][j][1] = vpadalq_s16(sum[t][j][1], high_);                                                   \
    } while (0)

INLINE void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    BEGIN();
    for (int k = 0; k < depth; k += 8, w += 128, x += 8 * m) {
        __builtin_prefetch(w + 512);
        __builtin_prefetch(w + 576);
        int8x16_t first[TOKENS], second[TOKENS];
        for (int t = 0; t < m; t++) first[t] = broadcast4(x + 8 * t), second[t] = broadcast4(x + 8 * t + 4);
        for (int j = 0; j < 4; j++) {
            const int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(w + 16 * j)), b = vreinterpretq_s8_u8(vld1q_u8(w + 64 + 16 * j));
            for (int t = 0; t < m; t++) STEP(t, j, a, b, first[t], second[t]);
        }
    }
    END();
}

INLINE void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const uint8x16_t low = vdupq_n_u8(15);
    BEGIN();
    for (int k = 0; k < depth; k += 8, w += 64, x += 8 * m) {
        __builtin_prefetch(w + 512);
        int8x16_t even[TOKENS], odd[TOKENS];
        for (int t = 0; t < m; t++) even[t] = broadcast4(x + 8 * t), odd[t] = broadcast4(x + 8 * t + 4);
        for (int j = 0; j < 4; j++) {
            const uint8x16_t both = vld1q_u8(w + 16 * j);
            const int8x16_t a = vreinterpretq_s8_u8(vandq_u8(both, low)), b = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
            for (int t = 0; t < m; t++) STEP(t, j, a, b, even[t], odd[t]);
        }
    }
    END();
}

DEFINE_PANEL(panel_i8, , tile_i8, TOKENS)
DEFINE_PANEL(panel_i4, , tile_i4, TOKENS)

const linear_ops cpu_linear_neon = {panel_i8, panel_i4, 8, TOKENS, 0};
#endif
