#version 450
#extension GL_GOOGLE_include_directive : require
// Reads a buffer once; every invocation leaves the sum of the words it read. Neighbours read neighbouring
// 16 bytes, as the weights are read. With COPY it writes what it reads instead.
#include "common.glsl"

layout(constant_id = 1) const uint PER_INVOCATION = 16;  // 16-byte words

INPUT(0, uvec4, x);
#ifdef COPY
OUTPUT(1, uvec4, y);
#else
OUTPUT(1, uint, y);
#endif

void main() {
    uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * PER_INVOCATION + gl_LocalInvocationID.x;
#ifdef COPY
    for (uint i = 0; i < PER_INVOCATION; ++i) {
        uint at = first + i * gl_WorkGroupSize.x;
        y[at] = x[at];
    }
#else
    uvec4 sum = uvec4(0);
    for (uint i = 0; i < PER_INVOCATION; ++i) {
        sum += x[first + i * gl_WorkGroupSize.x];
    }
    y[gl_GlobalInvocationID.x] = sum.x + sum.y + sum.z + sum.w;
#endif
}
