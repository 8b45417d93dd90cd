#include "json.h"

static void append(json *j, const char *text, size_t size) {
    if (j->failed) return;
    if (size > j->capacity - j->size) {
        size_t capacity = 2 * j->capacity + size + 256;
        char *grown = capacity > j->capacity ? realloc(j->text, capacity) : NULL;
        if (!grown) {
            j->failed = true;
            return;
        }
        j->text = grown;
        j->capacity = capacity;
    }
    memcpy(j->text + j->size, text, size);
    j->size += size;
}

static void append_text(json *j, const char *text) {
    append(j, text, strlen(text));
}

/* Length of the UTF-8 sequence at `s`, or 0 where there is none (overlong, surrogate, cut). */
static size_t utf8_length(const unsigned char *s, size_t left) {
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (length == 4 && (s[0] < 0xf0 || s[0] > 0xf4)) return 0;
    if (length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] >= 0xa0) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] >= 0x90) return 0;
    return length;
}

static void append_quoted(json *j, const char *value, size_t size) {
    const unsigned char *s = (const unsigned char *)value;
    append(j, "\"", 1);
    for (size_t i = 0; i < size;) {
        char escape[8];
        size_t length = utf8_length(s + i, size - i);
        if (!length) {
            append_text(j, "\\ufffd");
            i++;
        } else if (length > 1) {
            append(j, value + i, length);
            i += length;
        } else if (s[i] < 0x20 || s[i] == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)s[i++]);
            append_text(j, escape);
        } else {
            if (s[i] == '"' || s[i] == '\\') append(j, "\\", 1);
            append(j, value + i++, 1);
        }
    }
    append(j, "\"", 1);
}

static void begin(json *j, const char *key) {
    if (j->comma) append(j, ", ", 2);
    j->comma = true;
    if (!key) return;
    append_quoted(j, key, strlen(key));
    append(j, ": ", 2);
}

void json_free(json *j) {
    free(j->text);
    *j = (json){0};
}

void json_open(json *j, const char *key, char bracket) {
    begin(j, key);
    append(j, &bracket, 1);
    j->comma = false;
}

void json_close(json *j, char bracket) {
    append(j, &bracket, 1);
    j->comma = true;
}

void json_raw(json *j, const char *key, const char *value, size_t size) {
    begin(j, key);
    append(j, value, size);
}

void json_chars(json *j, const char *key, const char *value, size_t size) {
    begin(j, key);
    append_quoted(j, value, size);
}

void json_string(json *j, const char *key, const char *value) {
    if (value)
        json_chars(j, key, value, strlen(value));
    else
        json_raw(j, key, "null", 4);
}

void json_format(json *j, const char *key, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_string(j, key, text);
}

static __attribute__((format(printf, 3, 4))) void number(json *j, const char *key, const char *format, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_raw(j, key, text, strlen(text));
}

void json_int(json *j, const char *key, int64_t value) {
    number(j, key, "%lld", (long long)value);
}

void json_uint(json *j, const char *key, uint64_t value) {
    number(j, key, "%llu", (unsigned long long)value);
}

void json_bool(json *j, const char *key, bool value) {
    json_raw(j, key, value ? "true" : "false", value ? 4 : 5);
}

void json_seconds(json *j, const char *key, int64_t nanoseconds) {
    number(j, key, "%lld.%09lld", (long long)(nanoseconds / 1000000000), (long long)(nanoseconds % 1000000000));
}

void json_double(json *j, const char *key, double value) {
    if (isfinite(value))
        number(j, key, "%.9g", value);
    else
        json_raw(j, key, "null", 4);
}
