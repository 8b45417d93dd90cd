/* The float operations on rows for the ABI's own baseline: SSE2 on x86-64, NEON on both ARMs. */
#include "rows.h"
#include "vec.h"

#define NAME(f) base_##f
#define HEADS 2
#define KEYS 2
#define MIXED 4
#include "rows_body.h"

const row_ops *cpu_row_ops(const cpu_isa *isa) {
#if defined(__x86_64__)
    if (isa->level >= LEVEL_AVX512VNNI) return cpu_avx512_rows;
    if (isa->level >= LEVEL_AVX2) return cpu_avx2_rows;
#endif
    (void)isa;
    return &base_ops;
}
