/* Memory for large buffers. */
#include "../platform.h"
#include "cpu.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGES_64K ((size_t)65535) /* no kernel has larger base pages */

void *cpu_alloc(size_t size) {
    if (!size || size > SIZE_MAX / 2) return NULL;
    size = (size + PAGES_64K) & ~PAGES_64K;
    const size_t slack = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    uint8_t *const start = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    if (!slack) return start;
    uint8_t *const aligned = (uint8_t *)(((uintptr_t)start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    if (aligned > start) munmap(start, (size_t)(aligned - start));
    if (start + slack > aligned) munmap(aligned + size, (size_t)(start + slack - aligned));
    madvise(aligned, size, MADV_HUGEPAGE); /* a kernel without them refuses: nothing lost */
    return aligned;
}

void cpu_free(void *data, size_t size) {
    if (data) munmap(data, (size + PAGES_64K) & ~PAGES_64K);
}
