// Matrix-matrix products with 8 and 4-bit weights (prefill): y[t, r] = scale[r] * sum_k w[r, k] * x[t, k].
// Weights become floats once and are used for many tokens.
//
// Build options: BITS, LAYOUT, TILE, HALF, IMAGE as in gemv.cl; HALF_MATH: products and sums of 16 in fp16, their total in
// fp32 (cl_khr_fp16); DOT: activations are int8 with a scale a row, and which dot product multiplies them (below);
// TOKENS, for layout 3: tokens of one work-item, a divisor of their number.
// A dispatch covers the rows from `first` on, so that a long product can be cut into dispatches that stay far
// below a driver's watchdog.

#ifdef HALF
typedef half T;
#define STORE(v, p, i) vstore_half((v), (i), (p))
#define LOAD(p, i) vload_half((i), (p))
#define LOAD4(p, i) vload_half4((i), (p))
#define STORE4(v, p, i) vstore_half4((v), (i), (p))
#else
typedef float T;
#define STORE(v, p, i) ((p)[i] = (v))
#define LOAD(p, i) ((p)[i])
#define LOAD4(p, i) vload4((i), (p))
#define STORE4(v, p, i) vstore4((v), (i), (p))
#endif

#if BITS == 8
typedef char W;
#else
typedef uchar W;
#endif

#if LAYOUT == 3
// For CPUs: a work-item holds 16 rows x TOKENS sums, a row a lane, and reads the activations as scalars. How the
// weights become floats is told in gemv.cl.
// Work-items: (n / TOKENS, rows / 16): those next to each other share their weights in the cache.

#if BITS == 8
#define STEP 4
#define TOP(j) ((n << (24 - 8 * (j))) & (int)0xff000000)
#define UNIT 0x1p-24f
#else
#define STEP 8
#define TOP(j) ((n << (28 - 4 * (j))) & (int)0xf0000000)
#define UNIT 0x1p-28f
#endif

kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm(global const T* x, global const W* w, global const float* scale, global T* y, int n_tokens, int total,
          int cols, int first) {
    const int token = get_global_id(0) * TOKENS, row = first + get_global_id(1) * 16;
    float16 sum[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; t++) sum[t] = 0.0f;
    x += (size_t)token * cols;
    global const int* block = (global const int*)w + (size_t)row * cols * BITS / 32;
    for (int k = 0; k < cols / STEP; k++) {
#if BITS == 8
        const int16 n = vload16(k, block);
#else
        const int16 n = vload16(k, block) ^ (int)0x88888888;
#endif
#pragma unroll
        for (int j = 0; j < STEP; j++) {
            const float16 v = convert_float16(TOP(j));
#pragma unroll
            for (int t = 0; t < TOKENS; t++) sum[t] += v * LOAD(x, t * cols + k * STEP + j);
        }
    }
    const float16 s = vload16(0, scale + row) * UNIT;
    for (int t = 0; t < TOKENS; t++) {
        float out[16];
        vstore16(sum[t] * s, 0, out);
        for (int o = 0; o < 16; o++) STORE(out[o], y, (size_t)(token + t) * total + row + o);
    }
}

#else
#ifdef IMAGE
#define WEIGHTS read_only image2d_t

// The weights (row, k) .. (row, k+3), 8 or 4 bits each.
static uint four(WEIGHTS w, int row, int k, int total, int cols) {
    const uint4 texel = read_imageui(w, (int2)(row / 4, k / 4));
    const uint2 pair = row & 2 ? texel.hi : texel.lo;
    return row & 1 ? pair.y : pair.x;
}
#else
#define WEIGHTS global const W*

// Where the weights (row, k) .. (row, k+3) lie.
static size_t place(int row, int k, int total, int cols) {
#if LAYOUT == 0
    return (size_t)row * cols + k;
#elif LAYOUT == 1
    return (size_t)(row / TILE) * TILE * cols + (size_t)(k / 16) * TILE * 16 + row % TILE * 16 + k % 16;
#else
    return ((size_t)(k / 4) * total + row) * 4;
#endif
}

// The weights (row, k) .. (row, k+3), 8 or 4 bits each.
static uint four(WEIGHTS w, int row, int k, int total, int cols) {
    const size_t at = place(row, k, total, cols);
#if BITS == 8
    return *(global const uint*)(w + at);
#else
    return *(global const ushort*)(w + at / 2);
#endif
}
#endif

#define TOKENS 32
#define ROWS 64

#ifdef DOT
// For GPUs with a dot product of four bytes: exact integer sums, as the engines do it where they quantise activations.
#if DOT == 1  // cl_khr_integer_dot_product
#define DOT4(w, x, sum) dot_acc_sat_4x8packed_ss_int((w), (x), (sum))
#elif DOT == 2  // cl_arm_integer_dot_product_accumulate_int8
#pragma OPENCL EXTENSION cl_arm_integer_dot_product_accumulate_int8 : enable
#define DOT4(w, x, sum) arm_dot_acc(as_char4(w), as_char4(x), (sum))
#elif DOT == 3  // cl_qcom_dot_product8: signed times unsigned, so the activations get 128 added, and 128 sum(w) taken off
#pragma OPENCL EXTENSION cl_qcom_dot_product8 : enable
#define DOT4(w, x, sum) qcom_dot8_acc((w), (x) ^ 0x80808080u, qcom_dot8_acc((w), 0x80808080u, 0) * -1 + (sum))
#else  // none: what the others are tested against
static int DOT4(uint w, uint x, int sum) {
    const int4 p = convert_int4(as_char4(w)) * convert_int4(as_char4(x));
    return sum + p.x + p.y + p.z + p.w;
}
#endif
#define QUADS 8  // of columns at a time: 3 KiB of local memory

static uint weights(WEIGHTS w, int row, int k, int total, int cols) {
    const uint v = four(w, row, k, total, cols);
#if BITS == 8
    return v;
#else
    return as_uint(convert_char4((uint4)(v & 15, v >> 4 & 15, v >> 8 & 15, v >> 12)) - (char)8);
#endif
}

// x int8 [n, cols] with the scales of its rows.
kernel __attribute__((reqd_work_group_size(16, 8, 1)))
void gemm_dot(global const uint* x, global const float* xscale, WEIGHTS w, global const float* scale,
              global T* y, int n, int total, int cols, int first) {
    local uint a[QUADS][TOKENS], b[QUADS][ROWS];
    const int lx = get_local_id(0), ly = get_local_id(1), lane = ly * 16 + lx;
    const int row0 = first + get_group_id(0) * ROWS, token0 = get_group_id(1) * TOKENS;
    const int my_token = lane / 4, my_pair = lane % 4 * 2, my_row = lane / 2, my_half = lane % 2 * 4;
    int4 sum[4] = {0, 0, 0, 0};
    for (int k = 0; k < cols; k += 4 * QUADS) {
        uint2 v = 0;
        if (token0 + my_token < n) v = vload2(0, x + ((size_t)(token0 + my_token) * cols + k) / 4 + my_pair);
        uint u[4];
        for (int i = 0; i < 4; i++) u[i] = weights(w, row0 + my_row, k + 4 * (my_half + i), total, cols);
        barrier(CLK_LOCAL_MEM_FENCE);
        a[my_pair][my_token] = v.x;
        a[my_pair + 1][my_token] = v.y;
        for (int i = 0; i < 4; i++) b[my_half + i][my_row] = u[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = 0; i < QUADS; i++) {
            const uint4 q = vload4(lx, b[i]);
            for (int t = 0; t < 4; t++) {
                const uint p = a[i][ly * 4 + t];
                sum[t].x = DOT4(q.x, p, sum[t].x);
                sum[t].y = DOT4(q.y, p, sum[t].y);
                sum[t].z = DOT4(q.z, p, sum[t].z);
                sum[t].w = DOT4(q.w, p, sum[t].w);
            }
        }
    }
    const int row = row0 + lx * 4;
    for (int t = 0; t < 4; t++) {
        const int token = token0 + ly * 4 + t;
        if (token < n)
            STORE4(convert_float4(sum[t]) * vload4(0, scale + row) * xscale[token], y + (size_t)token * total + row, 0);
    }
}

#else
// For GPUs: 32 tokens x 64 rows a work-group of 16 x 8 work-items, 4 x 4 sums each; 16 columns at a time go through
// local memory (6 KiB in fp32), the weights as floats.
#ifdef HALF_MATH
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
typedef half M;
typedef half4 M4;
#define TO_M4 convert_half4
#else
typedef float M;
typedef float4 M4;
#define TO_M4 convert_float4
#endif
#define STEP 16

// Weights (row, k) .. (row, k+3).
static M4 weights(WEIGHTS w, int row, int k, int total, int cols) {
    const uint v = four(w, row, k, total, cols);
#if BITS == 8
    return TO_M4(as_char4(v));
#else
    return TO_M4((uint4)(v & 15, v >> 4 & 15, v >> 8 & 15, v >> 12)) - (M)8;
#endif
}

kernel __attribute__((reqd_work_group_size(16, 8, 1)))
void gemm(global const T* x, WEIGHTS w, global const float* scale, global T* y, int n, int total, int cols,
          int first) {
    local M a[STEP][TOKENS], b[STEP][ROWS];
    const int lx = get_local_id(0), ly = get_local_id(1), lane = ly * 16 + lx;
    const int row0 = first + get_group_id(0) * ROWS, token0 = get_group_id(1) * TOKENS;
    const int my_token = lane / 4, my_quad = lane % 4, my_row = lane / 2, my_half = lane % 2 * 8;
    float4 sum[4];
    for (int t = 0; t < 4; t++) sum[t] = 0.0f;
    for (int k = 0; k < cols; k += STEP) {
        float4 v = 0.0f;
        if (token0 + my_token < n) v = LOAD4(x + (size_t)(token0 + my_token) * cols + k, my_quad);
        const M4 w0 = weights(w, row0 + my_row, k + my_half, total, cols);
        const M4 w1 = weights(w, row0 + my_row, k + my_half + 4, total, cols);
        barrier(CLK_LOCAL_MEM_FENCE);
        a[my_quad * 4 + 0][my_token] = (M)v.x;
        a[my_quad * 4 + 1][my_token] = (M)v.y;
        a[my_quad * 4 + 2][my_token] = (M)v.z;
        a[my_quad * 4 + 3][my_token] = (M)v.w;
        b[my_half + 0][my_row] = w0.x;
        b[my_half + 1][my_row] = w0.y;
        b[my_half + 2][my_row] = w0.z;
        b[my_half + 3][my_row] = w0.w;
        b[my_half + 4][my_row] = w1.x;
        b[my_half + 5][my_row] = w1.y;
        b[my_half + 6][my_row] = w1.z;
        b[my_half + 7][my_row] = w1.w;
        barrier(CLK_LOCAL_MEM_FENCE);
        M4 s0 = (M)0, s1 = (M)0, s2 = (M)0, s3 = (M)0;
#pragma unroll
        for (int i = 0; i < STEP; i++) {
            const M4 p = vload4(ly, a[i]), q = vload4(lx, b[i]);
            s0 += p.x * q;
            s1 += p.y * q;
            s2 += p.z * q;
            s3 += p.w * q;
        }
        sum[0] += convert_float4(s0);
        sum[1] += convert_float4(s1);
        sum[2] += convert_float4(s2);
        sum[3] += convert_float4(s3);
    }
    const int row = row0 + lx * 4;
    for (int t = 0; t < 4; t++) {
        const int token = token0 + ly * 4 + t;
        if (token < n) STORE4(sum[t] * vload4(0, scale + row), y + (size_t)token * total + row, 0);
    }
}
#endif
#endif
