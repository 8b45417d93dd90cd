#version 450
#extension GL_GOOGLE_include_directive : require
// The pieces of attention.comp put together: one work-group per head.
#include "common.glsl"

layout(constant_id = 1) const uint HEADS = 8;
layout(constant_id = 2) const uint DIM = 256;

INPUT(0, vec4, sums);      // [pieces, heads, DIM]
INPUT(1, vec2, maximum);   // [pieces, heads]
OUTPUT(2, REAL4, y);

layout(push_constant) uniform Push {
    uint pieces;
};

void main() {
    const uint dim4 = DIM / 4;
    uint head = gl_WorkGroupID.x;
    float top = maximum[head].x;
    for (uint p = 1; p < pieces; ++p) {
        top = max(top, maximum[p * HEADS + head].x);
    }
    for (uint i = gl_LocalInvocationID.x; i < dim4; i += gl_WorkGroupSize.x) {
        vec4 sum = vec4(0.0);
        float total = 0.0;
        for (uint p = 0; p < pieces; ++p) {
            uint piece = p * HEADS + head;
            float keep = exp(maximum[piece].x - top);
            sum += keep * sums[piece * dim4 + i];
            total += keep * maximum[piece].y;
        }
        y[head * dim4 + i] = REAL4(sum / total);
    }
}
