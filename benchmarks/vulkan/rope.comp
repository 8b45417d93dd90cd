#version 450
#extension GL_GOOGLE_include_directive : require
// Rotary embedding, half split: (a, b) = (x[i], x[i + dim/2]) becomes (a cos - b sin, b cos + a sin).
// One invocation turns four pairs.
//   (none)  x [n, HEADS * DIM] to the rows of y from `at` on (of the cache, or 0)
//   STACKED x [n, (HEADS + 2) * DIM], the rows of query, key and value stacked: query to y, key and the
//           value, which is not turned, to the rows of the caches from `at` on
#include "common.glsl"

layout(constant_id = 1) const uint HEADS = 8;
layout(constant_id = 2) const uint DIM = 256;

INPUT(0, REAL4, x);
INPUT(1, vec4, cosine);
INPUT(2, vec4, sine);
OUTPUT(3, REAL4, y);
#ifdef STACKED
OUTPUT(4, REAL4, k);
OUTPUT(5, REAL4, v);
const uint STACK = HEADS + 2;
#else
const uint STACK = HEADS;
#endif

layout(push_constant) uniform Push {
    uint n;
    uint at;
};

void main() {
    const uint half_dim = DIM / 8;  // in units of four
    uint i = gl_GlobalInvocationID.x;
    if (i >= n * STACK * half_dim) {
        return;
    }
    uint pair = i % half_dim;
    uint head = i / half_dim % STACK;
    uint token = i / (half_dim * STACK);
    uint from = (token * STACK + head) * 2 * half_dim + pair;
    vec4 a = vec4(x[from]), b = vec4(x[from + half_dim]);
    vec4 c = cosine[token * half_dim + pair], s = sine[token * half_dim + pair];
    vec4 low = a * c - b * s, high = b * c + a * s;
#ifdef STACKED
    uint to = (token * HEADS + head) * 2 * half_dim + pair;
    uint row = (at + token) * 2 * half_dim + pair;
    if (head < HEADS) {
        y[to] = REAL4(low);
        y[to + half_dim] = REAL4(high);
    } else if (head == HEADS) {
        k[row] = REAL4(low);
        k[row + half_dim] = REAL4(high);
    } else {
        v[row] = REAL4(a);
        v[row + half_dim] = REAL4(b);
    }
#else
    uint to = ((at + token) * HEADS + head) * 2 * half_dim + pair;
    y[to] = REAL4(low);
    y[to + half_dim] = REAL4(high);
#endif
}
