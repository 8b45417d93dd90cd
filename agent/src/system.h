/* Files, the clock, memory figures and the deadline of the process. */
#ifndef GEMMAFIT_SYSTEM_H
#define GEMMAFIT_SYSTEM_H

#include "json.h"

/* Nanoseconds of the monotonic clock. */
int64_t clock_ns(void);

/* The whole file, NUL-terminated, to be freed; NULL with errno set, EFBIG if it is larger than `limit`. */
char *file_read(const char *path, size_t limit, size_t *size);

/* Writes all of it; false with errno set. */
bool write_all(int fd, const void *data, size_t size);

/* Replaces a file, so that a reader never sees half of it. */
bool file_replace(const char *path, const json *j);

/* Writes a line to stdout. */
bool json_print(const json *j);

/* Bytes, 0 where the system does not tell. */
typedef struct memory_facts {
    uint64_t total, available, swap;
} memory_facts;
memory_facts memory_now(void);
uint64_t memory_peak(void);
/* The peak begins anew where the system allows it; else it stays that of the whole process. */
void memory_peak_reset(void);

/* From now on the process has `seconds` to live. Once they have passed, or on SIGTERM, SIGINT or SIGHUP,
 * `deadline_passed` becomes true; one second later the process ends with EXIT_LATE, whatever its threads hang in. */
bool deadline_start(double seconds);
bool deadline_passed(void);
/* Whether something that takes `ns` would outlast it. */
bool deadline_within(int64_t ns);
/* Why, once it has: a text for the result. */
const char *deadline_reason(void);

#endif
