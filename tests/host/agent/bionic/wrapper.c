/* A library like libOpenCL-pixel.so: it hands out its functions by itself, and only once it was switched on. */
#include <dlfcn.h>
#include <stddef.h>

static void *driver;

void enableOpenCL(void) {
    driver = dlopen("libOpenCL.so.1", RTLD_NOW);
}

void *loadOpenCLPointer(const char *name) {
    return driver ? dlsym(driver, name) : NULL;
}
