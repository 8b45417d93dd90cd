#version 450
#extension GL_GOOGLE_include_directive : require
// Linear layer, "lanes" layout: a lane owns one row (output channel) and TOKENS tokens.
//
// Weights are stored in tiles of TILE rows x 16 bytes: neighbouring lanes read neighbouring 16 bytes, and a
// weight is unpacked once for TOKENS products. All lanes of a subgroup need the same activations: each fetches
// a part and hands it to the others, by broadcast (SUB) or by shuffle (SHUFFLE: on lavapipe a broadcast takes 13
// cycles, a shuffle by a constant one), or each reads them all from the cache (neither).
// Few rows share out K over the work-group. S8: weights as 8-bit storage instead of 32-bit words.
#include "common.glsl"
#ifdef S8
#extension GL_EXT_shader_8bit_storage : require
#define PACK i8vec4
#else
#define PACK uvec4
#endif
#include "linear.glsl"

// Activations come in groups of 32 columns, 8 vec4, of which the first 8 lanes fetch one each.
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

#define MAC(sum, values, j) \
    { \
        vec4 weights = values; \
        EACH_TOKEN sum[t] += dot(weights, ACTIVATIONS(t, j)); \
    }

#if defined(I8) && defined(S8)
const uint COLUMNS = 16;  // of a storage tile
#define MAC8(matrix, sum, word, j) MAC(sum, vec4(ivec4(matrix[4 * (word) + (j & 3)])), j)
#define GROUP(matrix, sum) \
    { \
        MAC8(matrix, sum, i, 0) MAC8(matrix, sum, i, 1) MAC8(matrix, sum, i, 2) MAC8(matrix, sum, i, 3) \
        MAC8(matrix, sum, i + TILE, 4) MAC8(matrix, sum, i + TILE, 5) \
        MAC8(matrix, sum, i + TILE, 6) MAC8(matrix, sum, i + TILE, 7) \
    }
#elif defined(I8)
const uint COLUMNS = 16;
#define GROUP(matrix, sum) \
    { \
        uvec4 p = matrix[i]; \
        MAC(sum, bytes(p.x), 0) MAC(sum, bytes(p.y), 1) MAC(sum, bytes(p.z), 2) MAC(sum, bytes(p.w), 3) \
        p = matrix[i + TILE]; \
        MAC(sum, bytes(p.x), 4) MAC(sum, bytes(p.y), 5) MAC(sum, bytes(p.z), 6) MAC(sum, bytes(p.w), 7) \
    }
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

// The 8 of the stored w + 8 is taken off once a row: sum x * (u - 8) = sum x * u - sum 8 * x.
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
    EACH_TOKEN { \
        [[unroll]] for (uint j = 0; j < 8; ++j) xsum[t] += dot(ACTIVATIONS(t, j), vec4(8.0)); \
    }
#define OFFSET(t) xsum[t]
#endif
#else
#define OFFSET_INIT
#define OFFSET_GROUP
#define OFFSET(t) 0.0
#endif

void main() {
    uint row = gl_WorkGroupID.x * LANES + lane();
    // Lanes beyond the matrix work on its last row and store nothing: shuffles and barriers need every lane.
    uint stored = min(row, rows - 1);
    uint tile_word = stored / TILE * (TILE * (K / COLUMNS)) + stored % TILE;
    uint token0 = token + gl_WorkGroupID.y * TOKENS;
    uint x0[TOKENS];
    float sum0[TOKENS], sum1[TOKENS];
    EACH_TOKEN {
        x0[t] = min(token0 + t, n - 1) * (K / 4);
        sum0[t] = sum1[t] = 0.0;
    }
    OFFSET_INIT
    for (uint g = part_of_k(); g < GROUPS; g += PARTS) {
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
    EACH_TOKEN {
        float offset = OFFSET(t);
        float value = across(sum0[t] - offset), up = 0.0;
#ifdef GATED
        up = across(sum1[t] - offset);
#endif
        finish(row, token0 + t, value, up);
    }
}
