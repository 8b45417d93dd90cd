#include "system.h"

#include <stdatomic.h>

int64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

char *file_read(const char *path, size_t limit, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    /* Files below /proc have no size: grow while there is more. */
    size_t used = 0, capacity = 4096;
    off_t known = lseek(fd, 0, SEEK_END);
    if (known > 0 && (uint64_t)known < limit) capacity = (size_t)known + 1;
    lseek(fd, 0, SEEK_SET);
    char *data = malloc(capacity + 1);
    while (data) {
        ssize_t got = read(fd, data + used, capacity - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 || (used += (size_t)got) > limit) {
            if (got >= 0) errno = EFBIG;
            free(data);
            data = NULL;
        } else if (got == 0) {
            break;
        } else if (used == capacity) {
            char *grown = realloc(data, 2 * capacity + 1);
            if (!grown) free(data);
            data = grown;
            capacity *= 2;
        }
    }
    int saved = errno;
    close(fd);
    errno = saved;
    if (!data) return NULL;
    data[used] = 0;
    if (size) *size = used;
    return data;
}

bool write_all(int fd, const void *data, size_t size) {
    const char *next = data;
    while (size) {
        ssize_t done = write(fd, next, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        next += done;
        size -= (size_t)done;
    }
    return true;
}

bool file_replace(const char *path, const json *j) {
    char part[512];
    if (j->failed || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
        errno = ENOMEM;
        return false;
    }
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    bool ok = write_all(fd, j->text, j->size) && write_all(fd, "\n", 1);
    return close(fd) == 0 && ok && rename(part, path) == 0;
}

bool json_print(const json *j) {
    return !j->failed && write_all(1, j->text, j->size) && write_all(1, "\n", 1);
}

/* The number after `label` in a file of lines such as "MemTotal:  1234 kB", in bytes. */
static uint64_t kilobytes(const char *text, const char *label) {
    const char *found = strstr(text, label);
    if (!found) return 0;
    found += strlen(label);
    while (*found == ' ' || *found == '\t') found++;
    uint64_t value = 0;
    for (; *found >= '0' && *found <= '9' && value < UINT64_MAX / 20480; found++)
        value = 10 * value + (uint64_t)(*found - '0');
    return 1024 * value;
}

memory_facts memory_now(void) {
    memory_facts facts = {0};
    char *text = file_read("/proc/meminfo", 1 << 16, NULL);
    if (!text) return facts;
    facts.total = kilobytes(text, "MemTotal:");
    facts.available = kilobytes(text, "MemAvailable:");
    facts.swap = kilobytes(text, "SwapTotal:");
    free(text);
    return facts;
}

uint64_t memory_peak(void) {
    char *text = file_read("/proc/self/status", 1 << 16, NULL);
    uint64_t peak = text ? kilobytes(text, "VmHWM:") : 0;
    free(text);
    return peak;
}

void memory_peak_reset(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    write_all(fd, "5", 1); /* Linux, Documentation/filesystems/proc: resets the peak resident set size */
    close(fd);
}

static struct {
    int wake[2];
    int64_t end;
    double seconds;
    atomic_int signal;
    atomic_bool passed;
} deadline;

static void on_signal(int signal) {
    int saved = errno;
    atomic_store(&deadline.signal, signal);
    atomic_store(&deadline.passed, true);
    ssize_t ignored = write(deadline.wake[1], "", 1);
    (void)ignored;
    errno = saved;
}

/* Waits for `ms` or for a signal's byte. */
static bool woken(int64_t ms) {
    struct pollfd wake = {deadline.wake[0], POLLIN, 0};
    return poll(&wake, 1, ms > INT32_MAX ? INT32_MAX : (int)ms) > 0;
}

static void *watch(void *unused) {
    (void)unused;
    for (;;) {
        int64_t left = (deadline.end - clock_ns() + 999999) / 1000000;
        if (left <= 0 || woken(left)) break;
    }
    atomic_store(&deadline.passed, true);
    int64_t grace = clock_ns() + GRACE_SECONDS * INT64_C(1000000000);
    while (clock_ns() < grace) nanosleep(&(struct timespec){0, 20000000}, NULL);
    _exit(EXIT_LATE); /* whatever locks the others hold; a signal would look like somebody else's */
}

bool deadline_start(double seconds) {
    if (pipe(deadline.wake)) return false;
    deadline.seconds = seconds;
    deadline.end = clock_ns() + (int64_t)(seconds * 1e9);
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL)) return false;
    pthread_detach(thread);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGHUP, on_signal);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

bool deadline_within(int64_t ns) {
    return atomic_load(&deadline.passed) || clock_ns() + ns >= deadline.end;
}

bool deadline_passed(void) {
    return deadline_within(0);
}

const char *deadline_reason(void) {
    static char text[80];
    int signal = atomic_load(&deadline.signal);
    if (signal)
        snprintf(text, sizeof text, "stopped by signal %d", signal);
    else
        snprintf(text, sizeof text, "stopped by its deadline of %g s", deadline.seconds);
    return text;
}
