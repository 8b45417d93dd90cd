// Machine limits: memory read and copy, multiply-adds in registers, and a kernel that does nothing.
//
// Build options: WORD: what one load moves (uint4 for GPUs, uint16 for CPUs); V: vector of the peaks (float4,
// float16, half4, half8).

// Work-item i reads the words i*base, i*base + step, ..: with base 1 neighbours read next to each other (GPUs), with
// step 1 each reads its own piece (CPUs).
kernel void read(global const WORD* data, global uint* sums, int count, int base, int step) {
    size_t at = (size_t)get_global_id(0) * base;
    WORD a = 0, b = 0;
    for (int i = 0; i < count; i += 2) {
        a ^= data[at];
        b ^= data[at + step];
        at += 2 * step;
    }
    a ^= b;
    uint words[sizeof(WORD) / 4];
    *(WORD*)words = a;
    uint sum = 0;
    for (int i = 0; i < (int)(sizeof(WORD) / 4); i++) sum ^= words[i];
    sums[get_global_id(0)] = sum;
}

kernel void copy(global const WORD* data, global WORD* copied, int count, int base, int step) {
    size_t at = (size_t)get_global_id(0) * base;
    for (int i = 0; i < count; i++, at += step) copied[at] = data[at];
}

#ifdef V
#ifdef HALF
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
typedef half S;
#else
typedef float S;
#endif
// 8 chains. Plain products and sums, which compilers fuse where that is fast: mad() is a slow library call on PoCL 3.0,
// and fma() of halves runs at a sixth of the rate on Adreno 6xx.
kernel void peak(global float* out, int rounds, float x, float y) {
    const V m = (V)(S)x;
    const S start = (S)((float)(get_global_id(0) & 15) * y);
    V a = (V)start, b = a + (V)(S)1, c = a + (V)(S)2, d = a + (V)(S)3;
    V e = a + (V)(S)4, f = a + (V)(S)5, g = a + (V)(S)6, h = a + (V)(S)7;
    for (int i = 0; i < rounds; i++) {
        a = a * m + b;
        b = b * m + c;
        c = c * m + d;
        d = d * m + e;
        e = e * m + f;
        f = f * m + g;
        g = g * m + h;
        h = h * m + a;
    }
    a += b + c + d + e + f + g + h;
    out[get_global_id(0)] = (float)a.s0 + (float)a.s1 + (float)a.s2 + (float)a.s3;
}
#endif

kernel void nothing(global uint* sums) {
    if (get_global_id(0) == 0x7fffffff) sums[0] = 1;
}
