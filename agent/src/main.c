/* gemmafit-agent: runs on the phone (or this computer), says what is there, and executes plans.
 * Command line and files: docs/plan-format.md, "The agent". */
#include "cpu/cpu.h"
#include "probe.h"
#include "run.h"
#include "system.h"

static const char usage[] =
    "usage: gemmafit-agent version [--json]\n"
    "       gemmafit-agent probe --out FILE [--only cpu|opencl|vulkan] [--deadline SECONDS]\n"
    "       gemmafit-agent run --plan FILE --out NAME [--deadline SECONDS] [--max-memory BYTES]\n";

void complain(const char *format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    size_t size = (size_t)length < sizeof text - 1 ? (size_t)length : sizeof text - 2;
    /* A plan may hold anything, a log or a terminal may not. */
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e) text[i] = '?';
    text[size] = '\n';
    write_all(2, text, size + 1);
}

static int print_version(void) {
    const char text[] = "gemmafit-agent " GEMMAFIT_VERSION " " GEMMAFIT_ABI "\n";
    return write_all(1, text, sizeof text - 1) ? EXIT_OK : EXIT_BROKEN;
}

/* What this binary can do, for the host's tests. */
static int print_abilities(void) {
    json j = {0};
    json_open(&j, NULL, '{');
    json_string(&j, "agent", GEMMAFIT_VERSION);
    json_string(&j, "abi", GEMMAFIT_ABI);
    json_open(&j, "isas", '[');
    for (int i = 0; i < cpu_isa_count; i++) json_string(&j, NULL, cpu_isas[i].name);
    json_close(&j, ']');
    json_open(&j, "routines", '{');
    for (int i = 0; i < cpu_routine_count; i++) json_string(&j, cpu_routines[i].name, cpu_routines[i].signature);
    json_close(&j, '}');
    json_open(&j, "tiles", '{');
    for (size_t i = 0; i < ARRAY_LENGTH(cpu_tiles); i++) {
        json_open(&j, cpu_tiles[i].scheme, '[');
        json_int(&j, NULL, cpu_tiles[i].rows);
        json_int(&j, NULL, cpu_tiles[i].cols);
        json_close(&j, ']');
    }
    json_close(&j, '}');
    json_close(&j, '}');
    bool ok = json_print(&j);
    json_free(&j);
    return ok ? EXIT_OK : EXIT_BROKEN;
}

typedef struct options {
    const char *plan, *out, *only;
    double deadline;
    uint64_t max_memory;
} options;

static bool positive(const char *text, double most, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && *value > 0 && *value <= most;
}

static bool parse_options(int count, char **words, options *o) {
    double bytes;
    for (int i = 0; i < count; i += 2) {
        const char *value = i + 1 < count ? words[i + 1] : NULL;
        if (!value) return false;
        if (!strcmp(words[i], "--plan"))
            o->plan = value;
        else if (!strcmp(words[i], "--out"))
            o->out = value;
        else if (!strcmp(words[i], "--only"))
            o->only = value;
        else if (!strcmp(words[i], "--deadline")) {
            if (!positive(value, LONGEST_RUN_SECONDS, &o->deadline)) return false;
        } else if (!strcmp(words[i], "--max-memory")) {
            if (!positive(value, 0x1p50, &bytes)) return false;
            o->max_memory = (uint64_t)bytes;
        } else
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    options o = {.deadline = RUN_SECONDS};
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "version") && argc == 2) return print_version();
    if (!strcmp(command, "version") && argc == 3 && !strcmp(argv[2], "--json")) return print_abilities();
    bool probe = !strcmp(command, "probe"), run = !strcmp(command, "run");
    if ((probe || run) && parse_options(argc - 2, argv + 2, &o) && o.out && (run ? o.plan && !o.only : !o.plan)) {
        if (o.only && strcmp(o.only, "cpu") && strcmp(o.only, "opencl") && strcmp(o.only, "vulkan")) {
            complain("--only is none of cpu, opencl, vulkan");
            return EXIT_USAGE;
        }
        if (!deadline_start(o.deadline)) {
            complain("cannot start the watchdog: %s", strerror(errno));
            return EXIT_BROKEN;
        }
        /* _exit: a driver's destructors and its threads are known to hang or crash after the work is done. */
        _exit(probe ? probe_device(o.out, o.only) : run_plan(o.plan, o.out, o.max_memory));
    }
    write_all(2, usage, sizeof usage - 1);
    return EXIT_USAGE;
}
