#include "programs.h"

#include "system.h"

enum { MAX_PROGRAM = 64 << 20, MAX_PATH = 80 };

int programs_mode_of(const plan *p) {
    const char *value = plan_option_value(p, "programs");
    if (!value) return PROGRAMS_IGNORE;
    if (!strcmp(value, "keep")) return PROGRAMS_KEEP;
    return !strcmp(value, "warm") || !strcmp(value, "cold") ? PROGRAMS_TAKE : -1;
}

static void path_of(const char *name, char path[MAX_PATH]) {
    snprintf(path, MAX_PATH, "program.%.48s", name);
}

char *program_take(const plan *p, const char *name, size_t *size) {
    char path[MAX_PATH];
    path_of(name, path);
    const char *value = plan_option_value(p, "programs");
    int fd = value && !strcmp(value, "cold") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    return file_read(path, MAX_PROGRAM, size);
}

void program_keep(const char *name, const void *data, size_t size) {
    char path[MAX_PATH];
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    /* fsync: pages that are not written yet cannot leave the page cache. */
    bool ok = write_all(fd, data, size) && fsync(fd) == 0;
    if (close(fd) || !ok) unlink(path);
}
