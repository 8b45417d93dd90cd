/* Instruction-set levels (internal to the CPU backend). Within an architecture a higher level includes the lower. */
#ifndef GEMMAFIT_CPU_ISA_H
#define GEMMAFIT_CPU_ISA_H

#include "cpu.h"

enum cpu_level {
    LEVEL_SCALAR,
    LEVEL_AVX2,
    LEVEL_AVXVNNI,
    LEVEL_AVX512VNNI,
    LEVEL_AMX,
    LEVEL_NEON,
    LEVEL_DOTPROD,
    LEVEL_I8MM,
};

/* Whether an isa's CPU also computes in half precision (Arm FP16 arithmetic, AVX512-FP16). */
int cpu_has_f16(const cpu_isa *isa);

#endif
