/* Weights that lie in a file until a step loads them: docs/plan-format.md, "Stored buffers". */
#ifndef GEMMAFIT_STORAGE_H
#define GEMMAFIT_STORAGE_H

#include "executor.h"

/* Writes the plan's stored buffers to a file, which loses its name at once: nothing stays behind, however this process
 * ends. Nothing is done without such buffers. */
status storage_create(const plan *p, fault *f);

/* Makes the next load read from the storage itself. STATUS_SKIPPED where the system keeps the file in memory. */
status storage_evict(fault *f);

/* Reads all stored buffers, `piece` bytes at a time, and copies each piece to the device before the next is read; with
 * `on` NULL it only reads. */
status storage_load(const plan *p, const executor *on, size_t piece, fault *f);

#endif
