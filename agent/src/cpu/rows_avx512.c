/* The float operations on rows for AVX-512. */
#if defined(__x86_64__)
#include "../platform.h"
#include "rows.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#include "vec.h"
#define NAME(f) avx512_##f
#define HEADS 4
#define KEYS 4
#define MIXED 8
#include "rows_body.h"
#pragma clang attribute pop

const row_ops *const cpu_avx512_rows = &avx512_ops;
#endif
