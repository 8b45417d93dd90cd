/* What bionic's libc.so and libdl.so have and glibc has not, or has otherwise, on top of glibc: enough for the
 * Android executables of the agent to run on a Linux machine, in the layouts and numbers of bionic.
 *
 * Written from bionic's documented interface, not from the agent's platform.h, which it is there to check. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Drivers of this computer call these functions too, and mean glibc's. */
static void *agent_base;

static int from_agent(const void *address) {
    Dl_info info;
    return dladdr(address, &info) && info.dli_fbase == agent_base;
}

/* bionic/libc/bionic/libc_init_dynamic.cpp: the block holds argc, argv, NULL, envp, NULL, auxv. */
_Noreturn void __libc_init(uintptr_t *block, void (*onexit)(void), int (*slingshot)(int, char **, char **),
                           const void *structors) {
    int argc = (int)block[0];
    char **argv = (char **)(block + 1);
    Dl_info info;
    (void)onexit, (void)structors;
    if (dladdr((void *)(uintptr_t)slingshot, &info)) agent_base = info.dli_fbase;
    exit(slingshot(argc, argv, argv + argc + 1));
}

int *__errno(void) {
    return __errno_location();
}

/* bits/sysconf.h; any other name is not known here and must not be asked for. */
long bionic_sysconf(int name) __asm__("sysconf");
long bionic_sysconf(int name) {
    static long (*real)(int);
    if (!real) real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    if (!from_agent(__builtin_return_address(0))) return real(name);
    switch (name) {
    case 39: return real(_SC_PAGESIZE);
    case 96: return real(_SC_NPROCESSORS_CONF);
    case 97: return real(_SC_NPROCESSORS_ONLN);
    default: errno = EINVAL; return -1;
    }
}

/* On 64 bits the rest is alike where the agent touches it. No driver runs on 32 bits here, so nobody else is meant. */
#if __SIZEOF_POINTER__ == 4

/* dlfcn.h: RTLD_NOW is 0 and RTLD_GLOBAL 2. */
void *bionic_dlopen(const char *name, int flags) __asm__("dlopen");
void *bionic_dlopen(const char *name, int flags) {
    static void *(*real)(const char *, int);
    if (!real) real = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return real(name, RTLD_NOW | (flags & 2 ? RTLD_GLOBAL : 0));
}

#endif
