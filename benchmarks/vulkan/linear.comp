#version 450
#extension GL_GOOGLE_include_directive : require
// Linear layer, "lanes" layout: a lane owns one row (output channel) and TOKENS tokens.
//
// Weights are stored in tiles of TILE rows x 16 bytes: neighbouring lanes read neighbouring 16 bytes, and a
// weight is unpacked once for TOKENS products. All lanes of a subgroup need the same activations: each fetches
// a part and hands it to the others, by broadcast (SUB) or by shuffle (SHUFFLE: on lavapipe a broadcast takes 13
// cycles, a shuffle by a constant one), or each reads them all from the cache (neither).
// Few rows share out K over the work-group. S8: weights as 8-bit storage instead of 32-bit words.
// DOT8: int8 activations and integer dot products.
#include "common.glsl"
#ifdef S8
#extension GL_EXT_shader_8bit_storage : require
#define PACK i8vec4
#else
#define PACK uvec4
#endif
#ifdef DOT8
#include "dot8.glsl"
#endif
#include "linear.glsl"

// Four columns: of activations, of weights, and their dot product.
#ifdef DOT8
#define FOUR int
#define SUM int
#define DOT(a, b) dot4(a, b, 0)
#define EIGHTS 0x08080808
#define BYTES(p) int(p)
#define LOW(p) int((p) & 0x0f0f0f0fu)
#define HIGH(p) int((p) >> 4 & 0x0f0f0f0fu)
#else
#define FOUR vec4
#define SUM float
#define DOT(a, b) dot(a, b)
#define EIGHTS vec4(8.0)
#define BYTES(p) bytes(p)
#define LOW(p) nibbles(p)
#define HIGH(p) nibbles((p) >> 16)
#endif

// Activations come in groups of 32 columns, 8 times four, of which the first 8 lanes fetch one each.
#ifdef SHUFFLE
#define FROM_LANE subgroupShuffle
#else
#define FROM_LANE subgroupBroadcast
#endif

#ifdef SUB
#define FETCH \
    FOUR part[TOKENS]; \
    EACH_TOKEN part[t] = FOUR(x[at[t] + (gl_SubgroupInvocationID & 7u)]);
#define ACTIVATIONS(t, j) FROM_LANE(part[t], j)
#else
#define FETCH
#define ACTIVATIONS(t, j) FOUR(x[at[t] + j])
#endif

#define MAC(sum, values, j) \
    { \
        FOUR weights = values; \
        EACH_TOKEN sum[t] += DOT(weights, ACTIVATIONS(t, j)); \
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
        MAC(sum, BYTES(p.x), 0) MAC(sum, BYTES(p.y), 1) MAC(sum, BYTES(p.z), 2) MAC(sum, BYTES(p.w), 3) \
        p = matrix[i + TILE]; \
        MAC(sum, BYTES(p.x), 4) MAC(sum, BYTES(p.y), 5) MAC(sum, BYTES(p.z), 6) MAC(sum, BYTES(p.w), 7) \
    }
#else
const uint COLUMNS = 32;
#define GROUP(matrix, sum) \
    { \
        uvec4 p = matrix[i]; \
        MAC(sum, LOW(p.x), 0) MAC(sum, HIGH(p.x), 1) \
        MAC(sum, LOW(p.y), 2) MAC(sum, HIGH(p.y), 3) \
        MAC(sum, LOW(p.z), 4) MAC(sum, HIGH(p.z), 5) \
        MAC(sum, LOW(p.w), 6) MAC(sum, HIGH(p.w), 7) \
    }
#endif

const uint GROUPS = K / 32;
const uint STEP = TILE * (32 / COLUMNS);  // 16-byte words from one group of 32 columns to the next

// The 8 of the stored w + 8 is taken off once a row: sum x * (u - 8) = sum x * u - sum 8 * x.
#ifdef I4
#define OFFSET_INIT SUM xsum[TOKENS]; EACH_TOKEN xsum[t] = SUM(0);
#ifdef SUB
#define OFFSET_GROUP EACH_TOKEN xsum[t] += DOT(part[t], EIGHTS);
#define OFFSET_PART(t, j) FROM_LANE(xsum[t], j)
#define OFFSET(t) \
    (OFFSET_PART(t, 0) + OFFSET_PART(t, 1) + OFFSET_PART(t, 2) + OFFSET_PART(t, 3) \
     + OFFSET_PART(t, 4) + OFFSET_PART(t, 5) + OFFSET_PART(t, 6) + OFFSET_PART(t, 7))
#else
#define OFFSET_GROUP \
    EACH_TOKEN { \
        [[unroll]] for (uint j = 0; j < 8; ++j) xsum[t] += DOT(ACTIVATIONS(t, j), EIGHTS); \
    }
#define OFFSET(t) xsum[t]
#endif
#else
#define OFFSET_INIT
#define OFFSET_GROUP
#define OFFSET(t) SUM(0)
#endif

void main() {
    uint row = gl_WorkGroupID.x * LANES + lane();
    // Lanes beyond the matrix work on its last row and store nothing: shuffles and barriers need every lane.
    uint stored = min(row, rows - 1);
    uint tile_word = stored / TILE * (TILE * (K / COLUMNS)) + stored % TILE;
    uint token0 = token + gl_WorkGroupID.y * TOKENS;
    uint x0[TOKENS];
    SUM sum0[TOKENS], sum1[TOKENS];
    EACH_TOKEN {
        x0[t] = min(token0 + t, n - 1) * (K / 4);
        sum0[t] = sum1[t] = SUM(0);
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
        SUM offset = OFFSET(t);
        float value = across(float(sum0[t] - offset)), up = 0.0;
#ifdef GATED
        up = across(float(sum1[t] - offset));
#endif
        finish(row, token0 + t, value, up);
    }
}
