/* Integer products for Arm's dot-product instructions: sdot takes 4 outputs x 4 columns against one lane of a
 * token's 16 columns. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "linear.h"

#define TARGET __attribute__((target("dotprod")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { TOKENS = 4 };

/* One token leaves the latency of sdot exposed: it gets two sums for each register of outputs. */
#define BEGIN()                                                                                                        \
    int32x4_t sum[TOKENS][4], other[4];                                                                                \
    for (int j = 0; j < 4; j++) {                                                                                      \
        for (int t = 0; t < m; t++) sum[t][j] = vld1q_s32(acc + 16 * t + 4 * j);                                       \
        other[j] = vdupq_n_s32(0);                                                                                     \
    }

#define END()                                                                                                          \
    for (int j = 0; j < 4; j++) {                                                                                      \
        if (m == 1) sum[0][j] = vaddq_s32(sum[0][j], other[j]);                                                        \
        for (int t = 0; t < m; t++) vst1q_s32(acc + 16 * t + 4 * j, sum[t][j]);                                        \
    }

#define DOT(t, j, w, lane, second)                                                                                     \
    do {                                                                                                               \
        if (m == 1 && (second))                                                                                        \
            other[j] = vdotq_laneq_s32(other[j], w, token[0], lane);                                                   \
        else                                                                                                           \
            sum[t][j] = vdotq_laneq_s32(sum[t][j], w, token[t], lane);                                                 \
    } while (0)

/* 16 outputs x 4 columns, lane = which 4 of the 16. */
#define STEP_I8(lane)                                                                                                  \
    for (int j = 0; j < 4; j++) {                                                                                      \
        const int8x16_t block = vreinterpretq_s8_u8(vld1q_u8(w + 64 * (lane) + 16 * j));                               \
        for (int t = 0; t < m; t++) DOT(t, j, block, lane, (lane) & 1);                                                \
    }

INLINE void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    BEGIN()
    for (int k = 0; k < depth; k += 16, w += 256, x += 16 * m) {
        if (m == 1)
            for (int i = 0; i < 4; i++) __builtin_prefetch(w + 1024 + 64 * i);
        int8x16_t token[TOKENS];
        for (int t = 0; t < m; t++) token[t] = vld1q_s8(x + 16 * t);
        STEP_I8(0)
        STEP_I8(1)
        STEP_I8(2)
        STEP_I8(3)
    }
    END()
}

/* 16 outputs x 8 columns: even ones against lane 2 * pair, odd ones against the next. */
#define STEP_I4(pair)                                                                                                  \
    for (int j = 0; j < 4; j++) {                                                                                      \
        const uint8x16_t both = vld1q_u8(w + 64 * (pair) + 16 * j);                                                    \
        const int8x16_t even = vreinterpretq_s8_u8(vandq_u8(both, low));                                               \
        const int8x16_t odd = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));                                                \
        for (int t = 0; t < m; t++) DOT(t, j, even, 2 * (pair), 0);                                                    \
        for (int t = 0; t < m; t++) DOT(t, j, odd, 2 * (pair) + 1, 1);                                                 \
    }

INLINE void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const uint8x16_t low = vdupq_n_u8(15);
    BEGIN()
    for (int k = 0; k < depth; k += 16, w += 128, x += 16 * m) {
        if (m == 1)
            for (int i = 0; i < 2; i++) __builtin_prefetch(w + 1024 + 64 * i);
        int8x16_t token[TOKENS];
        for (int t = 0; t < m; t++) token[t] = vld1q_s8(x + 16 * t);
        STEP_I4(0)
        STEP_I4(1)
    }
    END()
}

DEFINE_PANEL(panel_i8, TARGET, tile_i8, TOKENS)
DEFINE_PANEL(panel_i4, TARGET, tile_i4, TOKENS)

const linear_ops cpu_linear_dotprod = {panel_i8, panel_i4, 16, TOKENS, 0};
#endif
