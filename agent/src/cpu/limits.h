/* Arithmetic peaks of one isa (internal to the CPU backend). */
#ifndef GEMMAFIT_CPU_LIMITS_H
#define GEMMAFIT_CPU_LIMITS_H

#include "isa.h"

/* Performs units * PEAK_UNIT multiply-adds; returns a value > 0 that depends on all of them. */
typedef float peak_fn(int units);

typedef struct peaks {
    peak_fn *f32, *i8;
    peak_fn *f16; /* callable where cpu_has_f16 */
} peaks;

peaks cpu_peaks(const cpu_isa *isa);

#endif
