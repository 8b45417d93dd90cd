/* The plan (docs/plan-format.md) as the parser leaves it. Everything points into one text that it owns. */
#ifndef GEMMAFIT_PLAN_H
#define GEMMAFIT_PLAN_H

#include "platform.h"

/* What the host knows, too, is in base/protocol.py: LOAD_UNIT, MAX_REPEATS, ... */
enum {
    PLAN_MAX_BYTES = 32 << 20,
    PLAN_MAX_BUFFERS = 1024,
    PLAN_MAX_KERNELS = 512,
    PLAN_MAX_STEPS = 1024,
    PLAN_MAX_DISPATCHES = 8192,
    PLAN_MAX_ARGS = 24,
    PLAN_MAX_OPTIONS = 32, /* of the plan, of a kernel's build, and specialisation constants */
    PLAN_MAX_RETURNS = 64,
};

typedef enum fill_kind { FILL_ZERO, FILL_HEX, FILL_I8, FILL_I4, FILL_F32, FILL_F16 } fill_kind;

/* A buffer and what it holds at the start: rows x cols elements, stored in tiles. */
typedef struct plan_buffer {
    const char *name;
    size_t bytes;
    fill_kind fill;
    uint32_t seed;
    uint64_t rows, cols, tile_rows, tile_cols, first;
    uint32_t image_width, texel_bytes; /* of an OpenCL image; 0: plain memory */
    bool transposed, stored;
    double lo, hi;
    const char *hex; /* 2 * bytes digits, checked */
} plan_buffer;

typedef struct plan_spec {
    uint32_t id, value; /* the bits of an int32, uint32 or float */
} plan_spec;

typedef struct plan_kernel {
    const char *name, *file, *entry, *routine, *isa;
    const char *options[PLAN_MAX_OPTIONS];
    plan_spec spec[PLAN_MAX_OPTIONS];
    int option_count, spec_count;
    uint32_t bindings, push, subgroup;
} plan_kernel;

/* kind: B (index of the buffer in `u`), I, U (bits in `u`), F, L (bytes in `u`). */
typedef struct plan_arg {
    char kind;
    uint32_t u;
    float f;
} plan_arg;

typedef struct plan_dispatch {
    int kernel;
    int arg_count, global_count, local_count;
    uint32_t global[3], local[3];
    plan_arg args[PLAN_MAX_ARGS];
} plan_dispatch;

/* Between this process's memory and the device's: clEnqueueWriteBuffer, clEnqueueReadBuffer, clEnqueueMapBuffer and the
 * like. */
typedef enum transfer_kind { TRANSFER_NONE, TRANSFER_WRITE, TRANSFER_READ, TRANSFER_MAP } transfer_kind;

typedef struct plan_step {
    const char *name;
    size_t load; /* bytes read from the storage at once; 0: nothing is loaded */
    bool cold;
    transfer_kind transfer;
    int transferred; /* index of the buffer */
    int first_dispatch, dispatch_count;
    int return_count;
    int returns[PLAN_MAX_RETURNS];
    int warmup, repeat_min, repeat_max;
    int64_t budget_ns;
} plan_step;

typedef struct plan_option {
    const char *key, *value;
} plan_option;

typedef struct plan {
    const char *backend;
    plan_option *options;
    plan_buffer *buffers;
    plan_kernel *kernels;
    plan_step *steps;
    plan_dispatch *dispatches;
    int option_count, buffer_count, kernel_count, step_count, dispatch_count;
    char *text;
} plan;

/* Parses `text`, which the plan then owns (also on failure). On failure returns false, with "line N: ..." in `error`.
 */
bool plan_parse(plan *p, char *text, size_t size, char *error, size_t error_size);
void plan_free(plan *p);

/* The value of an option, or NULL. */
const char *plan_option_value(const plan *p, const char *key);
/* The same as a number in 0..limit; -1 where it is absent, -2 where it is not such a number. */
int plan_option_number(const plan *p, const char *key, int limit);

/* Bytes that the buffers need, and what is beside them while something is loaded or transferred. */
uint64_t plan_bytes(const plan *p);

#endif
