#version 450
#extension GL_GOOGLE_include_directive : require
// y = a * rsqrt(mean(a^2) + eps) * (1 + w), one work-group per token.
// a = x; with RESIDUAL a = x + r, which is also written to `sum`: the residual stream goes on from there.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint WIDTH = 2048;  // elements of a token, a multiple of 4
layout(constant_id = 2) const float EPS = 1e-6;

INPUT(0, REAL4, x);
INPUT(1, vec4, w);
OUTPUT(2, REAL4, y);
#ifdef RESIDUAL
INPUT(3, REAL4, r);
OUTPUT(4, REAL4, total);
#endif

void main() {
    const uint width = WIDTH / 4;
    uint base = gl_WorkGroupID.x * width;
    float squares = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < width; i += gl_WorkGroupSize.x) {
        vec4 a = vec4(x[base + i]);
#ifdef RESIDUAL
        a += vec4(r[base + i]);
        total[base + i] = REAL4(a);
#endif
        squares += dot(a, a);
    }
    float scale = inversesqrt(reduce_add(squares) / float(WIDTH) + EPS);
    for (uint i = gl_LocalInvocationID.x; i < width; i += gl_WorkGroupSize.x) {
        vec4 a = vec4(x[base + i]);
#ifdef RESIDUAL
        a += vec4(r[base + i]);
#endif
        y[base + i] = REAL4(a * scale * (1.0 + w[i]));
    }
}
