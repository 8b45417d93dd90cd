/* Compiled programs kept in files of the working directory, which is the run's own and removed with it:
 * docs/plan-format.md, "Kept programs". */
#ifndef GEMMAFIT_PROGRAMS_H
#define GEMMAFIT_PROGRAMS_H

#include "plan.h"

typedef enum programs_mode { PROGRAMS_IGNORE, PROGRAMS_KEEP, PROGRAMS_TAKE } programs_mode;

/* What the plan's option `programs` asks for; -1: it is none of keep, warm and cold. */
int programs_mode_of(const plan *p);

/* The kept program of this name, to be freed; NULL: there is none. With `programs=cold` it leaves the page cache before
 * it is read. */
char *program_take(const plan *p, const char *name, size_t *size);

/* Nothing is lost where this fails: the program will be built again. */
void program_keep(const char *name, const void *data, size_t size);

#endif
