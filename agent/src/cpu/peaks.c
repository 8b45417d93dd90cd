/* Multiply-adds from registers, as fast as each isa can: the ceiling of the compute-bound kernels. */
#include "../platform.h"
#include "limits.h"

#if defined(__x86_64__)
#include "x86.h"
#else
#include <arm_neon.h>
#endif

/* Independent sums: at least latency x issue width, at most what the registers hold. */
#if defined(__aarch64__)
enum { CHAINS = 16 };
#else
enum { CHAINS = 8 };
#endif
enum { WIDE_CHAINS = 16 /* AVX-512: 32 registers, dot products of 5 cycles on 2 ports */ };

/* The compiler must not know the operands. */
static volatile const float float_factor = 0.5f, float_term = 1.0f;
static volatile const int8_t int_factor = 1;

/* `step(sum)` does `lanes` multiply-adds; `first(sum)` is a float of it. */
#define DEFINE_PEAK(name, target, type, zero, lanes, chains, setup, step, first)                                       \
    target static float name(int units) {                                                                              \
        setup;                                                                                                         \
        type sum[chains];                                                                                              \
        for (int c = 0; c < (chains); c++) sum[c] = zero;                                                              \
        for (int i = 0; i < units * (PEAK_UNIT / ((lanes) * (chains))); i++)                                           \
            for (int c = 0; c < (chains); c++) sum[c] = step(sum[c]);                                                  \
        float result = 0;                                                                                              \
        for (int c = 0; c < (chains); c++) result += first(sum[c]);                                                    \
        return result;                                                                                                 \
    }

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,fma")))
#define VNNI __attribute__((target("avx2,avxvnni")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define F16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512fp16")))
#define AMX __attribute__((target("avx512f,amx-tile,amx-int8")))

#define STEP(s) _mm_add_ps(_mm_mul_ps(s, a), b)
DEFINE_PEAK(sse_f32, , __m128, _mm_setzero_ps(), 4, CHAINS, const __m128 a = _mm_set1_ps(float_factor);
            const __m128 b = _mm_set1_ps(float_term), STEP, _mm_cvtss_f32)
#undef STEP

/* SSE2 has no byte products: 16-bit ones, as portable code compiles to. */
static inline __attribute__((always_inline)) __m128i sse_step(__m128i s, __m128i a) {
    __asm__ volatile("" : "+x"(a)); /* keeps the invariant product inside the loop */
    return _mm_add_epi32(s, _mm_madd_epi16(a, a));
}
#define STEP(s) sse_step(s, a)
#define FIRST(s) (float)_mm_cvtsi128_si32(s)
DEFINE_PEAK(sse_i8, , __m128i, _mm_setzero_si128(), 8, CHAINS, const __m128i a = _mm_set1_epi16(int_factor), STEP,
            FIRST)
#undef STEP
#undef FIRST

#define STEP(s) _mm256_fmadd_ps(s, a, b)
DEFINE_PEAK(avx2_f32, AVX2, __m256, _mm256_setzero_ps(), 8, CHAINS, const __m256 a = _mm256_set1_ps(float_factor);
            const __m256 b = _mm256_set1_ps(float_term), STEP, _mm256_cvtss_f32)
#undef STEP

AVX2 static inline __attribute__((always_inline)) __m256i avx2_step(__m256i s, __m256i a, __m256i ones) {
    __asm__ volatile("" : "+x"(a));
    return _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, a), ones));
}
#define STEP(s) avx2_step(s, a, ones)
#define FIRST(s) (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(s))
DEFINE_PEAK(avx2_i8, AVX2, __m256i, _mm256_setzero_si256(), 32, CHAINS, const __m256i a = _mm256_set1_epi8(int_factor);
            const __m256i ones = _mm256_set1_epi16(1), STEP, FIRST)
#undef STEP

#define STEP(s) _mm256_dpbusd_avx_epi32(s, a, a)
DEFINE_PEAK(avxvnni_i8, VNNI, __m256i, _mm256_setzero_si256(), 32, CHAINS,
            const __m256i a = _mm256_set1_epi8(int_factor), STEP, FIRST)
#undef STEP
#undef FIRST

#define STEP(s) _mm512_fmadd_ps(s, a, b)
DEFINE_PEAK(avx512_f32, AVX512, __m512, _mm512_setzero_ps(), 16, WIDE_CHAINS,
            const __m512 a = _mm512_set1_ps(float_factor);
            const __m512 b = _mm512_set1_ps(float_term), STEP, _mm512_cvtss_f32)
#undef STEP

#define STEP(s) _mm512_dpbusd_epi32(s, a, a)
#define FIRST(s) (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(s))
DEFINE_PEAK(avx512_i8, AVX512, __m512i, _mm512_setzero_si512(), 64, WIDE_CHAINS,
            const __m512i a = _mm512_set1_epi8(int_factor), STEP, FIRST)
#undef STEP
#undef FIRST

#define STEP(s) _mm512_fmadd_ph(s, a, b)
#define FIRST(s) (float)_mm512_cvtsh_h(s)
DEFINE_PEAK(avx512_f16, F16, __m512h, _mm512_setzero_ph(), 32, WIDE_CHAINS,
            const __m512h a = _mm512_set1_ph((_Float16)float_factor);
            const __m512h b = _mm512_set1_ph((_Float16)float_term), STEP, FIRST)
#undef STEP
#undef FIRST

AMX static float amx_i8(int units) {
    enum { TILE_MULTIPLY_ADDS = 16 * 16 * 64, SUMS = 4 };
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    _tile_loadconfig(&config);
    int8_t ones[1024];
    memset(ones, int_factor, sizeof ones);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ones, 64);
    _tile_loadd(5, ones, 64);
    for (int i = 0; i < units * (PEAK_UNIT / (TILE_MULTIPLY_ADDS * SUMS)); i++) {
        _tile_dpbssd(0, 4, 5);
        _tile_dpbssd(1, 4, 5);
        _tile_dpbssd(2, 4, 5);
        _tile_dpbssd(3, 4, 5);
    }
    int32_t sums[4][256];
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    _tile_release();
    return (float)sums[0][0] + (float)sums[1][0] + (float)sums[2][0] + (float)sums[3][0];
}

peaks cpu_peaks(const cpu_isa *isa) {
    switch (isa->level) {
        case LEVEL_AMX: return (peaks){avx512_f32, amx_i8, avx512_f16};
        case LEVEL_AVX512VNNI: return (peaks){avx512_f32, avx512_i8, avx512_f16};
        case LEVEL_AVXVNNI: return (peaks){avx2_f32, avxvnni_i8, NULL};
        case LEVEL_AVX2: return (peaks){avx2_f32, avx2_i8, NULL};
        default: return (peaks){sse_f32, sse_i8, NULL};
    }
}

#else /* Arm */

#if defined(__aarch64__)
#define STEP(s) vfmaq_f32(s, s, a)
#else
#define STEP(s) vmlaq_f32(s, s, a)
#endif
/* s + s * 0.5 overflows to infinity after 175 steps; a factor of -0.5 halves it instead. */
#define FIRST(s) (1.0f + vgetq_lane_f32(s, 0))
DEFINE_PEAK(neon_f32, , float32x4_t, vdupq_n_f32(float_term), 4, CHAINS,
            const float32x4_t a = vdupq_n_f32(-float_factor), STEP, FIRST)
#undef STEP
#undef FIRST

/* As the kernels of this isa do it: two products in 16 bits, then pairs into 32. */
static inline __attribute__((always_inline)) int32x4_t neon_step(int32x4_t s, int8x8_t a) {
    __asm__ volatile("" : "+w"(a));
    return vpadalq_s16(s, vmlal_s8(vmull_s8(a, a), a, a));
}
#define STEP(s) neon_step(s, a)
#define FIRST(s) (float)vgetq_lane_s32(s, 0)
DEFINE_PEAK(neon_i8, , int32x4_t, vdupq_n_s32(0), 16, CHAINS, const int8x8_t a = vdup_n_s8(int_factor), STEP, FIRST)
#undef STEP

#if defined(__aarch64__)

#define DOTPROD __attribute__((target("dotprod")))
#define I8MM __attribute__((target("i8mm")))
#define F16 __attribute__((target("fp16")))

#define STEP(s) vdotq_s32(s, a, a)
DEFINE_PEAK(dotprod_i8, DOTPROD, int32x4_t, vdupq_n_s32(0), 16, CHAINS, const int8x16_t a = vdupq_n_s8(int_factor),
            STEP, FIRST)
#undef STEP

#define STEP(s) vmmlaq_s32(s, a, a)
DEFINE_PEAK(i8mm_i8, I8MM, int32x4_t, vdupq_n_s32(0), 32, CHAINS, const int8x16_t a = vdupq_n_s8(int_factor), STEP,
            FIRST)
#undef STEP
#undef FIRST

/* In assembly: clang 20 and 21 declare vfmaq_f16 with a feature name that their target attribute does not accept. */
F16 static inline __attribute__((always_inline)) uint16x8_t f16_step(uint16x8_t s, uint16x8_t a) {
    __asm__ volatile("fmla %0.8h, %0.8h, %1.8h" : "+w"(s) : "w"(a));
    return s;
}
#define STEP(s) f16_step(s, a)
#define FIRST(s) (1.0f + (float)vgetq_lane_u16(s, 0))
DEFINE_PEAK(arm_f16, F16, uint16x8_t, vdupq_n_u16(0x3c00), 8, CHAINS,
            const uint16x8_t a = vdupq_n_u16(0xb800) /* 1, -0.5 */, STEP, FIRST)
#undef STEP
#undef FIRST

peaks cpu_peaks(const cpu_isa *isa) {
    switch (isa->level) {
        case LEVEL_I8MM: return (peaks){neon_f32, i8mm_i8, arm_f16};
        case LEVEL_DOTPROD: return (peaks){neon_f32, dotprod_i8, arm_f16};
        case LEVEL_NEON: return (peaks){neon_f32, neon_i8, arm_f16};
        default: return (peaks){neon_f32, neon_i8, NULL};
    }
}

#else

peaks cpu_peaks(const cpu_isa *isa) {
    (void)isa;
    return (peaks){neon_f32, neon_i8, NULL};
}

#endif
#endif
