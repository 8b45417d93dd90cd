/* x86 intrinsics without the C library that clang's header would pull in for _mm_malloc: Android has no headers here.
 */
#ifndef GEMMAFIT_CPU_X86_H
#define GEMMAFIT_CPU_X86_H

#define __MM_MALLOC_H
#include <immintrin.h>

#endif
