#include "fill.h"

enum { MAX_THREADS = 16, BYTES_PER_THREAD = 256 << 10 };

static uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= UINT32_C(0x21f0aaad);
    x ^= x >> 15;
    x *= UINT32_C(0xd35a2d97);
    x ^= x >> 15;
    return x;
}

/* Four int8 in a word: each byte that is 0x80 (-128) becomes 0. */
static uint32_t clear_minus_128(uint32_t word) {
    uint32_t t = word ^ UINT32_C(0x80808080);
    uint32_t zero_bytes = ~(((t & UINT32_C(0x7f7f7f7f)) + UINT32_C(0x7f7f7f7f)) | t) & UINT32_C(0x80808080);
    return word ^ zero_bytes;
}

static float real_value(uint32_t word, double lo, double hi) {
    double u = (double)(word >> 8) * 0x1p-24;
    return (float)(lo + (hi - lo) * u);
}

/* float to IEEE half, to nearest even. */
static uint16_t half_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 2^16 or more: infinity */
    if (magnitude >= 0x38800000) {                                 /* 2^-14: normal */
        uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
        return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
    }
    if (magnitude <= 0x33000000) return (uint16_t)sign; /* 2^-25 is halfway to the least subnormal and ties to 0 */
    uint32_t shift = 126 - (magnitude >> 23), mantissa = (magnitude & 0x7fffff) | 0x800000;
    uint32_t result = mantissa >> shift, rest = mantissa & ((UINT32_C(1) << shift) - 1),
             half = UINT32_C(1) << (shift - 1);
    return (uint16_t)(sign | (result + (rest > half || (rest == half && (result & 1)))));
}

/* Where the next element goes. `out` is the start of the range, `at` the element within it. */
typedef struct sink {
    const plan_buffer *buffer;
    uint32_t seed; /* mixed */
    void *out;
    size_t at;
} sink;

/* One element of any fill: the path of what is not a whole word. */
static void put(sink *s, uint32_t index) {
    const plan_buffer *b = s->buffer;
    size_t at = s->at++;
    if (b->fill == FILL_I8) {
        uint32_t word = clear_minus_128(mix(s->seed + index / 4));
        ((uint8_t *)s->out)[at] = (uint8_t)(word >> 8 * (index % 4));
    } else if (b->fill == FILL_I4) {
        uint8_t nibble = mix(s->seed + index / 8) >> 4 * (index % 8) & 15, *byte = (uint8_t *)s->out + at / 2;
        *byte = at % 2 ? (uint8_t)((*byte & 15) | nibble << 4) : nibble;
    } else {
        float value = real_value(mix(s->seed + index), b->lo, b->hi);
        if (b->fill == FILL_F32)
            ((float *)s->out)[at] = value;
        else
            ((uint16_t *)s->out)[at] = half_bits(value);
    }
}

/* `count` elements of consecutive logical indices, which are also stored one after another. */
static void put_run(sink *s, uint32_t index, size_t count) {
    const plan_buffer *b = s->buffer;
    uint32_t per_word = b->fill == FILL_I8 ? 4 : b->fill == FILL_I4 ? 8 : 1;
    for (; count && index % per_word; count--) put(s, index++);
    size_t words = count / per_word;
    uint32_t first = s->seed + index / per_word;
    uint8_t *out = (uint8_t *)s->out;
    if (b->fill == FILL_I8) {
        out += s->at;
        for (size_t i = 0; i < words; i++) {
            uint32_t word = clear_minus_128(mix(first + (uint32_t)i));
            memcpy(out + 4 * i, &word, 4);
        }
    } else if (b->fill == FILL_I4 && s->at % 2 == 0) {
        out += s->at / 2;
        for (size_t i = 0; i < words; i++) {
            uint32_t word = mix(first + (uint32_t)i);
            memcpy(out + 4 * i, &word, 4);
        }
    } else if (b->fill == FILL_F32) {
        float *floats = (float *)s->out + s->at;
        double lo = b->lo, span = b->hi - b->lo;
        for (size_t i = 0; i < words; i++)
            floats[i] = (float)(lo + span * ((double)(mix(first + (uint32_t)i) >> 8) * 0x1p-24));
    } else {
        words = 0;
    }
    s->at += words * per_word;
    index += (uint32_t)(words * per_word);
    for (count -= words * per_word; count; count--) put(s, index++);
}

/* Elements begin .. end-1 in the order of storage: blocks of tile_rows x tile_cols, row blocks outermost. */
static void put_range(sink *s, uint64_t begin, uint64_t end) {
    const plan_buffer *b = s->buffer;
    uint64_t area = b->tile_rows * b->tile_cols, across = b->cols / b->tile_cols;
    uint64_t block = begin / area, within = begin % area;
    for (uint64_t at = begin; at < end; block++, within = 0) {
        uint64_t origin = b->first + block / across * b->tile_rows * b->cols + block % across * b->tile_cols;
        if (b->transposed) {
            uint64_t column = within / b->tile_rows, row = within % b->tile_rows;
            for (; within < area && at < end; within++, at++) {
                put(s, (uint32_t)(origin + row * b->cols + column));
                if (++row == b->tile_rows) {
                    row = 0;
                    column++;
                }
            }
        } else {
            uint64_t row = within / b->tile_cols, column = within % b->tile_cols;
            for (; row < b->tile_rows && at < end; row++, column = 0) {
                uint64_t run = b->tile_cols - column;
                if (run > end - at) run = end - at;
                put_run(s, (uint32_t)(origin + row * b->cols + column), (size_t)run);
                at += run;
            }
        }
    }
}

static uint8_t hex_digit(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* A thread's share. */
typedef struct part {
    const plan_buffer *buffer;
    size_t offset, size;
    uint8_t *out;
} part;

static void *fill_part(void *argument) {
    const part *p = argument;
    const plan_buffer *b = p->buffer;
    if (b->fill == FILL_ZERO) {
        memset(p->out, 0, p->size);
    } else if (b->fill == FILL_HEX) {
        const char *hex = b->hex + 2 * p->offset;
        for (size_t i = 0; i < p->size; i++, hex += 2)
            p->out[i] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
    } else {
        uint64_t bits = b->fill == FILL_I8 ? 8 : b->fill == FILL_I4 ? 4 : b->fill == FILL_F16 ? 16 : 32;
        sink s = {b, mix(b->seed), p->out, 0};
        put_range(&s, 8 * (uint64_t)p->offset / bits, 8 * ((uint64_t)p->offset + p->size) / bits);
    }
    return NULL;
}

void fill_write(const plan_buffer *b, size_t offset, size_t size, void *out) {
    pthread_t threads[MAX_THREADS];
    part parts[MAX_THREADS];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = cpus < 1 ? 1 : cpus > MAX_THREADS ? MAX_THREADS : (size_t)cpus;
    if (count > size / BYTES_PER_THREAD + 1) count = size / BYTES_PER_THREAD + 1;
    size_t share = (size / count + 63) / 64 * 64, begin = 0;
    bool started[MAX_THREADS];
    for (size_t i = 0; i < count; i++) {
        size_t length = i + 1 == count || share > size - begin ? size - begin : share;
        parts[i] = (part){b, offset + begin, length, (uint8_t *)out + begin};
        begin += length;
        started[i] = i + 1 < count && pthread_create(&threads[i], NULL, fill_part, &parts[i]) == 0;
        if (!started[i]) fill_part(&parts[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (started[i]) pthread_join(threads[i], NULL);
}
