#version 450
#extension GL_GOOGLE_include_directive : require
// Attention of one query head of one token per work-group, over one KV head (multi-query), softmax in fp32.
// The cache is walked in tiles of one position per lane with a running maximum (online softmax), so that
// neither shared memory nor the work-group depends on the context length. Query i sees positions 0 .. past + i.
//
// With one token there are as many work-groups as heads, too few for a GPU when the cache is long. PIECES: the
// work-group's z is a piece of SPAN positions, its sums and their maximum and total go to attention_merge.comp.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const uint HEADS = 8;
layout(constant_id = 2) const uint DIM = 256;
layout(constant_id = 3) const float SCALE = 0.0625;
layout(constant_id = 4) const uint SPAN = 0x7fffffff;  // positions of a piece

INPUT(0, REAL4, q);
INPUT(1, REAL4, k);
INPUT(2, REAL4, v);
#ifdef PIECES
OUTPUT(3, vec4, y);        // [pieces, heads, DIM]
OUTPUT(4, vec2, maximum);  // [pieces, heads]: the maximum and the total of exp(score - maximum)
#else
OUTPUT(3, REAL4, y);
#endif

layout(push_constant) uniform Push {
    uint past;
};

#ifndef SUB
#define subgroupMax max
#endif
REDUCE(reduce_max, subgroupMax, max, -3.402823e38)

const uint DIM4 = DIM / 4;
// Each lane owns every WG-th group of four output elements. Enough for DIM 256 from 16 lanes on.
const uint OWNED = 4;

shared vec4 query[DIM4];
shared float weight[gl_WorkGroupSize.x];

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint lanes = gl_WorkGroupSize.x;
    uint head = gl_WorkGroupID.x, token = gl_WorkGroupID.y;
    uint row = (token * HEADS + head) * DIM4;
    uint start = gl_WorkGroupID.z * SPAN;
    uint visible = min(past + token + 1, start + SPAN);

    for (uint i = lane; i < DIM4; i += lanes) {
        query[i] = vec4(q[row + i]) * SCALE;
    }
    barrier();

    vec4 sum[OWNED];
    [[unroll]] for (uint j = 0; j < OWNED; ++j) {
        sum[j] = vec4(0.0);
    }
    float top = -3.402823e38, total = 0.0;
    for (uint first = start; first < visible; first += lanes) {
        uint position = first + lane;
        float score = -3.402823e38;
        if (position < visible) {
            vec4 products = vec4(0.0);
            for (uint i = 0; i < DIM4; ++i) {
                products += query[i] * vec4(k[position * DIM4 + i]);
            }
            score = products.x + products.y + products.z + products.w;
        }
        float new_top = max(top, reduce_max(score));
        float keep = exp(top - new_top);  // 0 for the first tile: exp(-huge)
        float p = position < visible ? exp(score - new_top) : 0.0;
        weight[lane] = p;
        total = total * keep + reduce_add(p);  // its barriers also publish `weight`
        top = new_top;

        uint count = min(lanes, visible - first);
        [[unroll]] for (uint j = 0; j < OWNED; ++j) {
            uint i = lane + j * lanes;
            if (i < DIM4) {
                vec4 s = sum[j] * keep;
                for (uint c = 0; c < count; ++c) {
                    s += weight[c] * vec4(v[(first + c) * DIM4 + i]);
                }
                sum[j] = s;
            }
        }
        barrier();  // before `weight` is overwritten
    }
#ifdef PIECES
    uint piece = gl_WorkGroupID.z * HEADS + head;
    row = piece * DIM4;
    if (lane == 0) {
        maximum[piece] = vec2(top, total);
    }
#endif
    [[unroll]] for (uint j = 0; j < OWNED; ++j) {
        uint i = lane + j * lanes;
        if (i < DIM4) {
#ifdef PIECES
            y[row + i] = sum[j];
#else
            y[row + i] = REAL4(sum[j] / total);
#endif
        }
    }
}
