#include "plan_parser.h"

bool parser_fail(parser *p, const char *format, ...) {
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

char *parser_word(parser *p) {
    char *start = p->line;
    while (is_blank(*start)) start++;
    if (!*start) return NULL;
    char *end = start;
    while (*end && !is_blank(*end)) end++;
    p->line = *end ? end + 1 : end;
    *end = 0;
    return start;
}

char *text_cut(char *word, char separator) {
    char *found = strchr(word, separator);
    if (!found) return NULL;
    *found = 0;
    return found + 1;
}

bool text_is_name(const char *s) {
    size_t length = strlen(s);
    if (length < 1 || length > 48) return false;
    for (; *s; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (!letter && !(*s >= '0' && *s <= '9') && !strchr("_.-", *s)) return false;
    }
    return true;
}

bool text_integer(const char *s, int64_t low, int64_t high, int64_t *value) {
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

bool parser_integer(parser *p, const char *key, const char *text, int64_t low, int64_t high, int64_t *value) {
    if (text_integer(text, low, high, value)) return true;
    return parser_fail(p, "%s=%.40s is not an integer in %lld..%lld", key, text, (long long)low, (long long)high);
}

bool parser_real(parser *p, const char *key, const char *text, double *value) {
    return parse_real(text, value) || parser_fail(p, "%s=%.40s is not a finite decimal number", key, text);
}

bool parser_grow(parser *p, void *array, int count, int *room, size_t size, int limit, const char *what) {
    if (count >= limit) return parser_fail(p, "more than %d %s", limit, what);
    if (count < *room) return true;
    int wanted = *room ? 2 * *room : 16;
    void *old;
    memcpy(&old, array, sizeof old); /* `array` points to a pointer to any type */
    void *grown = realloc(old, (size_t)wanted * size);
    if (!grown) return parser_fail(p, "no memory for %d %s", wanted, what);
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    return true;
}

int plan_find_buffer(const plan *plan, const char *name) {
    for (int i = 0; i < plan->buffer_count; i++)
        if (!strcmp(plan->buffers[i].name, name)) return i;
    return -1;
}

bool parser_name(parser *p, const char *what, const char **name) {
    const char *word = parser_word(p);
    if (!word) return parser_fail(p, "%s without a name", what);
    if (!text_is_name(word)) return parser_fail(p, "%s name \"%.60s\" does not match [A-Za-z0-9_.-]{1,48}", what, word);
    *name = word;
    return true;
}
