/* Which instruction sets the running CPU has, as the kernel reports them (AArch64, ARM) or CPUID (x86). */
#include "../platform.h"
#include "isa.h"

static int always(void) { return 1; }

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct features {
    unsigned leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_edx, leaf7_1_eax, xcr0;
} features;

static features read_features(void) {
    features f = {0};
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) f.leaf1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        f.leaf7_ebx = b, f.leaf7_ecx = c, f.leaf7_edx = d;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) f.leaf7_1_eax = a;
    }
    if (f.leaf1_ecx & 1u << 27) { /* OSXSAVE: which registers the kernel saves */
        unsigned high;
        __asm__("xgetbv" : "=a"(f.xcr0), "=d"(high) : "c"(0));
    }
    return f;
}

static int all(unsigned value, unsigned bits) { return (value & bits) == bits; }

static int has_avx2(void) {
    const features f = read_features(); /* AVX, FMA; AVX2, BMI2; ymm state */
    return all(f.leaf1_ecx, 1u << 28 | 1u << 12) && all(f.leaf7_ebx, 1u << 5) && all(f.xcr0, 6);
}

static int has_avxvnni(void) { return has_avx2() && all(read_features().leaf7_1_eax, 1u << 4); }

static int has_avx512vnni(void) {
    const features f = read_features(); /* F, DQ, BW, VL; VNNI; opmask and zmm state */
    return has_avx2() && all(f.leaf7_ebx, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) && all(f.leaf7_ecx, 1u << 11) &&
           all(f.xcr0, 0xe6);
}

/* Tile registers are off until the process asks for them (Linux 5.16). */
static int has_amx(void) {
    enum { SYSCALL_ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    const features f = read_features(); /* AMX-TILE, AMX-INT8; tile configuration and data state */
    return has_avx512vnni() && all(f.leaf7_edx, 1u << 24 | 1u << 25) && all(f.xcr0, 3u << 17) &&
           syscall(SYSCALL_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

int cpu_has_f16(const cpu_isa *isa) {
    return isa->level >= LEVEL_AVX512VNNI && has_avx512vnni() && all(read_features().leaf7_edx, 1u << 23);
}

const cpu_isa cpu_isas[] = {
    {"scalar", always, LEVEL_SCALAR},
    {"avx2", has_avx2, LEVEL_AVX2},
    {"avxvnni", has_avxvnni, LEVEL_AVXVNNI},
    {"avx512vnni", has_avx512vnni, LEVEL_AVX512VNNI},
    {"amx", has_amx, LEVEL_AMX},
};

#elif defined(__aarch64__)

/* Bits of AT_HWCAP and AT_HWCAP2: linux/arch/arm64/include/uapi/asm/hwcap.h. Never /proc/cpuinfo: some phones list
 * only the first core's. */
enum { ASIMD = 1 << 1, ASIMDHP = 1 << 10, ASIMDDP = 1 << 20, I8MM = 1 << 13 };

static int has_neon(void) { return (getauxval(AT_HWCAP) & ASIMD) != 0; }
static int has_dotprod(void) { return (getauxval(AT_HWCAP) & ASIMDDP) != 0; }
static int has_i8mm(void) { return has_dotprod() && (getauxval(AT_HWCAP2) & I8MM) != 0; }

int cpu_has_f16(const cpu_isa *isa) { return isa->level >= LEVEL_NEON && (getauxval(AT_HWCAP) & ASIMDHP) != 0; }

const cpu_isa cpu_isas[] = {
    {"scalar", always, LEVEL_SCALAR},
    {"neon", has_neon, LEVEL_NEON},
    {"dotprod", has_dotprod, LEVEL_DOTPROD},
    {"i8mm", has_i8mm, LEVEL_I8MM},
};

#elif defined(__arm__)

enum { NEON = 1 << 12 };

static int has_neon(void) { return (getauxval(AT_HWCAP) & NEON) != 0; }

int cpu_has_f16(const cpu_isa *isa) {
    (void)isa;
    return 0;
}

const cpu_isa cpu_isas[] = {
    {"scalar", always, LEVEL_SCALAR},
    {"neon", has_neon, LEVEL_NEON},
};

#else
#error "no CPU backend for this architecture"
#endif

const int cpu_isa_count = sizeof cpu_isas / sizeof cpu_isas[0];

const cpu_isa *cpu_best_isa(void) {
    for (int i = cpu_isa_count - 1; i > 0; i--)
        if (cpu_isas[i].available()) return &cpu_isas[i];
    return &cpu_isas[0];
}
