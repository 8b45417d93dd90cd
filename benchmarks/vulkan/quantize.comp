#version 450
#extension GL_GOOGLE_include_directive : require
// Rows of activations to int8 with one scale a row, as the CPU engine does: scale = max|x| / 127, a row of
// zeros has scale 0. One work-group per token; four columns a word.
// INTERLEAVED: of every 8 columns the even ones, then the odd ones: the order in which the nibbles of a weight word
// become bytes by a mask.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint WIDTH = 2048;  // columns, a multiple of 8
layout(constant_id = 2) const uint INTERLEAVED = 0;

INPUT(0, REAL4, x);
OUTPUT(1, uvec2, q);
OUTPUT(2, float, s);

#ifndef SUB
#define subgroupMax max
#endif
REDUCE(reduce_max, subgroupMax, max, 0.0)

uint bytes(vec4 v) {
    uvec4 b = uvec4(ivec4(roundEven(v))) & 0xffu;
    return b.x | b.y << 8 | b.z << 16 | b.w << 24;
}

void main() {
    uint base = gl_WorkGroupID.x * (WIDTH / 8);
    float peak = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < WIDTH / 8; i += gl_WorkGroupSize.x) {
        vec4 a = max(abs(vec4(x[2 * (base + i)])), abs(vec4(x[2 * (base + i) + 1])));
        peak = max(peak, max(max(a.x, a.y), max(a.z, a.w)));
    }
    peak = reduce_max(peak);
    float inverse = peak > 0.0 ? 127.0 / peak : 0.0;
    for (uint i = gl_LocalInvocationID.x; i < WIDTH / 8; i += gl_WorkGroupSize.x) {
        vec4 a = clamp(vec4(x[2 * (base + i)]) * inverse, -127.0, 127.0);
        vec4 b = clamp(vec4(x[2 * (base + i) + 1]) * inverse, -127.0, 127.0);
        if (INTERLEAVED != 0) {
            vec4 even = vec4(a.xz, b.xz);
            b = vec4(a.yw, b.yw);
            a = even;
        }
        q[base + i] = uvec2(bytes(a), bytes(b));
    }
    if (gl_LocalInvocationID.x == 0) {
        s[gl_WorkGroupID.x] = peak / 127.0;
    }
}
