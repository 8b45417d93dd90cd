#version 450
#extension GL_GOOGLE_include_directive : require
// Copies rows into another buffer from row `at` on: what a step appends to the KV cache.
#include "common.glsl"

layout(constant_id = 1) const uint WIDTH = 256;  // elements of a row, a multiple of 4

INPUT(0, REAL4, x);
OUTPUT(1, REAL4, y);

layout(push_constant) uniform Push {
    uint n;
    uint at;
};

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < n * (WIDTH / 4)) {
        y[at * (WIDTH / 4) + i] = x[i];
    }
}
