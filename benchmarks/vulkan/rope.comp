#version 450
#extension GL_GOOGLE_include_directive : require
// Rotary embedding, half split: (a, b) = (x[i], x[i + dim/2]) becomes (a cos - b sin, b cos + a sin).
// Reads [n, HEADS * DIM], writes the same shape from row `at` on: of the cache, or 0. One invocation turns four pairs.
#include "common.glsl"

layout(constant_id = 2) const uint HEADS = 8;
layout(constant_id = 3) const uint DIM = 256;

INPUT(0, REAL4, x);
INPUT(1, vec4, cosine);
INPUT(2, vec4, sine);
OUTPUT(3, REAL4, y);

layout(push_constant) uniform Push {
    uint n;
    uint at;
};

void main() {
    const uint half_dim = DIM / 8;  // in units of four
    uint i = gl_GlobalInvocationID.x;
    if (i >= n * HEADS * half_dim) {
        return;
    }
    uint pair = i % half_dim;
    uint head = i / half_dim % HEADS;
    uint token = i / (half_dim * HEADS);
    uint from = (token * HEADS + head) * 2 * half_dim + pair;
    uint to = ((at + token) * HEADS + head) * 2 * half_dim + pair;
    vec4 a = vec4(x[from]), b = vec4(x[from + half_dim]);
    vec4 c = cosine[token * half_dim + pair], s = sine[token * half_dim + pair];
    y[to] = REAL4(a * c - b * s);
    y[to + half_dim] = REAL4(b * c + a * s);
}
