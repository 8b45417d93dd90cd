#version 450
#extension GL_GOOGLE_include_directive : require
// Y[n, rows] = X[n, K] . W[rows, K]^T * scale[row], weights in 8 or 4 bits, "lanes" layout.
//
// A lane owns one row (output channel) and TOKENS tokens. Weights are stored in tiles of TILE rows x 16 bytes:
// neighbouring lanes read neighbouring 16 bytes, and a weight is unpacked once for TOKENS products.
// All lanes of a subgroup need the same activations: each fetches a part and hands it to the others, by broadcast
// (SUB) or by shuffle (SHUFFLE: on lavapipe a broadcast takes 13 cycles, a shuffle by a constant one), or each
// reads them all from the cache (neither). The work-group's y splits K; parts are added through shared memory.
//
// Macros: I8 | I4 weights, S8 (8-bit storage), TOKENS, and one form of the operator:
//   (none)   y = linear(x)
//   GATED    y = gelu(linear(x; w0)) * linear(x; w1)
#include "common.glsl"
#ifdef S8
#extension GL_EXT_shader_8bit_storage : require
#endif

layout(constant_id = 2) const uint K = 2048;     // columns, a multiple of 32
layout(constant_id = 3) const uint TILE = 64;    // rows of a storage tile
layout(constant_id = 4) const uint STRIDE = 2048;  // elements of a row of y

#ifdef S8
#define PACK i8vec4
#else
#define PACK uvec4
#endif

#if defined(GATED)
INPUT(0, PACK, w0);
INPUT(1, float, s0);
INPUT(2, PACK, w1);
INPUT(3, float, s1);
INPUT(4, REAL4, x);
OUTPUT(5, REAL, y);
#else
INPUT(0, PACK, w0);
INPUT(1, float, s0);
INPUT(2, REAL4, x);
OUTPUT(3, REAL, y);
#endif

layout(push_constant) uniform Push {
    uint n;      // tokens
    uint rows;   // of this part of the matrix
    uint first;  // its first row within the whole matrix, for the scale and the output
    uint token;  // the first token of this dispatch
};

#define EACH_TOKEN [[unroll]] for (uint t = 0; t < TOKENS; ++t)

// Activations come in groups of 32 columns, 8 vec4.
#ifdef SHUFFLE
#define FROM_LANE subgroupShuffle
#else
#define FROM_LANE subgroupBroadcast
#endif

#ifdef SUB
#define FETCH \
    vec4 part[TOKENS]; \
    EACH_TOKEN part[t] = vec4(x[at[t] + (gl_SubgroupInvocationID & 7u)]);
#define ACTIVATIONS(t, j) FROM_LANE(part[t], j)
#else
#define FETCH
#define ACTIVATIONS(t, j) vec4(x[at[t] + j])
#endif

vec4 bytes(uint p) {
    return vec4(ivec4(int(p) << 24, int(p) << 16, int(p) << 8, int(p)) >> 24);
}

// The stored value is w + 8. The 8 is taken off once per row: sum x * (u - 8) = sum x * u - 8 * sum x.
vec4 nibbles(uint p) {
    return vec4((uvec4(p) >> uvec4(0, 4, 8, 12)) & 15u);
}

#define MAC(sum, values, j) \
    { \
        vec4 weights = values; \
        EACH_TOKEN sum[t] += dot(weights, ACTIVATIONS(t, j)); \
    }

#ifdef I8
const uint COLUMNS = 16;  // of a storage tile
#ifdef S8
#define GROUP(matrix, sum) \
    { \
        MAC(sum, vec4(ivec4(matrix[4 * i + 0])), 0) MAC(sum, vec4(ivec4(matrix[4 * i + 1])), 1) \
        MAC(sum, vec4(ivec4(matrix[4 * i + 2])), 2) MAC(sum, vec4(ivec4(matrix[4 * i + 3])), 3) \
        MAC(sum, vec4(ivec4(matrix[4 * (i + TILE) + 0])), 4) MAC(sum, vec4(ivec4(matrix[4 * (i + TILE) + 1])), 5) \
        MAC(sum, vec4(ivec4(matrix[4 * (i + TILE) + 2])), 6) MAC(sum, vec4(ivec4(matrix[4 * (i + TILE) + 3])), 7) \
    }
#else
#define GROUP(matrix, sum) \
    { \
        uvec4 p = matrix[i]; \
        MAC(sum, bytes(p.x), 0) MAC(sum, bytes(p.y), 1) MAC(sum, bytes(p.z), 2) MAC(sum, bytes(p.w), 3) \
        p = matrix[i + TILE]; \
        MAC(sum, bytes(p.x), 4) MAC(sum, bytes(p.y), 5) MAC(sum, bytes(p.z), 6) MAC(sum, bytes(p.w), 7) \
    }
#endif
#else
const uint COLUMNS = 32;
#define GROUP(matrix, sum) \
    { \
        uvec4 p = matrix[i]; \
        MAC(sum, nibbles(p.x), 0) MAC(sum, nibbles(p.x >> 16), 1) \
        MAC(sum, nibbles(p.y), 2) MAC(sum, nibbles(p.y >> 16), 3) \
        MAC(sum, nibbles(p.z), 4) MAC(sum, nibbles(p.z >> 16), 5) \
        MAC(sum, nibbles(p.w), 6) MAC(sum, nibbles(p.w >> 16), 7) \
    }
#endif

const uint GROUPS = K / 32;
const uint STEP = TILE * (32 / COLUMNS);  // 16-byte words from one group of 32 columns to the next

uint word(uint row) {
    return row / TILE * (TILE * (K / COLUMNS)) + row % TILE;
}

shared float partial[gl_WorkGroupSize.x * gl_WorkGroupSize.y];

// Adds the parts of K that the work-group's y computed.
float across(float value) {
    if (gl_WorkGroupSize.y == 1) {
        return value;
    }
    partial[gl_LocalInvocationIndex] = value;
    barrier();
    float sum = 0.0;
    for (uint i = 0; i < gl_WorkGroupSize.y; ++i) {
        sum += partial[i * gl_WorkGroupSize.x + gl_LocalInvocationID.x];
    }
    barrier();
    return sum;
}

#ifdef I4
#define OFFSET_INIT float xsum[TOKENS]; EACH_TOKEN xsum[t] = 0.0;
#ifdef SUB
#define OFFSET_GROUP EACH_TOKEN xsum[t] += dot(part[t], vec4(8.0));
#define OFFSET_PART(t, j) FROM_LANE(xsum[t], j)
#define OFFSET(t) \
    (OFFSET_PART(t, 0) + OFFSET_PART(t, 1) + OFFSET_PART(t, 2) + OFFSET_PART(t, 3) \
     + OFFSET_PART(t, 4) + OFFSET_PART(t, 5) + OFFSET_PART(t, 6) + OFFSET_PART(t, 7))
#else
#define OFFSET_GROUP \
    EACH_TOKEN \
        for (uint j = 0; j < 8; ++j) xsum[t] += dot(ACTIVATIONS(t, j), vec4(8.0));
#define OFFSET(t) xsum[t]
#endif
#else
#define OFFSET_INIT
#define OFFSET_GROUP
#define OFFSET(t) 0.0
#endif

#define ZERO(sum) float sum[TOKENS]; EACH_TOKEN sum[t] = 0.0;

void main() {
    uint row = gl_GlobalInvocationID.x;
    // Lanes beyond the matrix work on its last row and store nothing: broadcasts and barriers need every lane.
    uint tile_word = word(min(row, rows - 1));
    uint token0 = token + gl_WorkGroupID.y * TOKENS;
    uint x0[TOKENS];
    EACH_TOKEN x0[t] = min(token0 + t, n - 1) * (K / 4);
    ZERO(sum0)
#ifdef GATED
    ZERO(sum1)
#endif
    OFFSET_INIT
    for (uint g = gl_LocalInvocationID.y; g < GROUPS; g += gl_WorkGroupSize.y) {
        uint i = tile_word + g * STEP;
        uint at[TOKENS];
        EACH_TOKEN at[t] = x0[t] + g * 8;
        FETCH
        GROUP(w0, sum0)
#ifdef GATED
        GROUP(w1, sum1)
#endif
        OFFSET_GROUP
    }
    uint channel = first + row;
    EACH_TOKEN {
        float offset = OFFSET(t);
        float value = across(sum0[t] - offset);
#ifdef GATED
        float up = across(sum1[t] - offset);
#endif
        if (gl_LocalInvocationID.y == 0 && row < rows && token0 + t < n) {
            value *= s0[channel];
#ifdef GATED
            value = gelu(value) * (up * s1[channel]);
#endif
            y[(token0 + t) * STRIDE + channel] = REAL(value);
        }
    }
}
