/* JSON text, written in order into memory that grows. A failed allocation makes the writer `failed` and every later
 * call does nothing, so that only the end has to check. */
#ifndef GEMMAFIT_JSON_H
#define GEMMAFIT_JSON_H

#include "platform.h"

typedef struct json {
    char *text;
    size_t size, capacity;
    bool failed, comma;
} json;

void json_free(json *j);

/* `key` is NULL inside an array. `bracket` is '{' or '['; close with '}' or ']'. */
void json_open(json *j, const char *key, char bracket);
void json_close(json *j, char bracket);

/* NULL writes null. Bytes that are not UTF-8 become U+FFFD, control characters \u00XX. */
void json_string(json *j, const char *key, const char *value);
void json_chars(json *j, const char *key, const char *value, size_t size);
__attribute__((format(printf, 3, 4))) void json_format(json *j, const char *key, const char *format, ...);
void json_int(json *j, const char *key, int64_t value);
void json_uint(json *j, const char *key, uint64_t value);
void json_bool(json *j, const char *key, bool value);
void json_seconds(json *j, const char *key, int64_t nanoseconds);
/* Finite numbers; others become null. */
void json_double(json *j, const char *key, double value);
/* Text that is JSON already. */
void json_raw(json *j, const char *key, const char *value, size_t size);

#endif
