/* The result files of a plan, NAME.json and NAME.bin (docs/plan-format.md), written again after every step. */
#ifndef GEMMAFIT_RESULT_H
#define GEMMAFIT_RESULT_H

#include "contention.h"
#include "executor.h"

typedef struct build_row {
    status status;
    bool kept; /* taken from an earlier process */
    int64_t ns;
    char *log; /* or NULL */
} build_row;

typedef struct step_row {
    status status;
    fault reason; /* empty: none */
    int sample_count, device_count;
    int64_t *samples, *device; /* sample_count and device_count values, in ns */
    uint64_t *bits;            /* sample_count hashes */
    contention others;
    bool has_outputs;
    uint64_t offset; /* of the first output in the .bin file */
    uint64_t peak;   /* resident bytes while it ran, of a step that loads; 0: not known */
} step_row;

typedef struct result {
    const plan *plan;
    const char *name;
    device_info device; /* type NULL: none */
    const char *error;  /* or NULL */
    bool too_large;     /* the plan was refused: it needs more memory than it may have */
    machine_load before, after;
    int build_count, step_count;
    build_row *builds; /* one per kernel, build_count of them valid */
    step_row *steps;   /* likewise */
    int bin;           /* file descriptor */
    uint64_t bin_size;
} result;

/* Creates both files. False with errno set. */
bool result_open(result *r, const plan *p, const char *name);
bool result_save(const result *r, bool complete);
bool result_append(result *r, const void *data, size_t size);

#endif
