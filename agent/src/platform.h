/* The C library as the agent sees it. The one place that knows on which libc it is compiled.
 *
 * Linux: the libc's own headers. Android: the declarations below, written by hand, because the agent is built
 * without the NDK and another libc's headers compile and then break: constants and structure layouts differ
 * (sysconf names, pthread types and RTLD_* on 32 bits, sigaction, stat). Only what is declared here may be used, and
 * the link fails at a symbol that is not in android/<library>.syms.
 *
 * No mutexes and conditions: threads meet on atomics and futexes, which have one layout everywhere.
 * No _Thread_local anywhere: a TLS segment is silently wrong on arm64 before API 29.
 *
 * Valid for API 24 and newer, 32 and 64 bits. Sources of the ABI facts: bionic's public headers as mirrored
 * in zig's lib/std/c.zig (its android cases) and the Rust libc crate (src/unix/linux_like/android).
 */
#ifndef GEMMAFIT_PLATFORM_H
#define GEMMAFIT_PLATFORM_H

#ifndef __ANDROID__

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#else /* __ANDROID__ */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int pid_t;
typedef int clockid_t;
typedef long off_t; /* 32 bits on 32-bit Android: the agent's files are small */
typedef long time_t;
#ifdef __LP64__
typedef long ssize_t;
#else
typedef int ssize_t;
#endif

/* errno.h */
int *__errno(void);
#define errno (*__errno())
#define ENOENT 2
#define EINTR 4
#define EAGAIN 11
#define ENOMEM 12
#define EEXIST 17
#define EFBIG 27
#define EINVAL 22
#define ERANGE 34

/* string.h */
void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memchr(const void *, int, size_t);
size_t strlen(const char *);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
char *strchr(const char *, int);
char *strstr(const char *, const char *);
char *strerror(int);

/* stdlib.h, stdio.h: FILE for small text files under /proc and /sys; stdin, stdout and stderr are data symbols in
 * bionic and not declared: output goes through write() */
typedef struct __sFILE FILE;
FILE *fopen(const char *restrict, const char *restrict);
char *fgets(char *restrict, int, FILE *restrict);
int fclose(FILE *);
void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
double strtod(const char *restrict, char **restrict);
int snprintf(char *restrict, size_t, const char *restrict, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *restrict, size_t, const char *restrict, va_list) __attribute__((format(printf, 3, 0)));
int rename(const char *, const char *);

/* fcntl.h, unistd.h. The O_* below have one value on arm, arm64 and x86_64; O_DIRECTORY and others do not. */
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_CLOEXEC 02000000
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
int open(const char *, int, ...);
ssize_t read(int, void *, size_t);
ssize_t write(int, const void *, size_t);
off_t lseek(int, off_t, int);
ssize_t pread(int, void *, size_t, off_t);
int fsync(int);
int unlink(const char *);
#define POSIX_FADV_DONTNEED 4
int posix_fadvise(int, off_t, off_t, int);
int close(int);
int access(const char *, int);
#define F_OK 0
#define R_OK 4
ssize_t readlink(const char *restrict, char *restrict, size_t);
int pipe(int[2]);
pid_t getpid(void);
_Noreturn void _exit(int);
long syscall(long, ...);
#define _SC_PAGESIZE 39
#define _SC_NPROCESSORS_CONF 96
#define _SC_NPROCESSORS_ONLN 97
long sysconf(int);

/* sys/syscall.h */
#if defined(__aarch64__)
#define SYS_futex 98
#define SYS_getdents64 61
#define SYS_gettid 178
#elif defined(__arm__)
#define SYS_futex 240
#define SYS_getdents64 217
#define SYS_gettid 224
#elif defined(__x86_64__)
#define SYS_futex 202
#define SYS_getdents64 217
#define SYS_gettid 186
#endif

/* poll.h */
struct pollfd {
    int fd;
    short events;
    short revents;
};
#define POLLIN 1
int poll(struct pollfd *, unsigned, int);

/* sys/mman.h */
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 0x20
#define MAP_FAILED ((void *)-1)
#define MADV_WILLNEED 3
#define MADV_HUGEPAGE 14
void *mmap(void *, size_t, int, int, int, off_t);
int munmap(void *, size_t);
int madvise(void *, size_t, int);
int mincore(void *, size_t, unsigned char *);

/* sys/auxv.h */
#define AT_HWCAP 16
#define AT_HWCAP2 26
unsigned long getauxval(unsigned long);

/* time.h */
struct timespec {
    time_t tv_sec;
    long tv_nsec;
};
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
int clock_gettime(clockid_t, struct timespec *);
int nanosleep(const struct timespec *, struct timespec *);

/* sys/resource.h: two times, then fourteen longs, of which the agent reads the last */
#define RUSAGE_SELF 0
struct rusage {
    long times[4], others[13], ru_nivcsw;
};
int getrusage(int, struct rusage *);

/* signal.h: `signal` alone; the layout of struct sigaction differs between 32 and 64 bits */
typedef void (*sighandler_t)(int);
#define SIG_DFL ((sighandler_t)0)
#define SIG_IGN ((sighandler_t)1)
#define SIGHUP 1
#define SIGINT 2
#define SIGPIPE 13
#define SIGTERM 15
sighandler_t signal(int, sighandler_t);

/* sched.h: the kernel takes the size, so the wide set is right on 32 bits too */
typedef struct {
    unsigned long bits[1024 / 8 / sizeof(unsigned long)];
} cpu_set_t;
int sched_setaffinity(pid_t, size_t, const cpu_set_t *);
int sched_yield(void);
#define CPU_SETSIZE 1024
#define CPU_ZERO(set) memset((set), 0, sizeof *(set))
#define CPU_SET(cpu, set) \
    ((set)->bits[(size_t)(cpu) / (8 * sizeof(long))] |= 1ul << ((size_t)(cpu) % (8 * sizeof(long))))
#define CPU_ISSET(cpu, set) \
    (((set)->bits[(size_t)(cpu) / (8 * sizeof(long))] >> ((size_t)(cpu) % (8 * sizeof(long)))) & 1)

/* pthread.h */
typedef long pthread_t;
int pthread_create(pthread_t *, const void *, void *(*)(void *), void *);
int pthread_join(pthread_t, void **);
int pthread_detach(pthread_t);

/* dlfcn.h */
#ifdef __LP64__
#define RTLD_NOW 2
#define RTLD_LOCAL 0
#define RTLD_GLOBAL 0x100
#define RTLD_DEFAULT ((void *)0)
#define RTLD_NEXT ((void *)-1L)
#else
#define RTLD_NOW 0
#define RTLD_LOCAL 0
#define RTLD_GLOBAL 2
#define RTLD_DEFAULT ((void *)0xffffffff)
#define RTLD_NEXT ((void *)0xfffffffe)
#endif
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
char *dlerror(void);

/* math.h: what the compiler makes without a call */
#define INFINITY (__builtin_inff())
#define isfinite(x) __builtin_isfinite(x)

#endif /* __ANDROID__ */

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof *(array))

#endif
