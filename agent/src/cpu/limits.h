/* Arithmetic peaks of one isa (internal to the CPU backend). */
#ifndef GEMMAFIT_CPU_LIMITS_H
#define GEMMAFIT_CPU_LIMITS_H

#include "isa.h"

/* Performs 2^20 multiply-adds and returns something that depends on all of them, > 0. */
typedef float peak_fn(void);

typedef struct peaks {
    peak_fn *f32, *i8;
    peak_fn *f16; /* callable where cpu_has_f16 */
} peaks;

peaks cpu_peaks(const cpu_isa *isa);

#endif
