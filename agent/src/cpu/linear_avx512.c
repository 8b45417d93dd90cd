/* Integer products for AVX-512 VNNI: a row block is one register of 16 outputs x 4 columns. */
#if defined(__x86_64__)
#include "linear.h"
#include "x86.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { TOKENS = 16 };

INLINE __m512i broadcast4(const int8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* Few tokens leave the dot product's latency exposed: `chains` independent sums a token hide it. */
#define CHAINS(m) ((m) >= 8 ? 1 : 4)

INLINE void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const __m512i bias = _mm512_set1_epi8(-128);
    const int chains = CHAINS(m);
    __m512i sum[4][TOKENS];
    for (int t = 0; t < m; t++) {
        sum[0][t] = _mm512_loadu_si512(acc + t * BLOCK_ROWS);
        for (int c = 1; c < chains; c++) sum[c][t] = _mm512_setzero_si512();
    }
    for (int k = 0; k < depth; k += 4 * chains, w += 64 * chains, x += 4 * m * chains)
        for (int c = 0; c < chains; c++) {
            if (m < 8) _mm_prefetch((const char *)w + 64 * c + 2048, _MM_HINT_T0);
            const __m512i block = _mm512_xor_si512(_mm512_loadu_si512(w + 64 * c), bias);
            for (int t = 0; t < m; t++)
                sum[c][t] = _mm512_dpbusd_epi32(sum[c][t], block, broadcast4(x + 4 * (c * m + t)));
        }
    for (int t = 0; t < m; t++) {
        for (int c = 1; c < chains; c++) sum[0][t] = _mm512_add_epi32(sum[0][t], sum[c][t]);
        _mm512_storeu_si512(acc + t * BLOCK_ROWS, sum[0][t]);
    }
}

INLINE void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc, int m) {
    const __m512i low = _mm512_set1_epi8(15);
    const int chains = CHAINS(m);
    __m512i sum[4][TOKENS];
    for (int t = 0; t < m; t++) {
        sum[0][t] = _mm512_loadu_si512(acc + t * BLOCK_ROWS);
        for (int c = 1; c < chains; c++) sum[c][t] = _mm512_setzero_si512();
    }
    for (int k = 0; k < depth; k += 8 * chains, w += 64 * chains, x += 8 * m * chains)
        for (int c = 0; c < chains; c++) {
            if (m < 8) _mm_prefetch((const char *)w + 64 * c + 2048, _MM_HINT_T0);
            const __m512i both = _mm512_loadu_si512(w + 64 * c), even = _mm512_and_si512(both, low),
                          odd = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            for (int t = 0; t < m; t++) {
                const int8_t *token = x + 8 * c * m + 4 * t;
                sum[c][t] = _mm512_dpbusd_epi32(sum[c][t], even, broadcast4(token));
                sum[c][t] = _mm512_dpbusd_epi32(sum[c][t], odd, broadcast4(token + 4 * m));
            }
        }
    for (int t = 0; t < m; t++) {
        for (int c = 1; c < chains; c++) sum[0][t] = _mm512_add_epi32(sum[0][t], sum[c][t]);
        _mm512_storeu_si512(acc + t * BLOCK_ROWS, sum[0][t]);
    }
}

DEFINE_PANEL(panel_i8, TARGET, tile_i8, TOKENS)
DEFINE_PANEL(panel_i4, TARGET, tile_i4, TOKENS)

const linear_ops cpu_linear_avx512vnni = {panel_i8, panel_i4, 4, TOKENS, 128};
#endif
