/* The float operations on rows for AVX2. */
#if defined(__x86_64__)
#include "../platform.h"
#include "rows.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#include "vec.h"
#define NAME(f) avx2_##f
#define HEADS 2
#define KEYS 2
#define MIXED 4
#include "rows_body.h"
#pragma clang attribute pop

const row_ops *const cpu_avx2_rows = &avx2_ops;
#endif
