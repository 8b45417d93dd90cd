/* Denormals count as zero in every routine, as 32-bit NEON has it anyway: the tail of GELU is full of them, and one
 * costs an x86 core some 150 cycles (measured: quantising such a row took five times as long). */
#ifndef GEMMAFIT_CPU_DENORMALS_H
#define GEMMAFIT_CPU_DENORMALS_H

#include <stdint.h>

#if defined(__x86_64__)

#define FLUSH 0x8040u /* MXCSR: flush to zero, denormals are zero */

static inline uint64_t float_mode(void) { return __builtin_ia32_stmxcsr(); }
static inline void set_float_mode(uint64_t mode) { __builtin_ia32_ldmxcsr((unsigned)mode); }

#elif defined(__aarch64__)

#define FLUSH (1u << 24) /* FPCR.FZ */

static inline uint64_t float_mode(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void set_float_mode(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }

#else

#define FLUSH (1u << 24) /* FPSCR.FZ, for the scalar instructions beside NEON */

static inline uint64_t float_mode(void) {
    uint32_t mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    return mode;
}
static inline void set_float_mode(uint64_t mode) {
    __asm__ volatile("vmsr fpscr, %0" : : "r"((uint32_t)mode) : "memory");
}

#endif
#endif
