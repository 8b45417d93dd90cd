/* `gemmafit-agent run`: a plan, through an executor, into the result files. */
#ifndef GEMMAFIT_RUN_H
#define GEMMAFIT_RUN_H

#include "platform.h"

/* `max_memory`: refuse a plan whose buffers need more; 0: the default. Writes NAME.json and NAME.bin; returns an
 * exit status. */
int run_plan(const char *plan_path, const char *name, uint64_t max_memory);

__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif
