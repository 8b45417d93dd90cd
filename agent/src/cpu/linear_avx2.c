/* Integer products for AVX2 and AVX-VNNI: a row block is two registers of 8 outputs x 4 columns. */
#if defined(__x86_64__)
#include "linear.h"
#include "x86.h"

#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx2,avxvnni")))
#define INLINE static inline __attribute__((always_inline))

enum { TOKENS = 4 };

AVX2 INLINE __m256i broadcast4(const int8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

AVX2 INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }

/* Sum of 4 products in each 32-bit lane; the pair sums fit 16 bits since |w|, |x| <= 127. */
AVX2 INLINE __m256i dot_signed(__m256i acc, __m256i magnitude, __m256i w, __m256i x) {
    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

AVX2 INLINE void tile_avx2_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    __m256i sum[TOKENS][2];
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) sum[t][i] = load(acc + t * BLOCK_ROWS + i * 8);
    for (int k = 0; k < depth; k += 4, w += 64, x += 4 * m) {
        _mm_prefetch((const char *)w + 1024, _MM_HINT_T0);
        const __m256i a = load(w), b = load(w + 32), a_magnitude = _mm256_abs_epi8(a), b_magnitude = _mm256_abs_epi8(b);
        for (int t = 0; t < m; t++) {
            const __m256i v = broadcast4(x + 4 * t);
            sum[t][0] = dot_signed(sum[t][0], a_magnitude, a, v);
            sum[t][1] = dot_signed(sum[t][1], b_magnitude, b, v);
        }
    }
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) _mm256_storeu_si256((void *)(acc + t * BLOCK_ROWS + i * 8), sum[t][i]);
}

/* Nibbles are unsigned, so maddubs takes them as they are: 4 products of at most 15 * 127 fit 16 bits. */
AVX2 INLINE void tile_avx2_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const __m256i low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sum[TOKENS][2];
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) sum[t][i] = load(acc + t * BLOCK_ROWS + i * 8);
    for (int k = 0; k < depth; k += 8, w += 64, x += 8 * m) {
        _mm_prefetch((const char *)w + 1024, _MM_HINT_T0);
        for (int i = 0; i < 2; i++) {
            const __m256i both = load(w + 32 * i), even = _mm256_and_si256(both, low),
                          odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
            for (int t = 0; t < m; t++) {
                const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(even, broadcast4(x + 4 * t)),
                                                       _mm256_maddubs_epi16(odd, broadcast4(x + 4 * (m + t))));
                sum[t][i] = _mm256_add_epi32(sum[t][i], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) _mm256_storeu_si256((void *)(acc + t * BLOCK_ROWS + i * 8), sum[t][i]);
}

VNNI INLINE void tile_vnni_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const __m256i bias = _mm256_set1_epi8(-128);
    __m256i sum[TOKENS][2];
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) sum[t][i] = load(acc + t * BLOCK_ROWS + i * 8);
    for (int k = 0; k < depth; k += 4, w += 64, x += 4 * m) {
        _mm_prefetch((const char *)w + 1024, _MM_HINT_T0);
        const __m256i a = _mm256_xor_si256(load(w), bias), b = _mm256_xor_si256(load(w + 32), bias);
        for (int t = 0; t < m; t++) {
            const __m256i v = broadcast4(x + 4 * t);
            sum[t][0] = _mm256_dpbusd_avx_epi32(sum[t][0], a, v);
            sum[t][1] = _mm256_dpbusd_avx_epi32(sum[t][1], b, v);
        }
    }
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) _mm256_storeu_si256((void *)(acc + t * BLOCK_ROWS + i * 8), sum[t][i]);
}

VNNI INLINE void tile_vnni_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const __m256i low = _mm256_set1_epi8(15);
    __m256i sum[TOKENS][2];
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) sum[t][i] = load(acc + t * BLOCK_ROWS + i * 8);
    for (int k = 0; k < depth; k += 8, w += 64, x += 8 * m) {
        _mm_prefetch((const char *)w + 1024, _MM_HINT_T0);
        for (int i = 0; i < 2; i++) {
            const __m256i both = load(w + 32 * i), even = _mm256_and_si256(both, low),
                          odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
            for (int t = 0; t < m; t++) {
                sum[t][i] = _mm256_dpbusd_avx_epi32(sum[t][i], even, broadcast4(x + 4 * t));
                sum[t][i] = _mm256_dpbusd_avx_epi32(sum[t][i], odd, broadcast4(x + 4 * (m + t)));
            }
        }
    }
    for (int t = 0; t < m; t++)
        for (int i = 0; i < 2; i++) _mm256_storeu_si256((void *)(acc + t * BLOCK_ROWS + i * 8), sum[t][i]);
}

DEFINE_PANEL(panel_avx2_i8, AVX2, tile_avx2_i8, TOKENS)
DEFINE_PANEL(panel_avx2_i4, AVX2, tile_avx2_i4, TOKENS)
DEFINE_PANEL(panel_vnni_i8, VNNI, tile_vnni_i8, TOKENS)
DEFINE_PANEL(panel_vnni_i4, VNNI, tile_vnni_i4, TOKENS)

const linear_ops cpu_linear_avx2 = {panel_avx2_i8, panel_avx2_i4, 4, TOKENS, 0};
const linear_ops cpu_linear_avxvnni = {panel_vnni_i8, panel_vnni_i4, 4, TOKENS, 128};
#endif
