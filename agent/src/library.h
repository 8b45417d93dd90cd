/* Opening a driver's library, with a record of every attempt. */
#ifndef GEMMAFIT_LIBRARY_H
#define GEMMAFIT_LIBRARY_H

#include "json.h"

enum { LIBRARY_MAX_ATTEMPTS = 12 };

typedef struct library_attempt {
    const char *name, *route; /* dlopen | sphal */
    bool opened;
    char error[300];
} library_attempt;

typedef struct library {
    void *handle; /* NULL: none opened */
    const char *name, *route;
    int attempt_count;
    library_attempt attempts[LIBRARY_MAX_ATTEMPTS];
} library;

/* The two ways of Google's engine (ml_drift/cl/opencl_wrapper.cc): plain dlopen, and libvndksupport's
 * android_load_sphal_library, which opens in the namespace of the hardware libraries. True if the library is open. */
bool library_dlopen(library *l, const char *name);
bool library_sphal(library *l, const char *name);

/* The members attempts, library and route. */
void library_json(json *j, const library *l);

#endif
