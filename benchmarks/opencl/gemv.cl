// Matrix-vector products with 8 and 4-bit weights (decode): y[r] = scale[r] * sum_k w[r, k] * x[k].
//
// Build options
//   BITS     8 or 4. A 4-bit value is stored as value + 8, two a byte, low nibble first.
//   LAYOUT   where w[r, k] lies:
//     0 rows     row after row
//     1 tiled    blocks of TILE rows x 16 columns: work-items next to each other read 16 (8) bytes next to each other
//     2 engine   [k/4][r][4]: Google's ML Drift, one work-item per four outputs, 4x4 weights a step
//     3 lanes    blocks of 16 rows x 4 bytes: an int16 holds one block, a row a lane
//   OUT      outputs of one work-item (rows: any; tiled: 1; engine: 4; lanes: 16)
//   PARTS    work-items that share a sum over k, a power of two; reduced through local memory
//   ITEMS    groups of outputs in a work-group; the work-group has ITEMS x PARTS work-items
//   HALF     activations are stored as fp16
//   IMAGE    layout 2: the weights are an image, a texel for 4x4 of them (x: row / 4, y: k / 4), of 32-bit channels for
//            8 bits and 16-bit channels for 4 bits; a channel is a row
//   SUBGROUP sums over k go through subgroups, of any size: 1 cl_khr_subgroups, 2 cl_intel_subgroups. Needs PARTS as
//            dimension 0 and ITEMS 1
// Global size: rows / OUT (x) PARTS. With LAYOUT 0 the parts are dimension 0, so that neighbours read neighbouring
// columns of one row; otherwise dimension 1.

#ifdef HALF
typedef half T;
#define LOAD(p, i) vload_half((i), (p))
#define STORE(v, p, i) vstore_half((v), (i), (p))
#define LOAD4(p, i) vload_half4((i), (p))
#define LOAD16(p, i) vload_half16((i), (p))
#else
typedef float T;
#define LOAD(p, i) ((p)[i])
#define STORE(v, p, i) ((p)[i] = (v))
#define LOAD4(p, i) vload4((i), (p))
#define LOAD16(p, i) vload16((i), (p))
#endif

#if defined(SUBGROUP) && SUBGROUP == 1
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#elif defined(SUBGROUP)
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif

#if LAYOUT == 0
#define PART_DIMENSION 0
#else
#define PART_DIMENSION 1
#endif

// The dot product of 16 weights with 16 activations.
#if BITS == 8
typedef char W;
static float dot16(global const char* w, float16 x) {
    const float16 v = convert_float16(vload16(0, w));
    return dot(v.s0123, x.s0123) + dot(v.s4567, x.s4567) + dot(v.s89ab, x.s89ab) + dot(v.scdef, x.scdef);
}
#else
typedef uchar W;
static float dot16(global const uchar* w, float16 x) {
    const uchar8 b = vload8(0, w);
    const float8 even = convert_float8(b & (uchar)15) - 8.0f, odd = convert_float8(b >> (uchar)4) - 8.0f;
    return dot(even.lo, x.s0246) + dot(even.hi, x.s8ace) + dot(odd.lo, x.s1357) + dot(odd.hi, x.s9bdf);
}
#endif

#ifdef IMAGE
#define WEIGHTS read_only image2d_t
#else
#define WEIGHTS global const W*
#endif

// One part's share of OUT sums, from row `row` on; `total` rows are in the matrix.
#if LAYOUT == 0
static void partial(global const T* x, global const W* w, int row, int total, int cols, int part, float* sum) {
    for (int o = 0; o < OUT; o++) sum[o] = 0.0f;
    for (int k = 16 * part; k < cols; k += 16 * PARTS) {
        const float16 v = LOAD16(x + k, 0);
#pragma unroll
        for (int o = 0; o < OUT; o++) sum[o] += dot16(w + ((size_t)(row + o) * cols + k) * BITS / 8, v);
    }
}
#elif LAYOUT == 1
static void partial(global const T* x, global const W* w, int row, int total, int cols, int part, float* sum) {
    w += ((size_t)(row / TILE) * cols * TILE + row % TILE * 16) * BITS / 8;
    sum[0] = 0.0f;
    for (int k = 16 * part; k < cols; k += 16 * PARTS) sum[0] += dot16(w + (size_t)k * TILE * BITS / 8, LOAD16(x + k, 0));
}
#elif LAYOUT == 3
// Only operations on whole vectors of 32-bit lanes, which every compiler keeps in registers: a
// convert_float16(char16) becomes scalar on PoCL 3.0 (2.2 against 35 GB/s). Activations are read one by one, which a
// CPU broadcasts for nothing while it multiplies; taking them out of a vector costs a shuffle each (26 against 32 GB/s).
//
// 8 bits: the weight is moved to the top bits of its int and converted there: the sums are too large by 2^24, exactly.
// 4 bits: the nibble becomes the mantissa of a float in 1 .. 2, which needs no conversion: 1 + v / 16 where it is
// moved to the top bits, 1 + v / 256 where its neighbour is. So one shift serves two weights (34 GB/s against 17 with
// the conversion). Their offset, 1.5 or 1.03125 times the sum of the activations, is taken off every STRETCH ints,
// before it outgrows the sum that is looked for: the error stays below 1e-5.
//
// The prefetch, two pages ahead, is worth a factor of 2 from memory, on PoCL and on Intel's runtime: hardware
// prefetchers stop at page boundaries. It goes to the second-level cache: 25 to 34 GB/s against 23 to 25 with the first.
// OpenCL's own prefetch() is empty on PoCL.
#ifdef __has_builtin
#if __has_builtin(__builtin_prefetch)
#define PREFETCH(p) __builtin_prefetch((global const char*)(p), 0, 2)
#endif
#endif
#ifndef PREFETCH
#define PREFETCH(p)
#endif
#define AHEAD (128 * 16)
#define STRETCH 32
#define HIGH(n) as_float16(((n) & 0x00780000) | 0x3f800000)
#define LOW(n) as_float16(((n) & 0x00078000) | 0x3f800000)

static void partial(global const T* x, global const W* w, int row, int total, int cols, int part, float* sum) {
    global const int* block = (global const int*)w + (size_t)row * cols * BITS / 32;
#if BITS == 8
    float16 a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;  // four chains hide the latency of one
    for (int k = part; k < cols / 4; k += PARTS) {
        const int16 n = vload16(k, block);
        PREFETCH(block + 16 * k + AHEAD);
        a += LOAD(x, 4 * k) * convert_float16(n << 24);
        b += LOAD(x, 4 * k + 1) * convert_float16((n << 16) & (int)0xff000000);
        c += LOAD(x, 4 * k + 2) * convert_float16((n << 8) & (int)0xff000000);
        d += LOAD(x, 4 * k + 3) * convert_float16(n & (int)0xff000000);
    }
    vstore16(((a + b) + (c + d)) * 0x1p-24f, 0, sum);
#else
    float16 all = 0.0f;
    for (int k = part; k < cols / 8;) {
        float16 a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
        float4 u = 0.0f, v = 0.0f;
        for (const int stop = min(k + STRETCH * PARTS, cols / 8); k < stop; k += PARTS) {
            const int16 n = vload16(k, block), n07 = rotate(n, 19), n21 = n << 11, n43 = n << 3, n65 = n >> 5;
            PREFETCH(block + 16 * k + AHEAD);
            a += LOAD(x, 8 * k) * HIGH(n07);
            b += LOAD(x, 8 * k + 1) * LOW(n21);
            c += LOAD(x, 8 * k + 2) * HIGH(n21);
            d += LOAD(x, 8 * k + 3) * LOW(n43);
            a += LOAD(x, 8 * k + 4) * HIGH(n43);
            b += LOAD(x, 8 * k + 5) * LOW(n65);
            c += LOAD(x, 8 * k + 6) * HIGH(n65);
            d += LOAD(x, 8 * k + 7) * LOW(n07);
            u += LOAD4(x, 2 * k);
            v += LOAD4(x, 2 * k + 1);
        }
        u += v;
        all += ((a + c) - 1.5f * (u.x + u.z)) * 16.0f + ((b + d) - 1.03125f * (u.y + u.w)) * 256.0f;
    }
    vstore16(all, 0, sum);
#endif
}
#else
static void partial(global const T* x, WEIGHTS w, int row, int total, int cols, int part, float* sum) {
    float4 s = 0.0f;
    for (int slice = part; slice < cols / 4; slice += PARTS) {
        const float4 v = LOAD4(x, slice);
#ifdef IMAGE
        const uint4 texel = read_imageui(w, (int2)(row / 4, slice));
#else
        global const W* block = w + ((size_t)slice * total + row) * 4 * BITS / 8;
#endif
#if BITS == 8
#ifdef IMAGE
        const float16 m = convert_float16(as_char16(texel));
#else
        const float16 m = convert_float16(vload16(0, block));
#endif
        s += (float4)(dot(m.s0123, v), dot(m.s4567, v), dot(m.s89ab, v), dot(m.scdef, v));
#elif defined(IMAGE)
        s += v.x * (convert_float4(texel & 15u) - 8.0f) + v.y * (convert_float4(texel >> 4u & 15u) - 8.0f) +
             v.z * (convert_float4(texel >> 8u & 15u) - 8.0f) + v.w * (convert_float4(texel >> 12u) - 8.0f);
#else
        const uchar8 b = vload8(0, block);
        const float8 even = convert_float8(b & (uchar)15) - 8.0f, odd = convert_float8(b >> (uchar)4) - 8.0f;
        s += v.x * even.even + v.y * odd.even + v.z * even.odd + v.w * odd.odd;
#endif
    }
    vstore4(s, 0, sum);
}
#endif

// Adds the parts up; the result is in part 0.
static void reduce(float* sum, int count, local float* scratch) {
#ifdef SUBGROUP
    for (int o = 0; o < count; o++) {
        const float s = sub_group_reduce_add(sum[o]);
        if (get_sub_group_local_id() == 0) scratch[get_sub_group_id()] = s;
        barrier(CLK_LOCAL_MEM_FENCE);
        sum[o] = scratch[0];
        for (uint i = 1; i < get_num_sub_groups(); i++) sum[o] += scratch[i];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#elif PARTS > 1
    const int part = get_local_id(PART_DIMENSION), item = get_local_id(1 - PART_DIMENSION);
    local float* mine = scratch + item * PARTS + part;
    for (int o = 0; o < count; o++) {
        *mine = sum[o];
        for (int step = PARTS / 2; step > 0; step /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (part < step) *mine += mine[step];
        }
        sum[o] = *mine;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
}

#if LAYOUT == 0
#define GROUP reqd_work_group_size(PARTS, ITEMS, 1)
#else
#define GROUP reqd_work_group_size(ITEMS, PARTS, 1)
#endif

// y = w . x
kernel __attribute__((GROUP))
void linear(global const T* x, WEIGHTS w, global const float* scale, global T* y, int total, int cols) {
    local float scratch[ITEMS * PARTS];
    const int row = get_global_id(1 - PART_DIMENSION) * OUT, part = get_local_id(PART_DIMENSION);
    float sum[OUT];
    partial(x, w, row, total, cols, part, sum);
    reduce(sum, OUT, scratch);
    if (part == 0)
        for (int o = 0; o < OUT; o++) STORE(sum[o] * scale[row + o], y, row + o);
}

// y = residual + w . x
kernel __attribute__((GROUP))
void linear_add(global const T* x, WEIGHTS w, global const float* scale, global const T* residual, global T* y,
                int total, int cols) {
    local float scratch[ITEMS * PARTS];
    const int row = get_global_id(1 - PART_DIMENSION) * OUT, part = get_local_id(PART_DIMENSION);
    float sum[OUT];
    partial(x, w, row, total, cols, part, sum);
    reduce(sum, OUT, scratch);
    if (part == 0)
        for (int o = 0; o < OUT; o++) STORE(LOAD(residual, row + o) + sum[o] * scale[row + o], y, row + o);
}

// tanh() of a vector costs little more than that of a number.
#if OUT == 16
#define AT_ONCE 16
typedef float16 FLOATS;
#define GET(p, i) vload16(0, (p) + (i))
#ifdef HALF
#define PUT(v, p, i) vstore_half16((v), 0, (p) + (i))
#else
#define PUT(v, p, i) vstore16((v), 0, (p) + (i))
#endif
#else
#define AT_ONCE 1
typedef float FLOATS;
#define GET(p, i) ((p)[i])
#define PUT(v, p, i) STORE(v, p, i)
#endif

// w has the gate's rows above the up projection's: y = gelu_tanh(gate . x) * (up . x), three kernels in one.
kernel __attribute__((GROUP))
void linear_geglu(global const T* x, WEIGHTS w, global const float* scale, global T* y, int total, int cols) {
    local float scratch[ITEMS * PARTS];
    const int row = get_global_id(1 - PART_DIMENSION) * OUT, part = get_local_id(PART_DIMENSION);
    float gate[OUT], up[OUT];
    partial(x, w, row, total, cols, part, gate);
    partial(x, w, row + total / 2, total, cols, part, up);
    reduce(gate, OUT, scratch);
    reduce(up, OUT, scratch);
    if (part == 0)
        for (int o = 0; o < OUT; o += AT_ONCE) {
            const FLOATS g = GET(gate, o) * GET(scale, row + o);
            const FLOATS t = tanh(0.7978845608028654f * (g + 0.044715f * g * g * g));
            PUT(0.5f * g * (1.0f + t) * GET(up, o) * GET(scale, row + o + total / 2), y, row + o);
        }
}
