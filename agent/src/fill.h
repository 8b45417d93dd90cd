/* What the buffers hold at the start: docs/plan-format.md, "Fill". */
#ifndef GEMMAFIT_FILL_H
#define GEMMAFIT_FILL_H

#include "plan.h"

/* Writes bytes offset .. offset+size-1 of the buffer's initial content to `out`, on all cores. `offset` is a
 * multiple of 4 and `out` aligned to 4 bytes. */
void fill_write(const plan_buffer *b, size_t offset, size_t size, void *out);

#endif
