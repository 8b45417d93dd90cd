#include "contention.h"

#include "system.h"

enum { MOST_THREADS = 160, TICK_NS = 10000000 /* USER_HZ is 100 on every Linux that we know */ };

/* /proc/<pid>/task/<tid>/schedstat of the threads that are watched, open from the first repeat of a step to its last. */
static struct {
    int count;
    int files[MOST_THREADS];
    int64_t cpu, waited;                            /* when the repeat began */
    int64_t start, own, machine, pressure, switches; /* when the step began */
} seen;

/* At most `size - 1` bytes from the beginning of a file, NUL-terminated. */
static bool head(int file, char *text, size_t size) {
    ssize_t got = file < 0 ? -1 : pread(file, text, size - 1, 0);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

static bool head_of(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = head(file, text, size);
    if (file >= 0) close(file);
    return ok;
}

/* Up to `most` decimal numbers that stand one after another; returns how many. */
static int numbers(const char *text, int64_t *values, int most) {
    int count = 0;
    while (count < most) {
        while (*text == ' ') text++;
        if (*text < '0' || *text > '9') break;
        int64_t value = 0;
        for (; *text >= '0' && *text <= '9'; text++)
            if (value < INT64_MAX / 20) value = 10 * value + (*text - '0');
        values[count++] = value;
    }
    return count;
}

/* CPU time of all threads of this process. */
static int64_t own_ns(void) {
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? -1 : (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t switches(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? -1 : (int64_t)usage.ru_nivcsw;
}

/* Time in which the CPUs did not idle, also for another virtual machine: all of /proc/stat's first line but idle
 * and iowait, and but guests, which are part of user. */
static int64_t machine_ns(void) {
    char text[256];
    int64_t n[8];
    if (!head_of("/proc/stat", text, sizeof text) || strncmp(text, "cpu ", 4)) return -1;
    int count = numbers(text + 4, n, 8);
    if (count < 4) return -1;
    int64_t busy = 0;
    for (int i = 0; i < count; i++)
        if (i != 3 && i != 4) busy += n[i];
    return busy * TICK_NS;
}

static int64_t pressure_ns(void) {
    char text[256];
    int64_t us;
    if (!head_of("/proc/pressure/cpu", text, sizeof text) || strncmp(text, "some ", 5)) return -1;
    const char *total = strstr(text, "total=");
    return total && numbers(total + 6, &us, 1) ? us * 1000 : -1;
}

/* Time that the watched threads were ready to run and did not (sched_info.run_delay); -1 where it is not counted: then
 * the file is missing or all zeros. A thread that has ended adds nothing any more. */
static int64_t waited_ns(void) {
    int64_t sum = 0;
    bool counted = false;
    for (int i = 0; i < seen.count; i++) {
        char text[80];
        int64_t n[3]; /* ran, waited, how often it was given a CPU */
        if (!head(seen.files[i], text, sizeof text) || numbers(text, n, 3) < 3) continue;
        counted |= n[2] > 0;
        sum += n[1];
    }
    return counted ? sum : -1;
}

static void watch(long thread) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", thread);
    int file = seen.count < MOST_THREADS ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) seen.files[seen.count++] = file;
}

/* By the system call: its records have one layout everywhere, those of readdir have not. */
static void watch_all(void) {
    _Alignas(8) char entries[4096];
    int folder = open("/proc/self/task", O_RDONLY | O_CLOEXEC);
    long size;
    while (folder >= 0 && (size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
        for (long at = 0; at < size;) {
            uint16_t length; /* d_ino, d_off: 8 bytes each; d_reclen: 2; d_type: 1; d_name */
            int64_t thread;
            memcpy(&length, entries + at + 16, sizeof length);
            if (numbers(entries + at + 19, &thread, 1)) watch((long)thread);
            if (!length) break;
            at += length;
        }
    if (folder >= 0) close(folder);
}

void contention_start(contention *c, bool all) {
    seen.count = 0;
    if (all)
        watch_all();
    else
        watch(syscall(SYS_gettid));
    c->cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    c->waited_known = waited_ns() >= 0;
    seen.switches = switches();
    seen.pressure = pressure_ns();
    seen.machine = machine_ns();
    seen.own = own_ns();
    seen.start = clock_ns();
}

void contention_before(contention *c) {
    if (c->waited_known) seen.waited = waited_ns();
    seen.cpu = own_ns();
}

void contention_after(contention *c) {
    c->cpu[c->repeats] = own_ns() - seen.cpu;
    int64_t waited = c->waited_known ? waited_ns() - seen.waited : 0;
    c->waited[c->repeats++] = waited > 0 ? waited : 0; /* less: a thread has ended */
}

static int64_t since(int64_t before, int64_t now) {
    return before < 0 || now < before ? -1 : now - before;
}

void contention_end(contention *c) {
    c->span = clock_ns() - seen.start;
    c->own = since(seen.own, own_ns());
    c->machine = since(seen.machine, machine_ns());
    c->pressure = since(seen.pressure, pressure_ns());
    c->switches = since(seen.switches, switches());
    while (seen.count) close(seen.files[--seen.count]);
}

static void write_known(json *j, const char *key, int64_t value) {
    if (value >= 0) json_int(j, key, value);
}

static void write_repeats(json *j, const char *key, const int64_t *values, int count) {
    json_open(j, key, '[');
    for (int i = 0; i < count; i++) json_int(j, NULL, values[i]);
    json_close(j, ']');
}

void contention_json(json *j, const contention *c) {
    json_open(j, "contention", '{');
    json_int(j, "threads", c->threads);
    json_bool(j, "computing", c->computing);
    json_int(j, "cores", c->cores);
    write_repeats(j, "cpu_ns", c->cpu, c->repeats);
    if (c->waited_known) write_repeats(j, "waited_ns", c->waited, c->repeats);
    json_int(j, "span_ns", c->span);
    write_known(j, "own_ns", c->own);
    write_known(j, "machine_ns", c->machine);
    write_known(j, "pressure_ns", c->pressure);
    write_known(j, "switches", c->switches);
    json_close(j, '}');
}

static double number_at(const char *text) {
    char *end;
    double value = strtod(text, &end);
    return end != text && value >= 0 ? value : -1;
}

machine_load load_now(void) {
    char text[256];
    machine_load load = {-1, -1};
    if (head_of("/proc/loadavg", text, sizeof text)) load.average = number_at(text);
    if (head_of("/proc/pressure/cpu", text, sizeof text) && !strncmp(text, "some avg10=", 11))
        load.pressure = number_at(text + 11);
    return load;
}

void load_json(json *j, const char *key, const machine_load *load) {
    json_open(j, key, '{');
    if (load->average >= 0) json_double(j, "average", load->average);
    if (load->pressure >= 0) json_double(j, "pressure_percent", load->pressure);
    json_close(j, '}');
}
