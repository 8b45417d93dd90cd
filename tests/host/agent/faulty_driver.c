/* A driver that fails as soon as its loader opens it: FAULT=crash, or anything else: it hangs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void fail(void) {
    const char *fault = getenv("FAULT");
    if (fault && !strcmp(fault, "crash")) abort();
    for (;;) pause();
}
