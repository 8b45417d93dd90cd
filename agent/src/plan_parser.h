/* Inside the plan's parser: its state, and what the statements have in common. Each function that returns bool has
 * written an error when it returns false. */
#ifndef GEMMAFIT_PLAN_PARSER_H
#define GEMMAFIT_PLAN_PARSER_H

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

__attribute__((format(printf, 2, 3))) bool parser_fail(parser *p, const char *format, ...);

/* Cuts the next word off the line; NULL at its end. */
char *parser_word(parser *p);

/* Cuts `word` at the first `separator`; returns what follows, or NULL. */
char *text_cut(char *word, char separator);
bool text_is_name(const char *text);
bool text_integer(const char *text, int64_t low, int64_t high, int64_t *value);

/* The value of `key` as a number. */
bool parser_integer(parser *p, const char *key, const char *text, int64_t low, int64_t high, int64_t *value);
bool parser_real(parser *p, const char *key, const char *text, double *value);

/* The next word as the name of a new thing. */
bool parser_name(parser *p, const char *what, const char **name);

/* Makes room for one more element in `*array`, of which there are `count`. */
bool parser_grow(parser *p, void *array, int count, int *room, size_t size, int limit, const char *what);

int plan_find_buffer(const plan *plan, const char *name);

/* The statement `buffer`. */
bool parse_buffer(parser *p);

#endif
