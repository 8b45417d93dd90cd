#version 450
#extension GL_GOOGLE_include_directive : require
// Linear layer in the layout of Google's engine (ML Drift), from which its speed is predicted: blocks of 4
// outputs x 4 inputs, the blocks of all outputs next to each other. An invocation owns one slice of 4 outputs and
// walks over the inputs, 16 weights at a time; the work-group shares out K and adds the parts through shared
// memory. Decode dequantises to float.
// Source: google-ai-edge/ml-drift, the fully connected task (Apache-2.0).
#include "common.glsl"
#ifdef I8
#define PACK uvec4
#else
#define PACK uvec2
#endif
#include "linear.glsl"

#ifdef I8
#define ROWS_OF(p) bytes(p.x), bytes(p.y), bytes(p.z), bytes(p.w)
#else
#define ROWS_OF(p) \
    nibbles(p.x) - 8.0, nibbles(p.x >> 16) - 8.0, nibbles(p.y) - 8.0, nibbles(p.y >> 16) - 8.0
#endif

// Dot products of a vector with the rows of a 4x4 block, the rows being the columns of `block`.
#define MAC(matrix, sum) \
    { \
        mat4 block = mat4(ROWS_OF(matrix[i])); \
        EACH_TOKEN sum[t] += vec4(x[x0[t] + k]) * block; \
    }

void main() {
    uint slice = gl_WorkGroupID.x * LANES + lane();
    uint slices = TILE / 4;  // of the stored part of the matrix: a tile is all its rows x 4 columns
    uint stored = min(slice, slices - 1);
    uint token0 = token + gl_WorkGroupID.y * TOKENS;
    uint x0[TOKENS];
    vec4 sum0[TOKENS], sum1[TOKENS];
    EACH_TOKEN {
        x0[t] = min(token0 + t, n - 1) * (K / 4);
        sum0[t] = sum1[t] = vec4(0.0);
    }
    for (uint k = part_of_k(); k < K / 4; k += PARTS) {
        uint i = k * slices + stored;
        MAC(w0, sum0)
#ifdef GATED
        MAC(w1, sum1)
#endif
    }
    EACH_TOKEN {
        [[unroll]] for (uint o = 0; o < 4; ++o) {
            float value = across(sum0[t][o]), up = 0.0;
#ifdef GATED
            up = across(sum1[t][o]);
#endif
            finish(4 * slice + o, token0 + t, value, up);
        }
    }
}
