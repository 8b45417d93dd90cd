/* Stands before the real OpenCL library of this computer and fails in one way. The agent opens it by its name, as a
 * wrapper that hands out functions; Python's calls meet it first because it is loaded before everything else.
 *
 * The environment's FAULT:
 * - compile: kernels with -DLAYOUT=3 do not compile
 * - numbers: those of them for 8 bits compute something else
 * - memory: buffers above 64 KiB are refused when they are made
 * - late: memory is refused when a kernel uses it
 * - timer: the device's clock stands at 0
 * - lost: every wait fails, from the third on
 *
 * FAULT_ONCE names a file: only the first process is faulty, which removes it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *real(const char *name) {
    void *library = dlopen(REAL_OPENCL, RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, name) : NULL;
    if (!function) abort();
    return function;
}

static int fault(const char *name) {
    static int active = -1;
    const char *wanted = getenv("FAULT"), *once = getenv("FAULT_ONCE");
    if (active < 0) active = !once || unlink(once) == 0;
    return active && wanted && !strcmp(wanted, name);
}

int32_t clBuildProgram(void *program, uint32_t count, void *const *devices, const char *options, void *notify,
                       void *data) {
    int32_t (*build)(void *, uint32_t, void *const *, const char *, void *, void *) = real("clBuildProgram");
    char more[4096];
    if (options && strstr(options, "-DLAYOUT=3")) {
        if (fault("compile")) return -11; /* CL_BUILD_PROGRAM_FAILURE */
        if (fault("numbers")) {
            snprintf(more, sizeof more, "%s", options);
            char *bits = strstr(more, "-DBITS=8");
            if (bits) bits[7] = '4';
            options = more;
        }
    }
    return build(program, count, devices, options, notify, data);
}

void *clCreateBuffer(void *context, uint64_t flags, size_t size, void *host, int32_t *error) {
    void *(*create)(void *, uint64_t, size_t, void *, int32_t *) = real("clCreateBuffer");
    if (fault("memory") && size > 1 << 16) {
        if (error) *error = -4; /* CL_MEM_OBJECT_ALLOCATION_FAILURE */
        return NULL;
    }
    return create(context, flags, size, host, error);
}

int32_t clEnqueueNDRangeKernel(void *queue, void *kernel, uint32_t dimensions, const size_t *offset,
                               const size_t *global, const size_t *local, uint32_t count, void *const *wait,
                               void **event) {
    int32_t (*enqueue)(void *, void *, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t,
                       void *const *, void **) = real("clEnqueueNDRangeKernel");
    if (fault("late")) return -4;
    return enqueue(queue, kernel, dimensions, offset, global, local, count, wait, event);
}

int32_t clFinish(void *queue) {
    int32_t (*finish)(void *) = real("clFinish");
    static int calls;
    const int32_t error = finish(queue);
    return fault("lost") && ++calls > 2 ? -5 : error; /* CL_OUT_OF_RESOURCES: what drivers say of a reset GPU */
}

int32_t clGetEventProfilingInfo(void *event, uint32_t name, size_t size, void *value, size_t *written) {
    int32_t (*get)(void *, uint32_t, size_t, void *, size_t *) = real("clGetEventProfilingInfo");
    const int32_t error = get(event, name, size, value, written);
    if (fault("timer") && value && size == 8) memset(value, 0, 8);
    return error;
}

void enableOpenCL(void) {}

/* As the wrappers that some phones have in place of the library. */
void *loadOpenCLPointer(const char *name) {
    static const struct {
        const char *name;
        void *function;
    } own[] = {
        {"clBuildProgram", clBuildProgram},
        {"clCreateBuffer", clCreateBuffer},
        {"clEnqueueNDRangeKernel", clEnqueueNDRangeKernel},
        {"clFinish", clFinish},
        {"clGetEventProfilingInfo", clGetEventProfilingInfo},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcmp(own[i].name, name)) return own[i].function;
    return real(name);
}
