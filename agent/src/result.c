#include "result.h"

#include "system.h"

const char *const status_names[] = {"ok", "unsupported", "skipped", "error"};

status fault_set(fault *f, status s, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    return s;
}

static bool path_of(const result *r, const char *suffix, char *path, size_t size) {
    return snprintf(path, size, "%s.%s", r->name, suffix) < (int)size;
}

bool result_open(result *r, const plan *p, const char *name) {
    char path[400];
    *r = (result){.plan = p, .name = name, .bin = -1, .before = load_now()};
    r->builds = calloc((size_t)p->kernel_count + 1, sizeof *r->builds);
    r->steps = calloc((size_t)p->step_count + 1, sizeof *r->steps);
    errno = ENOMEM;
    if (!r->builds || !r->steps || !path_of(r, "bin", path, sizeof path)) return false;
    r->bin = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return r->bin >= 0 && result_save(r, false);
}

bool result_append(result *r, const void *data, size_t size) {
    if (!write_all(r->bin, data, size)) return false;
    r->bin_size += size;
    return true;
}

static void write_step(json *j, const plan *p, const plan_step *step, const step_row *row) {
    json_open(j, NULL, '{');
    json_string(j, "name", step->name);
    json_string(j, "status", status_names[row->status]);
    json_string(j, "reason", row->reason.text[0] ? row->reason.text : NULL);
    json_open(j, "samples_ns", '[');
    for (int i = 0; i < row->sample_count; i++) json_int(j, NULL, row->samples[i]);
    json_close(j, ']');
    json_open(j, "device_ns", '[');
    for (int i = 0; i < row->device_count; i++) json_int(j, NULL, row->device[i]);
    json_close(j, ']');
    json_open(j, "bits", '[');
    for (int i = 0; i < row->sample_count; i++) json_format(j, NULL, "%016llx", (unsigned long long)row->bits[i]);
    json_close(j, ']');
    if (row->others.threads) contention_json(j, &row->others);
    if (row->peak) json_uint(j, "peak_rss_bytes", row->peak);
    json_open(j, "outputs", '[');
    uint64_t offset = row->offset;
    for (int i = 0; row->has_outputs && i < step->return_count; i++) {
        const plan_buffer *b = &p->buffers[step->returns[i]];
        json_open(j, NULL, '{');
        json_string(j, "name", b->name);
        json_uint(j, "offset", offset);
        json_uint(j, "bytes", b->bytes);
        json_close(j, '}');
        offset += b->bytes;
    }
    json_close(j, ']');
    json_close(j, '}');
}

bool result_save(const result *r, bool complete) {
    const plan *p = r->plan;
    json j = {0};
    json_open(&j, NULL, '{');
    json_string(&j, "agent", GEMMAFIT_VERSION);
    json_string(&j, "abi", GEMMAFIT_ABI);
    json_string(&j, "backend", p->backend);
    json_bool(&j, "complete", complete);
    json_string(&j, "error", r->error);
    if (r->device.type) {
        json_open(&j, "device", '{');
        json_string(&j, "name", r->device.name);
        json_string(&j, "driver", r->device.driver);
        json_string(&j, "type", r->device.type);
        json_close(&j, '}');
    } else {
        json_string(&j, "device", NULL);
    }
    json_open(&j, "memory", '{');
    json_uint(&j, "peak_rss_bytes", memory_peak());
    json_bool(&j, "too_large", r->too_large);
    json_close(&j, '}');
    json_open(&j, "load", '{');
    load_json(&j, "before", &r->before);
    if (complete) load_json(&j, "after", &r->after);
    json_close(&j, '}');
    json_open(&j, "build", '[');
    for (int i = 0; i < r->build_count; i++) {
        json_open(&j, NULL, '{');
        json_string(&j, "kernel", p->kernels[i].name);
        json_string(&j, "status", status_names[r->builds[i].status]);
        json_bool(&j, "kept", r->builds[i].kept);
        json_seconds(&j, "seconds", r->builds[i].ns);
        json_string(&j, "log", r->builds[i].log ? r->builds[i].log : "");
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_open(&j, "steps", '[');
    for (int i = 0; i < r->step_count; i++) write_step(&j, p, &p->steps[i], &r->steps[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    char path[400];
    bool ok = path_of(r, "json", path, sizeof path) && file_replace(path, &j);
    json_free(&j);
    return ok;
}
