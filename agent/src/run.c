#include "run.h"

#include "fill.h"
#include "programs.h"
#include "result.h"
#include "storage.h"
#include "system.h"

enum { CHUNK = 4 << 20, MAX_SOURCE = 8 << 20 };

typedef struct run {
    plan plan;
    const executor *on;
    result result;
    fault *buffer_faults, *kernel_faults; /* empty text: usable */
    status *buffer_status, *kernel_status;
    uint8_t *scratch; /* for what is not in this process's ordinary memory */
    size_t scratch_size;
} run;

/* A plan must leave the phone alive: Android kills other apps long before memory runs out. */
static uint64_t memory_limit(uint64_t asked) {
    if (asked) return asked;
    uint64_t available = memory_now().available, part = available / 100 * FREE_PERCENT;
    return available && part < AGENT_BYTES ? part : AGENT_BYTES;
}

static void say_step(const char *name, int done, int total) {
    json j = {0};
    json_open(&j, NULL, '{');
    json_string(&j, "event", "step");
    json_string(&j, "name", name);
    json_int(&j, "done", done);
    json_int(&j, "total", total);
    json_close(&j, '}');
    json_print(&j); /* nobody listening any more is no reason to stop */
    json_free(&j);
}

static bool save(run *r, bool complete) {
    if (result_save(&r->result, complete)) return true;
    complain("%s: cannot write the result: %s", r->result.name, strerror(errno));
    return false;
}

static status fill_buffer(run *r, int index, fault *f) {
    const plan_buffer *b = &r->plan.buffers[index];
    uint8_t *host = r->on->host(index);
    for (size_t offset = 0; offset < b->bytes;) {
        if (deadline_passed()) return fault_set(f, STATUS_SKIPPED, "%s", deadline_reason());
        size_t size = b->bytes - offset < CHUNK ? b->bytes - offset : CHUNK;
        fill_write(b, offset, size, host ? host + offset : r->scratch);
        status s = host ? STATUS_OK : r->on->write(index, offset, r->scratch, size, f);
        if (s != STATUS_OK) return s;
        offset += size;
    }
    return STATUS_OK;
}

static void make_buffers(run *r) {
    for (int i = 0; i < r->plan.buffer_count && !deadline_passed(); i++) {
        const plan_buffer *b = &r->plan.buffers[i];
        fault f = {""};
        status s = r->on->allocate(i, &f);
        if (s == STATUS_OK && !b->stored) s = fill_buffer(r, i, &f);
        r->buffer_status[i] = s;
        if (s != STATUS_OK)
            fault_set(&r->buffer_faults[i], s, "buffer %s (%zu bytes): %.300s", b->name, b->bytes, f.text);
    }
}

static void build_kernel(run *r, int index) {
    const plan_kernel *k = &r->plan.kernels[index];
    static char log[LOG_MAX + 1];
    fault f = {""};
    size_t size = 0;
    char *source = NULL;
    int64_t start = clock_ns();
    status s = STATUS_OK;
    log[0] = 0;
    if (k->file && !(source = file_read(k->file, MAX_SOURCE, &size)))
        s = fault_set(&f, STATUS_ERROR, "%s: %s", k->file, strerror(errno));
    build_row *row = &r->result.builds[r->result.build_count++];
    if (s == STATUS_OK) s = r->on->build(index, source, size, log, &row->kept, &f);
    free(source);
    row->status = s;
    row->ns = clock_ns() - start;
    /* The reason first, then the compiler's own words. */
    size_t used = strlen(f.text), more = strlen(log);
    row->log = malloc(used + more + 2);
    if (row->log) snprintf(row->log, used + more + 2, "%s%s%s", f.text, used && more ? "\n" : "", log);
    r->kernel_status[index] = s;
    if (s != STATUS_OK)
        fault_set(&r->kernel_faults[index], s, "kernel %s did not build: %.300s", k->name, f.text[0] ? f.text : log);
}

/* The status of what a step uses: that of the first thing that is not usable. */
static status usable(const run *r, const plan_step *step, fault *f) {
    int bad_buffer = -1;
    for (int i = 0; i < step->dispatch_count; i++) {
        const plan_dispatch *d = &r->plan.dispatches[step->first_dispatch + i];
        if (r->kernel_status[d->kernel] != STATUS_OK) {
            *f = r->kernel_faults[d->kernel];
            return r->kernel_status[d->kernel];
        }
        for (int a = 0; a < d->arg_count; a++)
            if (d->args[a].kind == 'B' && r->buffer_status[d->args[a].u] != STATUS_OK) bad_buffer = (int)d->args[a].u;
    }
    for (int i = 0; i < step->return_count; i++)
        if (r->buffer_status[step->returns[i]] != STATUS_OK) bad_buffer = step->returns[i];
    for (int i = 0; step->load && i < r->plan.buffer_count; i++)
        if (r->plan.buffers[i].stored && r->buffer_status[i] != STATUS_OK) bad_buffer = i;
    if (step->transfer && r->buffer_status[step->transferred] != STATUS_OK) bad_buffer = step->transferred;
    if (bad_buffer < 0) return STATUS_OK;
    *f = r->buffer_faults[bad_buffer];
    return r->buffer_status[bad_buffer];
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Goes through the returned buffers: hashes them, or appends them to the .bin file. */
static status visit_outputs(run *r, const plan_step *step, uint64_t *hash, fault *f) {
    for (int i = 0; i < step->return_count; i++) {
        int index = step->returns[i];
        const plan_buffer *b = &r->plan.buffers[index];
        const uint8_t *data = r->on->host(index);
        if (!data) {
            status s = r->on->read(index, r->scratch, f);
            if (s != STATUS_OK) return s;
            data = r->scratch;
        } else if (r->on->uncached) {
            data = memcpy(r->scratch, data, b->bytes);
        }
        if (hash)
            *hash = fnv1a(*hash, data, b->bytes);
        else if (!result_append(&r->result, data, b->bytes))
            return fault_set(f, STATUS_ERROR, "cannot write the outputs: %s", strerror(errno));
    }
    return STATUS_OK;
}

/* What is not timed, before each repeat. */
static status ready(const run *r, const plan_step *step, fault *f) {
    if (step->load) return step->cold ? storage_evict(f) : STATUS_OK;
    if (r->on->wake && step->dispatch_count) r->on->wake();
    return STATUS_OK;
}

/* One repeat. */
static status perform(run *r, const plan_step *step, int64_t *device_ns, fault *f) {
    *device_ns = 0;
    if (step->transfer) return r->on->transfer(step->transfer, step->transferred, r->scratch, f);
    /* What neither a kernel nor the host looks at is read and not copied. */
    const executor *on = step->dispatch_count || step->return_count ? r->on : NULL;
    status s = step->load ? storage_load(&r->plan, on, step->load, f) : STATUS_OK;
    if (s != STATUS_OK || !step->dispatch_count) return s;
    s = r->on->submit(device_ns, f);
    if (step->load) *device_ns = 0; /* it saw a part of the repeat only */
    return s;
}

/* Who works on a step: the threads of this process, also where they are those of a driver that computes on the CPU;
 * else the one that waits for the device. */
static void begin_watch(const run *r, const plan_step *step, contention *others) {
    bool computes = step->dispatch_count && !step->load, on_cpu = !strcmp(r->result.device.type, "cpu");
    int most = (int)sysconf(_SC_NPROCESSORS_ONLN);
    others->computing = computes && r->on->threads;
    others->threads = !computes ? 1 : r->on->threads ? r->on->threads() : on_cpu ? most : 1;
    contention_start(others, on_cpu);
}

static status time_step(run *r, const plan_step *step, step_row *row, fault *f) {
    int64_t device_ns, total = 0, last = 0;
    if (step->transfer && !r->on->transfer)
        return fault_set(f, STATUS_UNSUPPORTED, "host and device are one here: nothing is transferred");
    status s = step->dispatch_count ? r->on->prepare(step, f) : STATUS_OK;
    if (step->load) memory_peak_reset();
    /* Pages that were never written are all one page of zeros, which a cache holds. */
    if (step->transfer) memset(r->scratch, 1, r->plan.buffers[step->transferred].bytes);
    for (int i = 0; s == STATUS_OK && i < step->warmup && !deadline_passed(); i++) s = perform(r, step, &device_ns, f);
    begin_watch(r, step, &row->others);
    while (s == STATUS_OK && row->sample_count < step->repeat_max) {
        if (row->sample_count >= step->repeat_min && total >= step->budget_ns) break;
        /* A driver's call cannot be stopped: one that would outlast the deadline is not begun, or the row is lost. */
        if (deadline_within(last)) {
            fault_set(f, STATUS_OK, "deadline after %d repeats", row->sample_count);
            break;
        }
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        if ((s = ready(r, step, f)) != STATUS_OK) break;
        contention_before(&row->others);
        int64_t start = clock_ns();
        s = perform(r, step, &device_ns, f);
        int64_t ns = clock_ns() - start;
        contention_after(&row->others);
        if (s == STATUS_OK) s = visit_outputs(r, step, &hash, f);
        if (s != STATUS_OK) break;
        row->samples[row->sample_count] = ns > 0 ? ns : 1;
        row->bits[row->sample_count++] = hash;
        if (device_ns > 0) row->device[row->device_count++] = device_ns;
        total += last = ns;
    }
    contention_end(&row->others);
    if (!row->sample_count) row->others.threads = 0;
    row->others.repeats = row->sample_count; /* one that failed is in neither */
    if (step->load) row->peak = memory_peak();
    if (s == STATUS_OK && !row->sample_count) s = STATUS_SKIPPED;
    return s;
}

static void run_step(run *r, int index) {
    const plan_step *step = &r->plan.steps[index];
    step_row *row = &r->result.steps[r->result.step_count];
    size_t most = (size_t)step->repeat_max;
    row->samples = malloc(5 * most * sizeof(int64_t));
    row->status = usable(r, step, &row->reason);
    if (row->status == STATUS_OK && !row->samples)
        row->status = fault_set(&row->reason, STATUS_ERROR, "no memory for %zu samples", most);
    if (row->status == STATUS_OK) {
        row->device = row->samples + most;
        row->bits = (uint64_t *)(row->samples + 2 * most);
        row->others.cpu = row->samples + 3 * most;
        row->others.waited = row->samples + 4 * most;
        row->status = time_step(r, step, row, &row->reason);
    }
    if (row->sample_count) {
        fault f = {""};
        row->offset = r->result.bin_size;
        status s = visit_outputs(r, step, NULL, &f);
        row->has_outputs = s == STATUS_OK;
        if (s != STATUS_OK && row->status == STATUS_OK) {
            row->status = s;
            row->reason = f;
        }
        row->offset = row->has_outputs ? row->offset : 0;
    }
    r->result.step_count++;
}

/* All steps, with one status and reason: what was decided before anything ran. */
static void refuse_all(run *r, status s, const char *reason) {
    for (int i = 0; i < r->plan.step_count; i++) {
        step_row *row = &r->result.steps[r->result.step_count++];
        row->status = fault_set(&row->reason, s, "%s", reason);
    }
}

static bool prepare_run(run *r) {
    size_t buffers = (size_t)r->plan.buffer_count + 1, kernels = (size_t)r->plan.kernel_count + 1;
    r->buffer_faults = calloc(buffers, sizeof *r->buffer_faults);
    r->kernel_faults = calloc(kernels, sizeof *r->kernel_faults);
    r->buffer_status = calloc(buffers, sizeof *r->buffer_status);
    r->kernel_status = calloc(kernels, sizeof *r->kernel_status);
    /* Touched only as far as it is used. */
    r->scratch_size = CHUNK;
    for (int i = 0; i < r->plan.step_count; i++)
        for (int k = 0; k < r->plan.steps[i].return_count; k++) {
            size_t bytes = r->plan.buffers[r->plan.steps[i].returns[k]].bytes;
            if (bytes > r->scratch_size) r->scratch_size = bytes;
        }
    for (int i = 0; i < r->plan.step_count; i++) {
        const plan_step *step = &r->plan.steps[i];
        size_t bytes = step->transfer ? r->plan.buffers[step->transferred].bytes : 0;
        if (bytes > r->scratch_size) r->scratch_size = bytes;
    }
    r->scratch = malloc(r->scratch_size);
    return r->buffer_faults && r->kernel_faults && r->buffer_status && r->kernel_status && r->scratch;
}

static int execute(run *r) {
    fault f = {""};
    make_buffers(r);
    status stored = deadline_passed() ? STATUS_OK : storage_create(&r->plan, &f);
    for (int i = 0; stored != STATUS_OK && i < r->plan.buffer_count; i++)
        if (r->plan.buffers[i].stored && r->buffer_status[i] == STATUS_OK) {
            r->buffer_status[i] = stored;
            r->buffer_faults[i] = f;
        }
    for (int i = 0; i < r->plan.kernel_count && !deadline_passed(); i++) build_kernel(r, i);
    if (!save(r, false)) return EXIT_BROKEN;
    for (int i = 0; i < r->plan.step_count && !deadline_passed(); i++) {
        run_step(r, i);
        if (!save(r, false)) return EXIT_BROKEN;
        say_step(r->plan.steps[i].name, i + 1, r->plan.step_count);
    }
    if (programs_mode_of(&r->plan) == PROGRAMS_KEEP && r->on->keep && !deadline_passed()) r->on->keep();
    bool complete = r->result.step_count == r->plan.step_count;
    r->result.error = complete ? NULL : deadline_reason();
    r->result.after = load_now();
    return save(r, complete) ? EXIT_OK : EXIT_BROKEN;
}

int run_plan(const char *plan_path, const char *name, uint64_t max_memory) {
    static run r;
    static fault f;
    char error[300];
    size_t size;
    char *text = file_read(plan_path, PLAN_MAX_BYTES, &size);
    if (!text) {
        complain("%s: %s", plan_path, strerror(errno));
        return EXIT_USAGE;
    }
    if (!plan_parse(&r.plan, text, size, error, sizeof error)) {
        complain("%s: %s", plan_path, error);
        return EXIT_USAGE;
    }
    if (programs_mode_of(&r.plan) < 0) {
        complain("%s: option programs is none of keep, warm, cold", plan_path);
        return EXIT_USAGE;
    }
    if (!result_open(&r.result, &r.plan, name) || !prepare_run(&r)) {
        complain("%s: cannot write the result: %s", name, strerror(errno));
        return EXIT_BROKEN;
    }
    uint64_t needed = plan_bytes(&r.plan), limit = memory_limit(max_memory);
    if (needed > limit) {
        fault_set(&f, STATUS_SKIPPED, "the plan's buffers need %llu bytes, the limit is %llu",
                  (unsigned long long)needed, (unsigned long long)limit);
        r.result.error = f.text;
        r.result.too_large = true;
        refuse_all(&r, STATUS_SKIPPED, f.text);
        return save(&r, true) ? EXIT_OK : EXIT_BROKEN;
    }
    const char *backend = r.plan.backend;
    r.on = !strcmp(backend, "cpu") ? &cpu_executor : !strcmp(backend, "opencl") ? &opencl_executor : &vulkan_executor;
    if (r.on->open(&r.plan, &r.result.device, &f) != STATUS_OK) {
        r.result.error = f.text;
        r.result.device.type = NULL;
        return save(&r, true) ? EXIT_MISSING : EXIT_BROKEN;
    }
    if (!save(&r, false)) return EXIT_BROKEN;
    return execute(&r);
}
