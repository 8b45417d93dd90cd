/* The body of one set of row operations; rows.c includes it once per vector width and defines
 *   NAME(f)  the function's name in this set
 *   HEADS    query heads, and
 *   KEYS     keys, whose dot products `scores` holds in registers
 *   MIXED    heads whose sums `mix` holds in registers */

static float NAME(inverse_rms)(const float *x, int d) {
    vec sum = splat(0);
    for (int i = 0; i < d; i += LANES) sum += load(x + i) * load(x + i);
    return 1.0f / __builtin_elementwise_sqrt(sum_lanes(sum) / (float)d + 1e-6f);
}

INLINE vec NAME(normed)(const float *x, const float *w, float r) { return load(x) * r * (load(w) + 1.0f); }

static void NAME(rmsnorm)(const float *x, const float *w, float *y, int d) {
    const float r = NAME(inverse_rms)(x, d);
    for (int i = 0; i < d; i += LANES) store(y + i, NAME(normed)(x + i, w + i, r));
}

/* The factor that maps the largest magnitude to 127, and the scale that maps it back. Below 1e-36 the factor would
 * overflow: such a row counts as zeros. */
static float NAME(q8_factor)(float largest, float *scale) {
    const int zero = !(largest > 1e-36f);
    *scale = zero ? 0.0f : largest / 127.0f;
    return zero ? 0.0f : 127.0f / largest;
}

INLINE void NAME(store_q8)(int8_t *q, vec v) {
    const bvec bytes = __builtin_convertvector(round_to_int(v), bvec);
    memcpy(q, &bytes, sizeof bytes);
}

/* Four maxima at once, or the latency of one would be the time. */
static float NAME(largest)(const float *x, int d) {
    vec most[4] = {splat(0), splat(0), splat(0), splat(0)};
    int i = 0;
    for (; i + 4 * LANES <= d; i += 4 * LANES)
        for (int c = 0; c < 4; c++) most[c] = max(most[c], absolute(load(x + i + c * LANES)));
    for (; i < d; i += LANES) most[0] = max(most[0], absolute(load(x + i)));
    return max_lanes(max(max(most[0], most[1]), max(most[2], most[3])));
}

static void NAME(quantize)(const float *x, int8_t *q, float *s, int d) {
    const float factor = NAME(q8_factor)(NAME(largest)(x, d), s);
    for (int i = 0; i < d; i += LANES) NAME(store_q8)(q + i, load(x + i) * factor);
}

static void NAME(rmsnorm_q8)(const float *x, const float *w, int8_t *q, float *s, int d) {
    const float r = NAME(inverse_rms)(x, d);
    vec most[2] = {splat(0), splat(0)};
    int i = 0;
    for (; i + 2 * LANES <= d; i += 2 * LANES)
        for (int c = 0; c < 2; c++)
            most[c] = max(most[c], absolute(NAME(normed)(x + i + c * LANES, w + i + c * LANES, r)));
    for (; i < d; i += LANES) most[0] = max(most[0], absolute(NAME(normed)(x + i, w + i, r)));
    const float factor = NAME(q8_factor)(max_lanes(max(most[0], most[1])), s);
    for (i = 0; i < d; i += LANES) NAME(store_q8)(q + i, NAME(normed)(x + i, w + i, r) * factor);
}

static void NAME(geglu)(const float *gate, const float *up, float *y, int d) {
    for (int i = 0; i < d; i += LANES) store(y + i, gelu_tanh(load(gate + i)) * load(up + i));
}

static void NAME(add)(const float *a, const float *b, float *y, int count) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) store(y + i, load(a + i) + load(b + i));
    for (; i < count; i++) y[i] = a[i] + b[i];
}

static void NAME(rope)(const float *x, const float *cosine, const float *sine, float *y, int half) {
    for (int i = 0; i < half; i += LANES) {
        const vec low = load(x + i), high = load(x + half + i), c = load(cosine + i), s = load(sine + i);
        store(y + i, low * c - high * s);
        store(y + half + i, low * s + high * c);
    }
}

INLINE vec NAME(scaled)(const int32_t *acc, int32_t correction, float s, const float *ws) {
    ivec v;
    memcpy(&v, acc, sizeof v);
    return __builtin_convertvector(v - correction, vec) * s * load(ws);
}

static void NAME(dequantize)(const int32_t *sums, size_t step, int blocks, int32_t correction, float s, const float *ws,
                             float *y) {
    for (int b = 0; b < blocks; b++, sums += step, ws += LANES, y += LANES)
        store(y, NAME(scaled)(sums, correction, s, ws));
}

static void NAME(dequantize_geglu)(const int32_t *gate, const int32_t *up, size_t step, int blocks, int32_t correction,
                                   float s, const float *gate_ws, const float *up_ws, float *y) {
    for (int b = 0; b < blocks; b++, gate += step, up += step, gate_ws += LANES, up_ws += LANES, y += LANES)
        store(y, gelu_tanh(NAME(scaled)(gate, correction, s, gate_ws)) * NAME(scaled)(up, correction, s, up_ws));
}

static int32_t NAME(sum)(const int8_t *q, int count) {
    int32_t sum = 0;
    for (int i = 0; i < count; i++) sum += q[i];
    return sum;
}

/* Bytes 0 2 4 6 1 3 5 7. */
INLINE uint64_t NAME(even_odd)(uint64_t v) {
    uint64_t even = v & 0x00ff00ff00ff00ffu, odd = v >> 8 & 0x00ff00ff00ff00ffu;
    even = (even | even >> 8) & 0x0000ffff0000ffffu;
    odd = (odd | odd >> 8) & 0x0000ffff0000ffffu;
    return ((even | even >> 16) & 0xffffffffu) | (odd | odd >> 16) << 32;
}

static void NAME(pack)(const int8_t *q, int8_t *out, int depth, int unit, size_t step, int permute) {
    int8_t ordered[64];
    for (int k = 0; k < depth; k += 64, q += 64) {
        const int8_t *from = q;
        if (permute) {
            for (int i = 0; i < 64; i += 8) {
                uint64_t v;
                memcpy(&v, q + i, sizeof v);
                v = NAME(even_odd)(v);
                memcpy(ordered + i, &v, sizeof v);
            }
            from = ordered;
        }
        switch (step == (size_t)unit ? 64 : unit) { /* constant sizes become single moves */
            case 4:
                for (int i = 0; i < 64; i += 4, out += step) memcpy(out, from + i, 4);
                break;
            case 8:
                for (int i = 0; i < 64; i += 8, out += step) memcpy(out, from + i, 8);
                break;
            case 16:
                for (int i = 0; i < 64; i += 16, out += step) memcpy(out, from + i, 16);
                break;
            default:
                memcpy(out, from, 64);
                out += 64 / unit * step;
                break;
        }
    }
}

/* `heads` x `keys` dot products. Each is summed in 16 lanes over dim, then across them. */
INLINE void NAME(dots)(const float *q, const float *k, float *scores, int heads, int keys, int dim, int stride,
                       float scale) {
    vec sum[HEADS][KEYS];
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < keys; j++) sum[h][j] = splat(0);
    for (int c = 0; c < dim; c += LANES)
        for (int h = 0; h < heads; h++) {
            const vec query = load(q + h * dim + c);
            for (int j = 0; j < keys; j++) sum[h][j] += query * load(k + (size_t)j * dim + c);
        }
    for (int h = 0; h < heads; h++)
        for (int j = 0; j < keys; j++) scores[(size_t)h * stride + j] = sum_lanes(sum[h][j]) * scale;
}

static void NAME(scores)(const float *q, const float *k, float *scores, int heads, int dim, int stride, int from,
                         int to, float scale) {
    int j = from;
    for (; j + KEYS <= to; j += KEYS) {
        const float *key = k + (size_t)j * dim;
        int h = 0;
        for (; h + HEADS <= heads; h += HEADS)
            NAME(dots)(q + h * dim, key, scores + (size_t)h * stride + j, HEADS, KEYS, dim, stride, scale);
        for (; h < heads; h++)
            NAME(dots)(q + h * dim, key, scores + (size_t)h * stride + j, 1, KEYS, dim, stride, scale);
    }
    for (; j < to; j++)
        for (int h = 0; h < heads; h++)
            NAME(dots)(q + h * dim, k + (size_t)j * dim, scores + (size_t)h * stride + j, 1, 1, dim, stride, scale);
}

static float NAME(softmax)(float *scores, int length) {
    const int padded = (length + LANES - 1) / LANES * LANES;
    for (int i = length; i < padded; i++) scores[i] = scores[0];
    vec largest = load(scores);
    for (int i = LANES; i < padded; i += LANES) largest = max(largest, load(scores + i));
    const float top = max_lanes(largest);
    for (int i = 0; i < padded; i += LANES) store(scores + i, exponential(load(scores + i) - top));
    for (int i = length; i < padded; i++) scores[i] = 0;
    vec sum = splat(0);
    for (int i = 0; i < padded; i += LANES) sum += load(scores + i);
    return 1.0f / sum_lanes(sum);
}

INLINE void NAME(mix_heads)(const float *p, const float *v, float *out, const float *inverse, int heads, int dim,
                            int stride, int length) {
    vec sum[MIXED];
    for (int h = 0; h < heads; h++) sum[h] = splat(0);
    for (int j = 0; j < length; j++) {
        const vec value = load(v + (size_t)j * dim);
        for (int h = 0; h < heads; h++) sum[h] += value * p[(size_t)h * stride + j];
    }
    for (int h = 0; h < heads; h++) store(out + h * dim, sum[h] * inverse[h]);
}

static void NAME(mix)(const float *p, const float *v, float *out, const float *inverse, int heads, int dim, int stride,
                      int length, int from, int to) {
    for (int c = from; c < to; c += LANES) {
        int h = 0;
        for (; h + MIXED <= heads; h += MIXED)
            NAME(mix_heads)(p + (size_t)h * stride, v + c, out + h * dim + c, inverse + h, MIXED, dim, stride, length);
        for (; h < heads; h++)
            NAME(mix_heads)(p + (size_t)h * stride, v + c, out + h * dim + c, inverse + h, 1, dim, stride, length);
    }
}

static const row_ops NAME(ops) = {
    NAME(rmsnorm),          NAME(quantize), NAME(rmsnorm_q8), NAME(geglu),  NAME(add),     NAME(rope), NAME(dequantize),
    NAME(dequantize_geglu), NAME(sum),      NAME(pack),       NAME(scores), NAME(softmax), NAME(mix),
};
