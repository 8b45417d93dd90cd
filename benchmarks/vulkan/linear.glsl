// What the linear kernels share: Y[n, rows] = X[n, K] . W[rows, K]^T * scale[row], weights in 8 or 4 bits.
//
// Macros: I8 | I4 weights, TOKENS per invocation, and one form of the operator:
//   (none)    y = linear(x)
//   RESIDUAL  y = r + linear(x)
//   GATED     y = gelu(linear(x; w0)) * linear(x; w1)
// PACK, the type of a weight word, is defined by the kernel. DOT8: x holds int8 activations, four a word, and sx one
// scale a token (quantize.comp); sums are exact integers.

layout(constant_id = 1) const uint PARTS = 1;      // of K, that the work-group shares out
layout(constant_id = 2) const uint K = 2048;       // columns, a multiple of 32
layout(constant_id = 3) const uint TILE = 32;      // rows of a storage tile
layout(constant_id = 4) const uint STRIDE = 2048;  // elements of a row of y

INPUT(0, PACK, w0);
INPUT(1, float, s0);
#ifdef DOT8
INPUT(2, int, x);
#else
INPUT(2, REAL4, x);
#endif
OUTPUT(3, REAL, y);
#ifdef GATED
INPUT(4, PACK, w1);
INPUT(5, float, s1);
#endif
#ifdef RESIDUAL
INPUT(4, REAL, r);
#endif
#ifdef DOT8
#if defined(GATED)
INPUT(6, float, sx);
#elif defined(RESIDUAL)
INPUT(5, float, sx);
#else
INPUT(4, float, sx);
#endif
#endif

layout(push_constant) uniform Push {
    uint n;      // tokens
    uint rows;   // of this part of the matrix
    uint first;  // its first row within the whole matrix, for the scale and the output
    uint token;  // the first token of this dispatch
};

#define EACH_TOKEN [[unroll]] for (uint t = 0; t < TOKENS; ++t)

// Four signed bytes.
vec4 bytes(uint p) {
    return vec4(ivec4(int(p) << 24, int(p) << 16, int(p) << 8, int(p)) >> 24);
}

// Four nibbles as stored, w + 8, lowest first.
vec4 nibbles(uint p) {
    return vec4((uvec4(p) >> uvec4(0, 4, 8, 12)) & 15u);
}

// The work-group as lanes x parts, the lanes of a part next to each other.
const uint LANES = gl_WorkGroupSize.x / PARTS;
uint lane() {
    return gl_LocalInvocationIndex % LANES;
}
uint part_of_k() {
    return gl_LocalInvocationIndex / LANES;
}

shared float partial[gl_WorkGroupSize.x];

// Adds the parts of K.
float across(float value) {
    if (PARTS == 1) {
        return value;
    }
    partial[gl_LocalInvocationIndex] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < PARTS; ++i) {
        sum += partial[i * LANES + lane()];
    }
    barrier();
    return sum;
}

// Scales and stores one sum; `row` is within this part of the matrix. `up` is the second sum of GATED.
void finish(uint row, uint token_index, float value, float up) {
    if (part_of_k() != 0 || row >= rows || token_index >= n) {
        return;
    }
    uint channel = first + row;
    uint at = token_index * STRIDE + channel;
    value *= s0[channel];
#ifdef DOT8
    value *= sx[token_index];
    up *= sx[token_index];
#endif
#ifdef GATED
    value = gelu(value) * (up * s1[channel]);
#endif
#ifdef RESIDUAL
    value += float(r[at]);
#endif
    y[at] = REAL(value);
}
