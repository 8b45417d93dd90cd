/* Start-up of a bionic-dynamic, position-independent executable, in place of the NDK's crtbegin_dynamic.o.
 *
 * The ABI facts used: libc exports __libc_init(raw_args, onexit, main, structors) and __cxa_atexit (not atexit);
 * the dynamic linker has run the constructors before _start; destructors are passed to __libc_init.
 * Compiled without stack protector: the guard is not set up yet. */
#include <stddef.h>

typedef void procedure(void);
struct structors {
    procedure **preinit, **init, **fini;
    size_t preinit_count, init_count, fini_count;
};

extern int main(int argc, char **argv, char **environment);
extern _Noreturn void __libc_init(void *raw_args, procedure *onexit, int (*main)(int, char **, char **),
                                  const struct structors *structors);

__attribute__((visibility("hidden"))) void *__dso_handle = 0;

__attribute__((used)) static void start(void *raw_args) {
    /* The agent has no destructors (C, no libraries linked in), so there are none to pass. */
    static const struct structors none = {0};
    __libc_init(raw_args, 0, main, &none);
}

#define ENTRY(code) __asm__(".text\n.globl _start\n.type _start,%function\n_start:\n" code ".size _start,.-_start\n")
#if defined(__aarch64__)
ENTRY("hint #36\n" /* bti j: the kernel and the linker enter by an indirect branch */
      "mov x29, #0\nmov x30, #0\nmov x0, sp\nb start\n");
#elif defined(__arm__)
ENTRY("mov fp, #0\nmov lr, #0\nmov r0, sp\nb start\n");
#elif defined(__x86_64__)
ENTRY("xorl %ebp, %ebp\nmovq %rsp, %rdi\nandq $-16, %rsp\ncallq start\nhlt\n");
#endif

/* The note by which Android recognises an executable made for it and for which API level. */
__attribute__((used, section(".note.android.ident"), aligned(4))) static const struct {
    int name_size, data_size, type;
    char name[8];
    int api;
} android_note = {8, 4, 1, "Android", ANDROID_API};
