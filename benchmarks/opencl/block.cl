// The parts of the block that are not matrix products: norms, RoPE with cache append, attention, GeGLU.
//
// Build options: HALF: activations and cache are stored as fp16 (arithmetic here stays fp32: it is cheap and
// RMSNorm and softmax are specified in fp32). WG: work-group size of the norms, a power of two. DIM: head_dim.
// OpenCL C 1.2; vload_half needs no cl_khr_fp16.

#ifdef HALF
typedef half T;
#define LOAD(p, i) vload_half((i), (p))
#define STORE(v, p, i) vstore_half((v), (i), (p))
#define LOAD4(p, i) vload_half4((i), (p))
#define STORE4(v, p, i) vstore_half4((v), (i), (p))
#else
typedef float T;
#define LOAD(p, i) ((p)[i])
#define STORE(v, p, i) ((p)[i] = (v))
#define LOAD4(p, i) vload4((i), (p))
#define STORE4(v, p, i) vstore4((v), (i), (p))
#endif

// Sum over the work-group; every work-item gets it.
static float group_sum(float value, local float* scratch) {
    const int lane = get_local_id(0);
    scratch[lane] = value;
    for (int step = WG / 2; step > 0; step /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < step) scratch[lane] += scratch[lane + step];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return scratch[0];
}

// y = x * rsqrt(mean(x^2) + 1e-6) * (1 + w); one work-group a token.
kernel __attribute__((reqd_work_group_size(WG, 1, 1)))
void rmsnorm(global const T* x, global const float* w, global T* y, int d) {
    local float scratch[WG];
    const int quads = d / 4, row = get_group_id(0) * quads;
    float squares = 0.0f;
    for (int i = get_local_id(0); i < quads; i += WG) {
        const float4 v = LOAD4(x, row + i);
        squares += dot(v, v);
    }
    const float r = rsqrt(group_sum(squares, scratch) / d + 1e-6f);
    for (int i = get_local_id(0); i < quads; i += WG)
        STORE4(LOAD4(x, row + i) * r * (1.0f + vload4(i, w)), y, row + i);
}

// sum = a + b and y = rmsnorm(sum): residual and norm in one.
kernel __attribute__((reqd_work_group_size(WG, 1, 1)))
void add_rmsnorm(global const T* a, global const T* b, global const float* w, global T* sum, global T* y, int d) {
    local float scratch[WG];
    const int quads = d / 4, row = get_group_id(0) * quads;
    float squares = 0.0f;
    for (int i = get_local_id(0); i < quads; i += WG) {
        const float4 v = LOAD4(a, row + i) + LOAD4(b, row + i);
        STORE4(v, sum, row + i);
        squares += dot(v, v);
    }
    const float r = rsqrt(group_sum(squares, scratch) / d + 1e-6f);
    for (int i = get_local_id(0); i < quads; i += WG) {
        const float4 v = LOAD4(a, row + i) + LOAD4(b, row + i);
        STORE4(v * r * (1.0f + vload4(i, w)), y, row + i);
    }
}

// x [n, d] to int8 with one scale a row, largest value / 127; one work-group a token.
kernel __attribute__((reqd_work_group_size(WG, 1, 1)))
void quantize(global const T* x, global char* q, global float* scale, int d) {
    local float scratch[WG];
    const int quads = d / 4, row = get_group_id(0) * quads, lane = get_local_id(0);
    float4 largest = 0.0f;
    for (int i = lane; i < quads; i += WG) largest = max(largest, fabs(LOAD4(x, row + i)));
    scratch[lane] = max(max(largest.x, largest.y), max(largest.z, largest.w));
    for (int step = WG / 2; step > 0; step /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < step) scratch[lane] = max(scratch[lane], scratch[lane + step]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float peak = scratch[0], inverse = peak > 0.0f ? 127.0f / peak : 0.0f;
    for (int i = lane; i < quads; i += WG) vstore4(convert_char4_sat_rte(LOAD4(x, row + i) * inverse), row + i, q);
    if (lane == 0) scale[get_group_id(0)] = peak / 127.0f;
}

// y = a + b, four values a work-item.
kernel void add(global const T* a, global const T* b, global T* y) {
    const int i = get_global_id(0);
    STORE4(LOAD4(a, i) + LOAD4(b, i), y, i);
}

// y = gelu_tanh(gate) * up, four values a work-item.
kernel void geglu(global const T* gate, global const T* up, global T* y) {
    const int i = get_global_id(0);
    const float4 g = LOAD4(gate, i);
    const float4 t = tanh(0.7978845608028654f * (g + 0.044715f * g * g * g));
    STORE4(0.5f * g * (1.0f + t) * LOAD4(up, i), y, i);
}

// Rows of src [n, d] to rows at, at+1, .. of dst; four values a work-item.
kernel void copy_rows(global const T* src, global T* dst, int d, int at) {
    const int i = get_global_id(0);
    STORE4(LOAD4(src, i), dst, at * (d / 4) + i);
}

// Rotates pair i, i + DIM/2 by the angle of (token, i): half split.
static void rotate_pair(global const T* x, global T* y, int from, int to, float c, float s) {
    const float a = LOAD(x, from), b = LOAD(x, from + DIM / 2);
    STORE(a * c - b * s, y, to);
    STORE(b * c + a * s, y, to + DIM / 2);
}

// x [n, heads*DIM] to rows at.. of y; x may be y. Work-items: (heads*DIM/2, n).
kernel void rope(global const T* x, global const float* cosine, global const float* sine, global T* y, int heads,
                 int at) {
    const int pair = get_global_id(0), token = get_global_id(1);
    const int i = pair % (DIM / 2), column = pair / (DIM / 2) * DIM + i;
    const int angle = token * (DIM / 2) + i;
    rotate_pair(x, y, token * heads * DIM + column, (at + token) * heads * DIM + column, cosine[angle], sine[angle]);
}

// qkv [n, (heads+2)*DIM] of one stacked product: the query heads rotated to q, the key rotated and the value
// copied to rows at.. of the caches. Work-groups: (heads+2, n): a head each.
kernel __attribute__((reqd_work_group_size(DIM / 2, 1, 1)))
void rope_append(global const T* qkv, global const float* cosine, global const float* sine, global T* q,
                 global T* kcache, global T* vcache, int heads, int at) {
    const int head = get_group_id(0), i = get_local_id(0), token = get_group_id(1);
    const int from = token * (heads + 2) * DIM + head * DIM + i, row = (at + token) * DIM + i;
    const float c = cosine[token * (DIM / 2) + i], s = sine[token * (DIM / 2) + i];
    if (head < heads) {
        rotate_pair(qkv, q, from, token * heads * DIM + head * DIM + i, c, s);
    } else if (head == heads) {
        rotate_pair(qkv, kcache, from, row, c, s);
    } else {
        STORE(LOAD(qkv, from), vcache, row);
        STORE(LOAD(qkv, from + DIM / 2), vcache, row + DIM / 2);
    }
}

// Attention with one key-value head. A work-group of DIM/4 items handles one (head, token); keys go in blocks of
// DIM/4 with a running maximum, so that local memory does not grow with the context.
#define KEYS (DIM / 4)

// Over keys first .. last-1: four columns of sum(weight * value) for each item, sum(weight) and the maximum score.
static float4 attend(global const T* q, global const T* k, global const T* v, int row, float scale, int first, int last,
                     local float4* query, local float* weight, local float* scratch, float* total, float* top) {
    const int lane = get_local_id(0);
    query[lane] = LOAD4(q, row + lane) * scale;
    float4 sum = 0.0f;
    *total = 0.0f;
    *top = -INFINITY;
    for (int base = first; base < last; base += KEYS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        float score = -INFINITY;
        if (base + lane < last) {
            float4 products = 0.0f;
            for (int i = 0; i < DIM / 4; i++) products += query[i] * LOAD4(k, (base + lane) * (DIM / 4) + i);
            score = products.x + products.y + products.z + products.w;
        }
        scratch[lane] = score;
        for (int step = KEYS / 2; step > 0; step /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (lane < step) scratch[lane] = max(scratch[lane], scratch[lane + step]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const float higher = max(*top, scratch[0]);
        weight[lane] = exp(score - higher);
        const float shrink = exp(*top - higher);
        sum *= shrink;
        *total *= shrink;
        *top = higher;
        barrier(CLK_LOCAL_MEM_FENCE);
        const int count = min(KEYS, last - base);
        for (int j = 0; j < count; j++) {
            sum += weight[j] * LOAD4(v, (base + j) * (DIM / 4) + lane);
            *total += weight[j];
        }
    }
    return sum;
}

// Causal: token t sees rows 0 .. past+t.
kernel __attribute__((reqd_work_group_size(KEYS, 1, 1)))
void attention(global const T* q, global const T* k, global const T* v, global T* out, int heads, int past,
               float scale) {
    local float4 query[KEYS];
    local float weight[KEYS], scratch[KEYS];
    const int token = get_group_id(1), row = (token * heads + (int)get_group_id(0)) * (DIM / 4);
    float total, top;
    const float4 sum = attend(q, k, v, row, scale, 0, past + token + 1, query, weight, scratch, &total, &top);
    STORE4(sum / total, out, row + get_local_id(0));
}

// One token against a long cache: the keys in pieces, or eight heads would be all that a GPU has to do.
// Work-groups: (head, piece). sums [heads, pieces, DIM], totals [heads, pieces, 2] = (total, maximum).
kernel __attribute__((reqd_work_group_size(KEYS, 1, 1)))
void attention_pieces(global const T* q, global const T* k, global const T* v, global float* sums, global float* totals,
                      int keys, int piece, float scale) {
    local float4 query[KEYS];
    local float weight[KEYS], scratch[KEYS];
    const int head = get_group_id(0), number = get_group_id(1), first = number * piece;
    const int at = head * (int)get_num_groups(1) + number;
    float total, top;
    const float4 sum = attend(q, k, v, head * (DIM / 4), scale, first, min(first + piece, keys), query, weight, scratch,
                              &total, &top);
    vstore4(sum, at * (DIM / 4) + get_local_id(0), sums);
    if (get_local_id(0) == 0) vstore2((float2)(total, top), at, totals);
}

// Puts the pieces of each head together.
kernel __attribute__((reqd_work_group_size(KEYS, 1, 1)))
void attention_merge(global const float* sums, global const float* totals, global T* out, int pieces) {
    const int head = get_group_id(0), lane = get_local_id(0);
    float top = -INFINITY, total = 0.0f;
    for (int i = 0; i < pieces; i++) top = max(top, vload2(head * pieces + i, totals).y);
    float4 sum = 0.0f;
    for (int i = 0; i < pieces; i++) {
        const float2 t = vload2(head * pieces + i, totals);
        const float share = exp(t.y - top);
        total += share * t.x;
        sum += share * vload4((head * pieces + i) * (DIM / 4) + lane, sums);
    }
    STORE4(sum / total, out, head * (DIM / 4) + lane);
}
