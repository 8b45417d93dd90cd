/* libvndksupport.so: opens a library in the namespace of the hardware libraries, here the folder $SPHAL. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *android_load_sphal_library(const char *name, int flags) {
    char path[1000];
    const char *folder = getenv("SPHAL");
    if (!folder) return NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return dlopen(path, flags);
}
