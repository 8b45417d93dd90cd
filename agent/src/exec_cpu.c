/* The executor of the built-in CPU routines (cpu/). */
#include "cpu/cpu.h"
#include "executor.h"

static struct {
    const plan *plan;
    cpu_pool *pool;
    void **data;         /* of each buffer */
    cpu_kernel *kernels; /* of the plan */
    const plan_step *step;
} cpu;

static void describe_cpu(device_info *device) {
    const cpu_isa *best = cpu_best_isa();
    snprintf(device->name, sizeof device->name, "%s, %d threads", GEMMAFIT_ABI, cpu_pool_threads(cpu.pool));
    snprintf(device->driver, sizeof device->driver, "isa %s, cpus %s", best->name, cpu_pool_cpus(cpu.pool));
    device->type = "cpu";
}

static status open_cpu(const plan *p, device_info *device, fault *f) {
    char error[200];
    int threads = plan_option_number(p, "threads", CPU_MAX_THREADS);
    if (threads == -2) return fault_set(f, STATUS_ERROR, "option threads is not a number in 0..%d", CPU_MAX_THREADS);
    cpu.plan = p;
    cpu.data = calloc((size_t)p->buffer_count + 1, sizeof *cpu.data);
    cpu.kernels = calloc((size_t)p->kernel_count + 1, sizeof *cpu.kernels);
    if (!cpu.data || !cpu.kernels) return fault_set(f, STATUS_ERROR, "out of memory");
    cpu.pool = cpu_pool_create(threads < 0 ? 0 : threads, plan_option_value(p, "cpus"), error, sizeof error);
    if (!cpu.pool) return fault_set(f, STATUS_ERROR, "%s", error);
    describe_cpu(device);
    return STATUS_OK;
}

static status allocate_cpu(int buffer, fault *f) {
    size_t bytes = cpu.plan->buffers[buffer].bytes;
    cpu.data[buffer] = cpu_alloc(bytes);
    return cpu.data[buffer] ? STATUS_OK : fault_set(f, STATUS_ERROR, "no memory for %zu bytes", bytes);
}

static void *host_cpu(int buffer) {
    return cpu.data[buffer];
}

static int threads_cpu(void) {
    return cpu_pool_threads(cpu.pool);
}

static void wake_cpu(void) {
    cpu_pool_wake(cpu.pool);
}

static status build_cpu(int kernel, const char *source, size_t size, char *log, bool *kept, fault *f) {
    const plan_kernel *k = &cpu.plan->kernels[kernel];
    (void)source, (void)size, (void)log, (void)kept;
    if (!k->routine) return fault_set(f, STATUS_ERROR, "a CPU kernel needs routine=");
    const char *error = cpu_find(k->routine, k->isa, &cpu.kernels[kernel]);
    if (!error) return STATUS_OK;
    return fault_set(f, cpu.kernels[kernel].lacking ? STATUS_UNSUPPORTED : STATUS_ERROR, "%s", error);
}

static status prepare_cpu(const plan_step *step, fault *f) {
    cpu.step = step;
    for (int i = 0; i < step->dispatch_count; i++) {
        const plan_dispatch *d = &cpu.plan->dispatches[step->first_dispatch + i];
        const cpu_routine *routine = cpu.kernels[d->kernel].routine;
        char found[PLAN_MAX_ARGS + 1] = "";
        for (int a = 0; a < d->arg_count; a++) found[a] = d->args[a].kind;
        if (strcmp(found, routine->signature))
            return fault_set(f, STATUS_ERROR, "%s takes the arguments %s, not %s", routine->name, routine->signature,
                             found);
    }
    return STATUS_OK;
}

static status submit_cpu(int64_t *device_ns, fault *f) {
    *device_ns = 0;
    for (int i = 0; i < cpu.step->dispatch_count; i++) {
        const plan_dispatch *d = &cpu.plan->dispatches[cpu.step->first_dispatch + i];
        cpu_arg args[PLAN_MAX_ARGS];
        for (int a = 0; a < d->arg_count; a++) {
            const plan_arg *given = &d->args[a];
            args[a] = (cpu_arg){.i = (int32_t)given->u, .f = given->f};
            if (given->kind != 'B') continue;
            args[a].data = cpu.data[given->u];
            args[a].size = cpu.plan->buffers[given->u].bytes;
        }
        const char *error = cpu_run(cpu.pool, &cpu.kernels[d->kernel], args);
        if (error) return fault_set(f, STATUS_ERROR, "%s: %s", cpu.plan->kernels[d->kernel].name, error);
    }
    return STATUS_OK;
}

/* Every buffer has a host address, so there is nothing to copy. */
const executor cpu_executor = {
    .open = open_cpu,
    .allocate = allocate_cpu,
    .host = host_cpu,
    .threads = threads_cpu,
    .wake = wake_cpu,
    .build = build_cpu,
    .prepare = prepare_cpu,
    .submit = submit_cpu,
};
