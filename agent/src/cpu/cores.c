/* Which cores are worth using: the fastest clusters of this machine. */
#include "../platform.h"
#include "pool.h"

#define CPU_DIR "/sys/devices/system/cpu/"

/* A number from a one-line file, or -1. */
static long read_number(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) return -1;
    char line[64];
    long value = -1;
    if (fgets(line, sizeof line, file)) {
        value = 0;
        const char *p = line;
        for (; *p >= '0' && *p <= '9' && value < 100000000; p++) value = value * 10 + (*p - '0');
        if (p == line) value = -1;
    }
    fclose(file);
    return value;
}

static long core_number(int cpu, const char *name) {
    char path[128];
    snprintf(path, sizeof path, CPU_DIR "cpu%d/%s", cpu, name);
    return read_number(path);
}

/* A core counts as fast from this percentage of the best core's figure. Capacity is throughput (1024 = best): an
 * efficiency core has 20..40 % of the prime core's, a performance core 60 % and more. Frequency alone says less:
 * Cortex-A55 beside A76 runs at 63 % of its clock (Snapdragon 855), so its threshold is higher. */
enum { CAPACITY_PERCENT = 50, FREQUENCY_PERCENT = 75 };

int cpu_fastest_cores(int *cpus, int capacity) {
    long score[CPU_MAX_THREADS], frequency[CPU_MAX_THREADS];
    int online[CPU_MAX_THREADS], count = 0, complete = 1;
    long best = 0, best_frequency = 0;
    for (int cpu = 0; cpu < CPU_MAX_THREADS && count < capacity; cpu++) {
        char path[128];
        snprintf(path, sizeof path, CPU_DIR "cpu%d", cpu);
        if (access(path, 0) != 0) continue;
        if (core_number(cpu, "online") == 0) continue; /* no such file: a core that cannot go offline */
        score[count] = core_number(cpu, "cpu_capacity");
        frequency[count] = core_number(cpu, "cpufreq/cpuinfo_max_freq");
        if (score[count] <= 0) complete = 0;
        if (score[count] > best) best = score[count];
        if (frequency[count] > best_frequency) best_frequency = frequency[count];
        online[count++] = cpu;
    }
    int chosen = 0;
    for (int i = 0; i < count; i++) {
        int fast = 1;
        if (complete)
            fast = score[i] * 100 >= best * CAPACITY_PERCENT;
        else if (best_frequency > 0)
            fast = frequency[i] * 100 >= best_frequency * FREQUENCY_PERCENT;
        if (fast) cpus[chosen++] = online[i];
    }
    if (!chosen) cpus[chosen++] = 0; /* no sysfs: one core exists */
    return chosen;
}
