#include "probe.h"

#include "cpu/cpu.h"
#include "run.h"
#include "system.h"

static const char *probe_path;

/* The words after "Features" (ARM) or "flags" (x86) of the first core in /proc/cpuinfo. */
static void write_features(json *j) {
    char *text = file_read("/proc/cpuinfo", 1 << 20, NULL);
    json_open(j, "features", '[');
    const char *line = text ? strstr(text, "\nFeatures") : NULL;
    if (text && !line) line = strstr(text, "\nflags");
    const char *next = line ? strchr(line + 1, ':') : NULL;
    while (next && *next && *next != '\n') {
        next++;
        size_t length = 0;
        while (next[length] && next[length] != ' ' && next[length] != '\n') length++;
        if (length) json_chars(j, NULL, next, length);
        next += length;
    }
    json_close(j, ']');
    free(text);
}

static void write_cpu(json *j) {
    json_open(j, "cpu", '{');
    json_format(j, "hwcap", "0x%lx", getauxval(AT_HWCAP));
    json_format(j, "hwcap2", "0x%lx", getauxval(AT_HWCAP2));
    write_features(j);
    json_open(j, "isas", '[');
    for (int i = 0; i < cpu_isa_count; i++)
        if (cpu_isas[i].available()) json_string(j, NULL, cpu_isas[i].name);
    json_close(j, ']');
    json_int(j, "online", sysconf(_SC_NPROCESSORS_ONLN));
    json_int(j, "configured", sysconf(_SC_NPROCESSORS_CONF));
    json_int(j, "page_size", sysconf(_SC_PAGESIZE));
    json_close(j, '}');
}

/* A figure that the system does not tell is null. */
static void write_bytes(json *j, const char *key, uint64_t bytes, bool known) {
    if (known)
        json_uint(j, key, bytes);
    else
        json_string(j, key, NULL);
}

static void write_memory(json *j) {
    memory_facts m = memory_now();
    json_open(j, "memory", '{');
    write_bytes(j, "total_bytes", m.total, m.total != 0);
    write_bytes(j, "available_bytes", m.available, m.available != 0);
    write_bytes(j, "swap_bytes", m.swap, m.total != 0);
    json_close(j, '}');
}

/* Which linker section the process runs in, by where its file stands (AOSP's linkerconfig); null elsewhere. */
static const char *section(const char *path) {
    if (!strncmp(path, "/data/local/tmp/isolated/", 25)) return "isolated";
    if (!strncmp(path, "/data/local/tests/system/", 25)) return "system";
    if (!strncmp(path, "/data/local/tests/vendor/", 25)) return "vendor";
    if (!strncmp(path, "/data/local/tmp/", 16) || !strncmp(path, "/data/local/tests/unrestricted/", 31))
        return "unrestricted";
    return NULL;
}

static void write_section(json *j) {
    char path[300];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    json_string(j, "section", section(path));
}

/* Writes the file with `open_objects` objects closed behind what is there. */
static bool store(const json *j, int open_objects, const char *error) {
    json copy = {0};
    json_raw(&copy, NULL, j->text ? j->text : "", j->size);
    copy.comma = j->comma;
    copy.failed |= j->failed;
    if (error) json_string(&copy, "error", error);
    for (int i = 0; i < open_objects; i++) json_close(&copy, '}');
    bool ok = file_replace(probe_path, &copy);
    json_free(&copy);
    return ok;
}

void probe_checkpoint(const json *j) {
    store(j, 2, "the driver did not answer: it crashed, or hung until the deadline");
}

static void write_part(json *j, const char *name, void (*part)(json *)) {
    store(j, 1, NULL);
    json_open(j, name, '{');
    part(j);
    json_close(j, '}');
}

int probe_device(const char *path, const char *only) {
    json j = {0};
    probe_path = path;
    json_open(&j, NULL, '{');
    json_string(&j, "agent", GEMMAFIT_VERSION);
    json_string(&j, "abi", GEMMAFIT_ABI);
    write_section(&j);
    write_cpu(&j);
    write_memory(&j);
    if ((!only || !strcmp(only, "opencl")) && !deadline_passed()) write_part(&j, "opencl", probe_opencl);
    if ((!only || !strcmp(only, "vulkan")) && !deadline_passed()) write_part(&j, "vulkan", probe_vulkan);
    bool ok = store(&j, 1, NULL);
    if (!ok) complain("%s: %s", path, strerror(errno));
    json_free(&j);
    return ok ? EXIT_OK : EXIT_BROKEN;
}
