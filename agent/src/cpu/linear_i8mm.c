/* Integer products for Arm's int8 matrix instructions: smmla multiplies 2 tokens x 8 columns by 2 outputs x 8 columns,
 * which two weight registers (4 outputs x 4 columns each) give by one interleave. A single token uses sdot. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "linear.h"

#define TARGET __attribute__((target("dotprod,i8mm")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { TOKENS = 8 };

/* Columns 0..3 and 4..7 of a group of 8 (int4: the even and the odd ones) for outputs 4j..4j+3. */
typedef struct group {
    int8x16_t first, second;
} group;

INLINE group group_i8(const uint8_t *w, int j) {
    return (group){vreinterpretq_s8_u8(vld1q_u8(w + 16 * j)), vreinterpretq_s8_u8(vld1q_u8(w + 64 + 16 * j))};
}

INLINE group group_i4(const uint8_t *w, int j) {
    const uint8x16_t both = vld1q_u8(w + 16 * j);
    return (group){vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))), vreinterpretq_s8_u8(vshrq_n_u8(both, 4))};
}

INLINE int8x16_t interleave(group g, int high) {
    const int32x4_t a = vreinterpretq_s32_s8(g.first), b = vreinterpretq_s32_s8(g.second);
    return vreinterpretq_s8_s32(high ? vzip2q_s32(a, b) : vzip1q_s32(a, b));
}

/* `width` of the 4 registers of outputs from `j0` on, for m >= 2 tokens. */
#define MATRIX(GROUP, bytes, j0, width)                                                                                \
    do {                                                                                                               \
        int32x4_t sum[TOKENS / 2][4][2];                                                                               \
        for (int p = 0; p < m / 2; p++)                                                                                \
            for (int j = 0; j < (width); j++) sum[p][j][0] = sum[p][j][1] = vdupq_n_s32(0);                            \
        const uint8_t *block = w;                                                                                      \
        const int8_t *tokens = x;                                                                                      \
        for (int k = 0; k < depth; k += 8, block += (bytes), tokens += 8 * m) {                                        \
            int8x16_t pair[TOKENS / 2];                                                                                \
            for (int p = 0; p < m / 2; p++) pair[p] = vld1q_s8(tokens + 16 * p);                                       \
            for (int j = 0; j < (width); j++) {                                                                        \
                const group g = GROUP(block, (j0) + j);                                                                \
                const int8x16_t low = interleave(g, 0), high = interleave(g, 1);                                       \
                for (int p = 0; p < m / 2; p++) {                                                                      \
                    sum[p][j][0] = vmmlaq_s32(sum[p][j][0], pair[p], low);                                             \
                    sum[p][j][1] = vmmlaq_s32(sum[p][j][1], pair[p], high);                                            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (int p = 0; p < m / 2; p++)                                                                                \
            for (int j = 0; j < (width); j++) {                                                                        \
                int32_t *const even = acc + 32 * p + 4 * ((j0) + j), *const odd = even + 16;                           \
                const int32x4_t a = sum[p][j][0], b = sum[p][j][1];                                                    \
                vst1q_s32(even, vaddq_s32(vld1q_s32(even), vcombine_s32(vget_low_s32(a), vget_low_s32(b))));           \
                vst1q_s32(odd, vaddq_s32(vld1q_s32(odd), vcombine_s32(vget_high_s32(a), vget_high_s32(b))));           \
            }                                                                                                          \
    } while (0)

#define SINGLE(GROUP, bytes)                                                                                           \
    do {                                                                                                               \
        int32x4_t first[4], second[4];                                                                                 \
        for (int j = 0; j < 4; j++) first[j] = vld1q_s32(acc + 4 * j), second[j] = vdupq_n_s32(0);                     \
        for (int k = 0; k < depth; k += 8, w += (bytes), x += 8) {                                                     \
            __builtin_prefetch(w + 1024);                                                                              \
            if ((bytes) == 128) __builtin_prefetch(w + 1088);                                                          \
            const int8x8_t token = vld1_s8(x);                                                                         \
            for (int j = 0; j < 4; j++) {                                                                              \
                const group g = GROUP(w, j);                                                                           \
                first[j] = vdotq_lane_s32(first[j], g.first, token, 0);                                                \
                second[j] = vdotq_lane_s32(second[j], g.second, token, 1);                                             \
            }                                                                                                          \
        }                                                                                                              \
        for (int j = 0; j < 4; j++) vst1q_s32(acc + 4 * j, vaddq_s32(first[j], second[j]));                            \
    } while (0)

/* 8 tokens x 16 outputs would need all 32 registers for sums: two passes over 8 outputs. */
#define TILE(GROUP, bytes)                                                                                             \
    do {                                                                                                               \
        if (m == 1) {                                                                                                  \
            SINGLE(GROUP, bytes);                                                                                      \
        } else if (m < 8) {                                                                                            \
            MATRIX(GROUP, bytes, 0, 4);                                                                                \
        } else {                                                                                                       \
            MATRIX(GROUP, bytes, 0, 2);                                                                                \
            MATRIX(GROUP, bytes, 2, 2);                                                                                \
        }                                                                                                              \
    } while (0)

INLINE void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) { TILE(group_i8, 128); }
INLINE void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) { TILE(group_i4, 64); }

DEFINE_PANEL(panel_i8, TARGET, tile_i8, TOKENS)
DEFINE_PANEL(panel_i4, TARGET, tile_i4, TOKENS)

const linear_ops cpu_linear_i8mm = {panel_i8, panel_i4, 8, TOKENS, 0};
#endif
