/* The statement `buffer` of a plan. */
#include "plan_parser.h"

static int fill_bits(fill_kind fill) {
    return fill == FILL_I4 ? 4 : fill == FILL_I8 ? 8 : fill == FILL_F16 ? 16 : 32;
}

/* image=WIDTH,u16|u32 */
static bool parse_image(parser *p, plan_buffer *b, char *text) {
    int64_t width;
    const char *channel = text_cut(text, ',');
    if (!channel || (strcmp(channel, "u16") && strcmp(channel, "u32")) || !text_integer(text, 1, 1 << 20, &width))
        return parser_fail(p, "image is not WIDTH,u16 or WIDTH,u32");
    b->image_width = (uint32_t)width;
    b->texel_bytes = strcmp(channel, "u16") ? 16 : 8;
    return true;
}

static bool check_buffer(parser *p, plan_buffer *b) {
    if (b->texel_bytes && b->bytes % ((size_t)b->image_width * b->texel_bytes))
        return parser_fail(p, "buffer %s: %zu bytes are not rows of %u texels of %u bytes", b->name, b->bytes,
                           b->image_width, b->texel_bytes);
    if (b->texel_bytes && (!p->plan->backend || strcmp(p->plan->backend, "opencl")))
        return parser_fail(p, "buffer %s: only OpenCL has images", b->name);
    if (b->fill == FILL_ZERO) return true;
    if (b->fill == FILL_HEX) {
        size_t digits = b->hex ? strlen(b->hex) : 0;
        if (digits != 2 * b->bytes)
            return parser_fail(p, "buffer %s: %zu hex digits for %zu bytes", b->name, digits, b->bytes);
        for (const char *h = b->hex; *h; h++)
            if (!(*h >= '0' && *h <= '9') && !(*h >= 'a' && *h <= 'f') && !(*h >= 'A' && *h <= 'F'))
                return parser_fail(p, "buffer %s: data is not hexadecimal", b->name);
        return true;
    }
    if (!b->rows || !b->cols) return parser_fail(p, "buffer %s: this fill needs rows and cols", b->name);
    if (b->rows * b->cols * (uint64_t)fill_bits(b->fill) != 8 * (uint64_t)b->bytes)
        return parser_fail(p, "buffer %s: %llu x %llu elements of %d bits are not %zu bytes", b->name,
                           (unsigned long long)b->rows, (unsigned long long)b->cols, fill_bits(b->fill), b->bytes);
    if (b->first + b->rows * b->cols > UINT64_C(1) << 32)
        return parser_fail(p, "buffer %s: indices above 2^32", b->name);
    if (!b->tile_rows) {
        b->tile_rows = 1;
        b->tile_cols = b->cols;
    }
    if (b->rows % b->tile_rows || b->cols % b->tile_cols)
        return parser_fail(p, "buffer %s: tile %llu,%llu does not divide %llu x %llu", b->name,
                           (unsigned long long)b->tile_rows, (unsigned long long)b->tile_cols,
                           (unsigned long long)b->rows, (unsigned long long)b->cols);
    return true;
}

static bool parse_tile(parser *p, plan_buffer *b, char *text) {
    int64_t rows, cols;
    char *second = text_cut(text, ','), *third = second ? text_cut(second, ',') : NULL;
    if (!second || (third && strcmp(third, "t")) || !text_integer(text, 1, UINT32_MAX, &rows) ||
        !text_integer(second, 1, UINT32_MAX, &cols))
        return parser_fail(p, "tile is not R,C or R,C,t");
    b->tile_rows = (uint64_t)rows;
    b->tile_cols = (uint64_t)cols;
    b->transposed = third != NULL;
    return true;
}

static bool parse_fill(parser *p, plan_buffer *b, const char *text) {
    static const char *const names[] = {"zero", "hex", "i8", "i4", "f32", "f16"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (!strcmp(text, names[i])) {
            b->fill = (fill_kind)i;
            return true;
        }
    return parser_fail(p, "fill=%.40s is none of zero, hex, i8, i4, f32, f16", text);
}

bool parse_buffer(parser *p) {
    plan *plan = p->plan;
    if (!parser_grow(p, &plan->buffers, plan->buffer_count, &p->buffer_room, sizeof *plan->buffers, PLAN_MAX_BUFFERS,
                     "buffers"))
        return false;
    plan_buffer *b = &plan->buffers[plan->buffer_count];
    *b = (plan_buffer){0};
    if (!parser_name(p, "buffer", &b->name)) return false;
    if (plan_find_buffer(plan, b->name) >= 0) return parser_fail(p, "buffer %s is there already", b->name);
    bool has_fill = false;
    /* 2^40 keeps every product below 2^64; what a 32-bit process cannot address is refused with it. */
    int64_t most = sizeof(size_t) == 4 ? INT32_MAX : INT64_C(1) << 40, n = 0;
    for (char *word; (word = parser_word(p));) {
        char *value = text_cut(word, '=');
        bool ok;
        if (!value) return parser_fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "bytes")) {
            ok = parser_integer(p, word, value, 1, most, &n);
            b->bytes = (size_t)n;
        } else if (!strcmp(word, "fill")) {
            ok = has_fill = parse_fill(p, b, value);
        } else if (!strcmp(word, "seed")) {
            ok = parser_integer(p, word, value, 0, UINT32_MAX, &n);
            b->seed = (uint32_t)n;
        } else if (!strcmp(word, "rows")) {
            ok = parser_integer(p, word, value, 1, UINT32_MAX >> 4, &n);
            b->rows = (uint64_t)n;
        } else if (!strcmp(word, "cols")) {
            ok = parser_integer(p, word, value, 1, UINT32_MAX >> 4, &n);
            b->cols = (uint64_t)n;
        } else if (!strcmp(word, "first")) {
            ok = parser_integer(p, word, value, 0, UINT32_MAX, &n);
            b->first = (uint64_t)n;
        } else if (!strcmp(word, "lo")) {
            ok = parser_real(p, word, value, &b->lo);
        } else if (!strcmp(word, "hi")) {
            ok = parser_real(p, word, value, &b->hi);
        } else if (!strcmp(word, "tile")) {
            ok = parse_tile(p, b, value);
        } else if (!strcmp(word, "image")) {
            ok = parse_image(p, b, value);
        } else if (!strcmp(word, "stored")) {
            ok = parser_integer(p, word, value, 0, 1, &n);
            b->stored = n;
        } else if (!strcmp(word, "data")) {
            b->hex = value;
            ok = true;
        } else {
            ok = parser_fail(p, "a buffer has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    if (!b->bytes || !has_fill) return parser_fail(p, "buffer %s: bytes and fill are needed", b->name);
    if (!check_buffer(p, b)) return false;
    plan->buffer_count++;
    return true;
}
