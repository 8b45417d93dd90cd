#include "plan.h"

/* The parser's place in the text and its first error. Words are cut out of the line in place. */
typedef struct parser {
    plan *plan;
    char *line; /* what is left of the current line */
    int number;
    bool in_step, has_header;
    char *error;
    size_t error_size;
    int option_room, buffer_room, kernel_room, step_room, dispatch_room;
} parser;

static bool __attribute__((format(printf, 2, 3))) fail(parser *p, const char *format, ...) {
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(p->error, p->error_size, "line %d: %s", p->number, what);
    return false;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Cuts the next word off the line; NULL at its end. */
static char *next_word(parser *p) {
    char *start = p->line;
    while (is_blank(*start)) start++;
    if (!*start) return NULL;
    char *end = start;
    while (*end && !is_blank(*end)) end++;
    p->line = *end ? end + 1 : end;
    *end = 0;
    return start;
}

/* Cuts `word` at the first `separator`; returns what follows, or NULL. */
static char *cut(char *word, char separator) {
    char *found = strchr(word, separator);
    if (!found) return NULL;
    *found = 0;
    return found + 1;
}

static bool is_name(const char *s) {
    size_t length = strlen(s);
    if (length < 1 || length > 48) return false;
    for (; *s; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (!letter && !(*s >= '0' && *s <= '9') && !strchr("_.-", *s)) return false;
    }
    return true;
}

static bool parse_integer(const char *s, int64_t low, int64_t high, int64_t *value) {
    bool negative = *s == '-';
    uint64_t magnitude = 0;
    s += negative;
    if (!*s || strlen(s) > 18) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        magnitude = 10 * magnitude + (uint64_t)(*s - '0');
    }
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return *value >= low && *value <= high;
}

/* A decimal number as Python's repr() writes it; strtod alone would take hexadecimal, inf and nan. */
static bool parse_real(const char *s, double *value) {
    char *end;
    size_t length = strlen(s);
    for (size_t i = 0; i < length; i++)
        if (!(s[i] >= '0' && s[i] <= '9') && !strchr("+-.eE", s[i])) return false;
    *value = strtod(s, &end);
    return length && length < 64 && end == s + length && isfinite(*value);
}

static bool number(parser *p, const char *key, const char *text, int64_t low, int64_t high, int64_t *value) {
    if (parse_integer(text, low, high, value)) return true;
    return fail(p, "%s=%.40s is not an integer in %lld..%lld", key, text, (long long)low, (long long)high);
}

static bool real(parser *p, const char *key, const char *text, double *value) {
    return parse_real(text, value) || fail(p, "%s=%.40s is not a finite decimal number", key, text);
}

/* Makes room for one more element; the old and the new count are kept by the caller. */
static bool grow(parser *p, void *array, int count, int *room, size_t size, int limit, const char *what) {
    if (count >= limit) return fail(p, "more than %d %s", limit, what);
    if (count < *room) return true;
    int wanted = *room ? 2 * *room : 16;
    void *grown = realloc(*(void **)array, (size_t)wanted * size);
    if (!grown) return fail(p, "no memory for %d %s", wanted, what);
    *(void **)array = grown;
    *room = wanted;
    return true;
}

static int find_buffer(const plan *plan, const char *name) {
    for (int i = 0; i < plan->buffer_count; i++)
        if (!strcmp(plan->buffers[i].name, name)) return i;
    return -1;
}

static int find_kernel(const plan *plan, const char *name) {
    for (int i = 0; i < plan->kernel_count; i++)
        if (!strcmp(plan->kernels[i].name, name)) return i;
    return -1;
}

static bool new_name(parser *p, const char *what, const char **name) {
    const char *word = next_word(p);
    if (!word) return fail(p, "%s without a name", what);
    if (!is_name(word)) return fail(p, "%s name \"%.60s\" does not match [A-Za-z0-9_.-]{1,48}", what, word);
    *name = word;
    return true;
}

static int fill_bits(fill_kind fill) {
    return fill == FILL_I4 ? 4 : fill == FILL_I8 ? 8 : fill == FILL_F16 ? 16 : 32;
}

static bool check_buffer(parser *p, plan_buffer *b) {
    if (b->fill == FILL_ZERO) return true;
    if (b->fill == FILL_HEX) {
        size_t digits = b->hex ? strlen(b->hex) : 0;
        if (digits != 2 * b->bytes) return fail(p, "buffer %s: %zu hex digits for %zu bytes", b->name, digits, b->bytes);
        for (const char *h = b->hex; *h; h++)
            if (!(*h >= '0' && *h <= '9') && !(*h >= 'a' && *h <= 'f') && !(*h >= 'A' && *h <= 'F'))
                return fail(p, "buffer %s: data is not hexadecimal", b->name);
        return true;
    }
    if (!b->rows || !b->cols) return fail(p, "buffer %s: this fill needs rows and cols", b->name);
    if (b->rows * b->cols * (uint64_t)fill_bits(b->fill) != 8 * (uint64_t)b->bytes)
        return fail(p, "buffer %s: %llu x %llu elements of %d bits are not %zu bytes", b->name,
                    (unsigned long long)b->rows, (unsigned long long)b->cols, fill_bits(b->fill), b->bytes);
    if (b->first + b->rows * b->cols > UINT64_C(1) << 32) return fail(p, "buffer %s: indices above 2^32", b->name);
    if (!b->tile_rows) {
        b->tile_rows = 1;
        b->tile_cols = b->cols;
    }
    if (b->rows % b->tile_rows || b->cols % b->tile_cols)
        return fail(p, "buffer %s: tile %llu,%llu does not divide %llu x %llu", b->name,
                    (unsigned long long)b->tile_rows, (unsigned long long)b->tile_cols, (unsigned long long)b->rows,
                    (unsigned long long)b->cols);
    return true;
}

static bool parse_tile(parser *p, plan_buffer *b, char *text) {
    int64_t rows, cols;
    char *second = cut(text, ','), *third = second ? cut(second, ',') : NULL;
    if (!second || (third && strcmp(third, "t")) || !parse_integer(text, 1, UINT32_MAX, &rows) ||
        !parse_integer(second, 1, UINT32_MAX, &cols))
        return fail(p, "tile is not R,C or R,C,t");
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
    return fail(p, "fill=%.40s is none of zero, hex, i8, i4, f32, f16", text);
}

static bool parse_buffer(parser *p) {
    plan *plan = p->plan;
    if (!grow(p, &plan->buffers, plan->buffer_count, &p->buffer_room, sizeof *plan->buffers, PLAN_MAX_BUFFERS, "buffers"))
        return false;
    plan_buffer *b = &plan->buffers[plan->buffer_count];
    *b = (plan_buffer){0};
    if (!new_name(p, "buffer", &b->name)) return false;
    if (find_buffer(plan, b->name) >= 0) return fail(p, "buffer %s is there already", b->name);
    bool has_fill = false;
    /* 2^40 keeps every product below 2^64; what a 32-bit process cannot address is refused with it. */
    int64_t most = sizeof(size_t) == 4 ? INT32_MAX : INT64_C(1) << 40, n = 0;
    for (char *word; (word = next_word(p));) {
        char *value = cut(word, '=');
        bool ok;
        if (!value) return fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "bytes")) {
            ok = number(p, word, value, 1, most, &n);
            b->bytes = (size_t)n;
        } else if (!strcmp(word, "fill")) {
            ok = has_fill = parse_fill(p, b, value);
        } else if (!strcmp(word, "seed")) {
            ok = number(p, word, value, 0, UINT32_MAX, &n);
            b->seed = (uint32_t)n;
        } else if (!strcmp(word, "rows")) {
            ok = number(p, word, value, 1, UINT32_MAX >> 4, &n);
            b->rows = (uint64_t)n;
        } else if (!strcmp(word, "cols")) {
            ok = number(p, word, value, 1, UINT32_MAX >> 4, &n);
            b->cols = (uint64_t)n;
        } else if (!strcmp(word, "first")) {
            ok = number(p, word, value, 0, UINT32_MAX, &n);
            b->first = (uint64_t)n;
        } else if (!strcmp(word, "lo")) {
            ok = real(p, word, value, &b->lo);
        } else if (!strcmp(word, "hi")) {
            ok = real(p, word, value, &b->hi);
        } else if (!strcmp(word, "tile")) {
            ok = parse_tile(p, b, value);
        } else if (!strcmp(word, "data")) {
            b->hex = value;
            ok = true;
        } else {
            ok = fail(p, "a buffer has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    if (!b->bytes || !has_fill) return fail(p, "buffer %s: bytes and fill are needed", b->name);
    if (!check_buffer(p, b)) return false;
    plan->buffer_count++;
    return true;
}

static bool parse_spec(parser *p, plan_kernel *k, char *text) {
    int64_t id, integer;
    char *value = cut(text, ':');
    if (k->spec_count == PLAN_MAX_OPTIONS) return fail(p, "more than %d specialisation constants", PLAN_MAX_OPTIONS);
    plan_spec *s = &k->spec[k->spec_count];
    if (!value || !parse_integer(text, 0, UINT32_MAX, &id)) return fail(p, "spec is not ID:VALUE");
    if (value[0] == 'f') {
        double wide;
        if (!real(p, "spec", value + 1, &wide)) return false;
        float narrow = (float)wide;
        memcpy(&s->value, &narrow, sizeof narrow);
    } else {
        if (!number(p, "spec", value, INT32_MIN, UINT32_MAX, &integer)) return false;
        s->value = (uint32_t)integer;
    }
    s->id = (uint32_t)id;
    for (int i = 0; i < k->spec_count; i++)
        if (k->spec[i].id == s->id) return fail(p, "specialisation constant %u is set twice", s->id);
    k->spec_count++;
    return true;
}

static bool name_value(parser *p, const char *key, const char *value, const char **out) {
    *out = value;
    return is_name(value) || fail(p, "%s=%.60s does not match [A-Za-z0-9_.-]{1,48}", key, value);
}

static bool parse_kernel(parser *p) {
    plan *plan = p->plan;
    if (!grow(p, &plan->kernels, plan->kernel_count, &p->kernel_room, sizeof *plan->kernels, PLAN_MAX_KERNELS, "kernels"))
        return false;
    plan_kernel *k = &plan->kernels[plan->kernel_count];
    *k = (plan_kernel){.entry = "main", .isa = "auto"};
    if (!new_name(p, "kernel", &k->name)) return false;
    if (find_kernel(plan, k->name) >= 0) return fail(p, "kernel %s is there already", k->name);
    int64_t n = 0;
    for (char *word; (word = next_word(p));) {
        char *value = cut(word, '=');
        bool ok = true;
        if (!value) return fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "file")) {
            ok = name_value(p, word, value, &k->file);
            /* A plain name in the current directory; no slash is a name's character already. */
            if (ok && value[0] == '.') ok = fail(p, "file=%s is not a plain file name", value);
        } else if (!strcmp(word, "entry")) {
            ok = name_value(p, word, value, &k->entry);
        } else if (!strcmp(word, "routine")) {
            ok = name_value(p, word, value, &k->routine);
        } else if (!strcmp(word, "isa")) {
            ok = name_value(p, word, value, &k->isa);
        } else if (!strcmp(word, "opt")) {
            if (k->option_count == PLAN_MAX_OPTIONS) return fail(p, "more than %d build options", PLAN_MAX_OPTIONS);
            k->options[k->option_count++] = value;
        } else if (!strcmp(word, "spec")) {
            ok = parse_spec(p, k, value);
        } else if (!strcmp(word, "bindings")) {
            ok = number(p, word, value, 0, PLAN_MAX_ARGS, &n);
            k->bindings = (uint32_t)n;
        } else if (!strcmp(word, "push")) {
            ok = number(p, word, value, 0, 4 * PLAN_MAX_ARGS, &n);
            k->push = (uint32_t)n;
        } else if (!strcmp(word, "subgroup")) {
            ok = number(p, word, value, 0, 1024, &n);
            k->subgroup = (uint32_t)n;
        } else {
            ok = fail(p, "a kernel has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    if (!k->file == !k->routine) return fail(p, "kernel %s: either file or routine is needed", k->name);
    plan->kernel_count++;
    return true;
}

static bool parse_step(parser *p) {
    plan *plan = p->plan;
    if (p->in_step) return fail(p, "step within a step: \"end\" is missing");
    if (!grow(p, &plan->steps, plan->step_count, &p->step_room, sizeof *plan->steps, PLAN_MAX_STEPS, "steps")) return false;
    plan_step *s = &plan->steps[plan->step_count];
    *s = (plan_step){.warmup = 1, .repeat_min = 3, .repeat_max = 20, .budget_ns = INT64_C(1500000000)};
    s->first_dispatch = plan->dispatch_count;
    if (!new_name(p, "step", &s->name)) return false;
    for (int i = 0; i < plan->step_count; i++)
        if (!strcmp(plan->steps[i].name, s->name)) return fail(p, "step %s is there already", s->name);
    int64_t n = 0, low = 0, high = 0;
    for (char *word; (word = next_word(p));) {
        char *value = cut(word, '=');
        bool ok;
        if (!value) return fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "warmup")) {
            ok = number(p, word, value, 0, PLAN_MAX_REPEATS, &n);
            s->warmup = (int)n;
        } else if (!strcmp(word, "budget_ms")) {
            ok = number(p, word, value, 0, 3600000, &n);
            s->budget_ns = n * 1000000;
        } else if (!strcmp(word, "repeat")) {
            char *dots = strstr(value, "..");
            if (dots) *dots = 0;
            ok = number(p, word, value, 0, PLAN_MAX_REPEATS, &low) &&
                 number(p, word, dots ? dots + 2 : value, low ? low : 1, PLAN_MAX_REPEATS, &high);
            s->repeat_min = (int)low;
            s->repeat_max = (int)high;
        } else {
            ok = fail(p, "a step has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    p->in_step = true;
    return true;
}

static bool parse_sizes(parser *p, const char *key, char *text, uint32_t sizes[3], int *count) {
    *count = 0;
    while (text) {
        char *rest = cut(text, ',');
        int64_t n;
        if (*count == 3) return fail(p, "%s has more than 3 dimensions", key);
        if (!number(p, key, text, 1, UINT32_MAX, &n)) return false;
        sizes[(*count)++] = (uint32_t)n;
        text = rest;
    }
    return true;
}

static bool parse_arg(parser *p, plan_arg *a, char *text) {
    char *value = cut(text, ':');
    int64_t n = 0;
    double wide = 0;
    if (!value || !text[0] || text[1]) return fail(p, "argument \"%.40s\" is not KIND:VALUE", text);
    a->kind = text[0];
    switch (a->kind) {
    case 'B':
        n = find_buffer(p->plan, value);
        if (n < 0) return fail(p, "there is no buffer \"%.48s\"", value);
        break;
    case 'I':
        if (!number(p, "I", value, INT32_MIN, INT32_MAX, &n)) return false;
        break;
    case 'U':
        if (!number(p, "U", value, 0, UINT32_MAX, &n)) return false;
        break;
    case 'L':
        if (!number(p, "L", value, 1, 16 << 20, &n)) return false;
        break;
    case 'F':
        if (!real(p, "F", value, &wide)) return false;
        a->f = (float)wide;
        memcpy(&a->u, &a->f, sizeof a->f);
        return true;
    default:
        return fail(p, "argument kind \"%c\" is none of B, I, U, F, L", a->kind);
    }
    a->u = (uint32_t)n;
    return true;
}

static bool parse_run(parser *p) {
    plan *plan = p->plan;
    if (!p->in_step) return fail(p, "run outside a step");
    if (!grow(p, &plan->dispatches, plan->dispatch_count, &p->dispatch_room, sizeof *plan->dispatches,
              PLAN_MAX_DISPATCHES, "dispatches"))
        return false;
    plan_dispatch *d = &plan->dispatches[plan->dispatch_count];
    *d = (plan_dispatch){0};
    const char *name;
    if (!new_name(p, "run", &name)) return false;
    d->kernel = find_kernel(plan, name);
    if (d->kernel < 0) return fail(p, "there is no kernel \"%s\"", name);
    for (char *word; (word = next_word(p));) {
        char *value = cut(word, '=');
        if (!value) return fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "global")) {
            if (!parse_sizes(p, word, value, d->global, &d->global_count)) return false;
        } else if (!strcmp(word, "local")) {
            if (!parse_sizes(p, word, value, d->local, &d->local_count)) return false;
        } else if (!strcmp(word, "args")) {
            for (char *next = *value ? value : NULL; next;) {
                char *rest = cut(next, ',');
                if (d->arg_count == PLAN_MAX_ARGS) return fail(p, "more than %d arguments", PLAN_MAX_ARGS);
                if (!parse_arg(p, &d->args[d->arg_count], next)) return false;
                d->arg_count++;
                next = rest;
            }
        } else {
            return fail(p, "a run has no \"%.40s\"", word);
        }
    }
    if (d->local_count && d->local_count != d->global_count) return fail(p, "global and local differ in dimensions");
    plan->dispatch_count++;
    return true;
}

static bool parse_return(parser *p) {
    if (!p->in_step) return fail(p, "return outside a step");
    plan_step *s = &p->plan->steps[p->plan->step_count];
    const char *name;
    if (!new_name(p, "return", &name)) return false;
    int buffer = find_buffer(p->plan, name);
    if (buffer < 0) return fail(p, "there is no buffer \"%s\"", name);
    if (s->return_count == PLAN_MAX_RETURNS) return fail(p, "more than %d returns", PLAN_MAX_RETURNS);
    s->returns[s->return_count++] = buffer;
    return true;
}

static bool parse_end(parser *p) {
    if (!p->in_step) return fail(p, "end outside a step");
    plan_step *s = &p->plan->steps[p->plan->step_count++];
    s->dispatch_count = p->plan->dispatch_count - s->first_dispatch;
    p->in_step = false;
    return s->dispatch_count > 0 || fail(p, "step %s runs nothing", s->name);
}

static bool parse_option(parser *p) {
    plan *plan = p->plan;
    if (!grow(p, &plan->options, plan->option_count, &p->option_room, sizeof *plan->options, PLAN_MAX_OPTIONS, "options"))
        return false;
    char *key = next_word(p), *value = key ? cut(key, '=') : NULL;
    if (!value || !is_name(key)) return fail(p, "option is not KEY=VALUE");
    if (plan_option_value(plan, key)) return fail(p, "option %s is there already", key);
    plan->options[plan->option_count++] = (plan_option){key, value};
    return true;
}

static bool parse_backend(parser *p) {
    char *name = next_word(p);
    if (p->plan->backend) return fail(p, "a second backend");
    if (!name || (strcmp(name, "cpu") && strcmp(name, "opencl") && strcmp(name, "vulkan")))
        return fail(p, "backend is none of cpu, opencl, vulkan");
    p->plan->backend = name;
    return true;
}

static bool parse_header(parser *p) {
    char *number = next_word(p);
    if (p->has_header) return fail(p, "a second gemmafit-plan line");
    if (!number || strcmp(number, "1")) return fail(p, "plan version \"%.20s\" is not 1", number ? number : "");
    return p->has_header = true;
}

static bool parse_statement(parser *p) {
    static const struct {
        const char *word;
        bool (*parse)(parser *);
        bool open_ended; /* reads the whole line itself */
    } statements[] = {
        {"buffer", parse_buffer, true}, {"kernel", parse_kernel, true}, {"run", parse_run, true},
        {"step", parse_step, true},     {"return", parse_return, false}, {"end", parse_end, false},
        {"option", parse_option, false}, {"backend", parse_backend, false}, {"gemmafit-plan", parse_header, false},
    };
    char *word = next_word(p);
    if (!word) return true;
    if (!p->has_header && strcmp(word, "gemmafit-plan")) return fail(p, "a plan begins with \"gemmafit-plan 1\"");
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++) {
        if (strcmp(word, statements[i].word)) continue;
        if (!statements[i].parse(p)) return false;
        const char *rest = statements[i].open_ended ? NULL : next_word(p);
        return !rest || fail(p, "\"%.40s\" follows the end of the statement", rest);
    }
    return fail(p, "unknown word \"%.40s\"", word);
}

bool plan_parse(plan *plan, char *text, size_t size, char *error, size_t error_size) {
    parser p = {.plan = plan, .error = error, .error_size = error_size};
    *plan = (struct plan){.text = text};
    if (strlen(text) != size) {
        p.number = 1;
        for (const char *c = text; *c; c++) p.number += *c == '\n';
        return fail(&p, "the file holds a NUL byte");
    }
    for (char *line = text; line;) {
        char *next = cut(line, '\n');
        p.number++;
        cut(line, '#');
        p.line = line;
        if (!parse_statement(&p)) return false;
        line = next;
    }
    if (p.in_step) return fail(&p, "the last step has no \"end\"");
    if (!plan->backend) return fail(&p, "no backend line");
    return true;
}

void plan_free(plan *plan) {
    free(plan->options);
    free(plan->buffers);
    free(plan->kernels);
    free(plan->steps);
    free(plan->dispatches);
    free(plan->text);
    *plan = (struct plan){0};
}

const char *plan_option_value(const plan *plan, const char *key) {
    for (int i = 0; i < plan->option_count; i++)
        if (!strcmp(plan->options[i].key, key)) return plan->options[i].value;
    return NULL;
}

int plan_option_number(const plan *plan, const char *key, int limit) {
    const char *text = plan_option_value(plan, key);
    int64_t value;
    if (!text) return -1;
    return parse_integer(text, 0, limit, &value) ? (int)value : -2;
}

uint64_t plan_bytes(const plan *plan) {
    uint64_t bytes = 0;
    for (int i = 0; i < plan->buffer_count; i++) bytes += plan->buffers[i].bytes;
    return bytes;
}
