/* libvndksupport.so: opens a library in the namespace of the hardware libraries, here the folder $SPHAL. Where it
 * cannot, it takes the reason for the system log, as Android 14's does, so that its caller gets none. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *android_load_sphal_library(const char *name, int flags) {
    char path[1000];
    const char *folder = getenv("SPHAL");
    if (!folder) return NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    void *handle = dlopen(path, flags);
    if (!handle) fprintf(stderr, "vndksupport: could not load %s: %s\n", name, dlerror());
    return handle;
}
