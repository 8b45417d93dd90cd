/* The executor of OpenCL kernels. One in-order queue: a dispatch sees all that the one before it wrote. */
#include "executor.h"
#include "opencl.h"
#include "programs.h"

static struct {
    const plan *plan;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    bool profiling;
    cl_ulong max_buffer, local_memory;
    cl_mem *buffers;      /* of the plan */
    cl_program *programs; /* of the plan's kernels */
    bool *kept;           /* whether an earlier process kept it */
    cl_kernel *step;      /* one object a dispatch, which keeps its arguments */
    const plan_step *plan_step;
} gpu;

static status refused(fault *f, cl_int error, const char *function) {
    return fault_set(f, STATUS_ERROR, "%s in %s", opencl_error_name(error), function);
}

static void device_text(cl_uint id, char *text, size_t size) {
    size_t length = 0;
    if (cl.clGetDeviceInfo(gpu.device, id, size - 1, text, &length) != CL_SUCCESS || length >= size) length = 0;
    text[length] = 0;
}

static void describe_device(device_info *info) {
    cl_bitfield type = 0;
    device_text(CL_DEVICE_NAME, info->name, sizeof info->name);
    device_text(CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    info->type = opencl_type_name(type);
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof gpu.max_buffer, &gpu.max_buffer, NULL);
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof gpu.local_memory, &gpu.local_memory, NULL);
}

/* The device of the option `device` (an index over all platforms), else the one that the engine would take. */
static status choose(const plan *p, fault *f) {
    static opencl_devices found;
    char error[300];
    if (!opencl_load(error, sizeof error)) return fault_set(f, STATUS_ERROR, "%s", error);
    opencl_find(&found);
    int wanted = plan_option_number(p, "device", INT32_MAX);
    if (wanted == -2 || wanted >= found.count)
        return fault_set(f, STATUS_ERROR, "no OpenCL device number %s: there are %d", plan_option_value(p, "device"),
                         found.count);
    if (wanted < 0) wanted = found.chosen;
    if (wanted < 0) return fault_set(f, STATUS_ERROR, "%s", found.error);
    gpu.device = found.all[wanted].device;
    intptr_t properties[] = {CL_CONTEXT_PLATFORM, (intptr_t)found.all[wanted].platform, 0};
    cl_int code = CL_SUCCESS;
    gpu.context = cl.clCreateContext(properties, 1, &gpu.device, NULL, NULL, &code);
    return gpu.context ? STATUS_OK : refused(f, code, "clCreateContext");
}

static status open_opencl(const plan *p, device_info *device, fault *f) {
    gpu.plan = p;
    status s = choose(p, f);
    if (s != STATUS_OK) return s;
    describe_device(device);
    cl_int error = CL_SUCCESS;
    gpu.queue = cl.clCreateCommandQueue(gpu.context, gpu.device, CL_QUEUE_PROFILING_ENABLE, &error);
    gpu.profiling = gpu.queue != NULL;
    if (!gpu.queue) gpu.queue = cl.clCreateCommandQueue(gpu.context, gpu.device, 0, &error);
    if (!gpu.queue) return refused(f, error, "clCreateCommandQueue");
    int most = 0;
    for (int i = 0; i < p->step_count; i++)
        if (p->steps[i].dispatch_count > most) most = p->steps[i].dispatch_count;
    gpu.buffers = calloc((size_t)p->buffer_count + 1, sizeof *gpu.buffers);
    gpu.programs = calloc((size_t)p->kernel_count + 1, sizeof *gpu.programs);
    gpu.kept = calloc((size_t)p->kernel_count + 1, sizeof *gpu.kept);
    gpu.step = calloc((size_t)most + 1, sizeof *gpu.step);
    bool ok = gpu.buffers && gpu.programs && gpu.kept && gpu.step;
    return ok ? STATUS_OK : fault_set(f, STATUS_ERROR, "out of memory");
}

/* The weights of some GPUs come faster through the texture cache: memory as rows of CL_RGBA texels. */
static status allocate_image(int buffer, fault *f) {
    const plan_buffer *b = &gpu.plan->buffers[buffer];
    const cl_image_format format = {CL_RGBA, b->texel_bytes == 8 ? CL_UNSIGNED_INT16 : CL_UNSIGNED_INT32};
    const cl_image_desc image = {
        .type = CL_MEM_OBJECT_IMAGE2D, .width = b->image_width, .height = b->bytes / b->image_width / b->texel_bytes};
    cl_uint has_images = 0;
    size_t width = 0, height = 0;
    cl_int error = CL_SUCCESS;
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_IMAGE_SUPPORT, sizeof has_images, &has_images, NULL);
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_IMAGE2D_MAX_WIDTH, sizeof width, &width, NULL);
    cl.clGetDeviceInfo(gpu.device, CL_DEVICE_IMAGE2D_MAX_HEIGHT, sizeof height, &height, NULL);
    if (!has_images || !cl.clCreateImage || !cl.clEnqueueWriteImage || !cl.clEnqueueReadImage)
        return fault_set(f, STATUS_UNSUPPORTED, "the device has no images");
    if (image.width > width || image.height > height)
        return fault_set(f, STATUS_UNSUPPORTED, "an image of %zu x %zu is over the device's %zu x %zu", image.width,
                         image.height, width, height);
    gpu.buffers[buffer] = cl.clCreateImage(gpu.context, CL_MEM_READ_ONLY, &format, &image, NULL, &error);
    return gpu.buffers[buffer] ? STATUS_OK : refused(f, error, "clCreateImage");
}

static status allocate_opencl(int buffer, fault *f) {
    cl_int error = CL_SUCCESS;
    size_t bytes = gpu.plan->buffers[buffer].bytes;
    if (gpu.max_buffer && bytes > gpu.max_buffer)
        return fault_set(f, STATUS_UNSUPPORTED, "over CL_DEVICE_MAX_MEM_ALLOC_SIZE (%llu bytes)",
                         (unsigned long long)gpu.max_buffer);
    if (gpu.plan->buffers[buffer].texel_bytes) return allocate_image(buffer, f);
    gpu.buffers[buffer] = cl.clCreateBuffer(gpu.context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    return gpu.buffers[buffer] ? STATUS_OK : refused(f, error, "clCreateBuffer");
}

static void *host_opencl(int buffer) {
    (void)buffer;
    return NULL;
}

/* Any whole number of texels: what is left of a row, then whole rows, then the beginning of one. */
static status write_image(int buffer, size_t offset, const uint8_t *data, size_t size, fault *f) {
    const plan_buffer *b = &gpu.plan->buffers[buffer];
    size_t at = offset / b->texel_bytes, left = size / b->texel_bytes, width = b->image_width;
    cl_int error = CL_SUCCESS;
    while (left && error == CL_SUCCESS) {
        const size_t x = at % width, rest = width - x;
        const size_t rows = !x && left >= width ? left / width : 1;
        const size_t origin[3] = {x, at / width, 0}, region[3] = {left < rest ? left : rest, rows, 1};
        const size_t texels = region[0] * rows;
        error =
            cl.clEnqueueWriteImage(gpu.queue, gpu.buffers[buffer], CL_TRUE, origin, region, 0, 0, data, 0, NULL, NULL);
        at += texels;
        left -= texels;
        data += texels * b->texel_bytes;
    }
    return error == CL_SUCCESS ? STATUS_OK : refused(f, error, "clEnqueueWriteImage");
}

static status write_opencl(int buffer, size_t offset, const void *data, size_t size, fault *f) {
    if (gpu.plan->buffers[buffer].texel_bytes) return write_image(buffer, offset, data, size, f);
    cl_int error = cl.clEnqueueWriteBuffer(gpu.queue, gpu.buffers[buffer], CL_TRUE, offset, size, data, 0, NULL, NULL);
    return error == CL_SUCCESS ? STATUS_OK : refused(f, error, "clEnqueueWriteBuffer");
}

static status read_image(int buffer, void *data, fault *f) {
    const plan_buffer *b = &gpu.plan->buffers[buffer];
    const size_t origin[3] = {0}, region[3] = {b->image_width, b->bytes / b->image_width / b->texel_bytes, 1};
    cl_int error =
        cl.clEnqueueReadImage(gpu.queue, gpu.buffers[buffer], CL_TRUE, origin, region, 0, 0, data, 0, NULL, NULL);
    return error == CL_SUCCESS ? STATUS_OK : refused(f, error, "clEnqueueReadImage");
}

static status read_opencl(int buffer, void *data, fault *f) {
    if (gpu.plan->buffers[buffer].texel_bytes) return read_image(buffer, data, f);
    size_t size = gpu.plan->buffers[buffer].bytes;
    cl_int error = cl.clEnqueueReadBuffer(gpu.queue, gpu.buffers[buffer], CL_TRUE, 0, size, data, 0, NULL, NULL);
    return error == CL_SUCCESS ? STATUS_OK : refused(f, error, "clEnqueueReadBuffer");
}

static status map_opencl(int buffer, const void *data, size_t size, fault *f) {
    cl_int error = CL_SUCCESS;
    cl_mem memory = gpu.buffers[buffer];
    void *mapped =
        cl.clEnqueueMapBuffer(gpu.queue, memory, CL_TRUE, CL_MAP_WRITE, 0, size, 0, NULL, NULL, &error);
    if (!mapped) return refused(f, error, "clEnqueueMapBuffer");
    memcpy(mapped, data, size);
    error = cl.clEnqueueUnmapMemObject(gpu.queue, memory, mapped, 0, NULL, NULL);
    if (error != CL_SUCCESS) return refused(f, error, "clEnqueueUnmapMemObject");
    error = cl.clFinish(gpu.queue);
    return error == CL_SUCCESS ? STATUS_OK : refused(f, error, "clFinish");
}

static status transfer_opencl(transfer_kind kind, int buffer, void *data, fault *f) {
    size_t size = gpu.plan->buffers[buffer].bytes;
    if (kind == TRANSFER_MAP) return map_opencl(buffer, data, size, f);
    return kind == TRANSFER_READ ? read_opencl(buffer, data, f) : write_opencl(buffer, 0, data, size, f);
}

static bool same_options(const plan_kernel *a, const plan_kernel *b) {
    if (a->option_count != b->option_count || strcmp(a->file, b->file)) return false;
    for (int i = 0; i < a->option_count; i++)
        if (strcmp(a->options[i], b->options[i])) return false;
    return true;
}

static void build_log(cl_program program, char *log) {
    static char whole[1 << 16];
    size_t size = 0;
    cl_int error = cl.clGetProgramBuildInfo(program, gpu.device, CL_PROGRAM_BUILD_LOG, sizeof whole - 1, whole, &size);
    if (error != CL_SUCCESS || size >= sizeof whole) {
        snprintf(log, LOG_MAX + 1, "the build log cannot be read: %s", opencl_error_name(error));
        return;
    }
    whole[size] = 0;
    snprintf(log, LOG_MAX + 1, "%s", whole);
}

static bool same_program(int kernel) {
    for (int i = 0; i < kernel; i++)
        if (gpu.programs[i] && same_options(&gpu.plan->kernels[kernel], &gpu.plan->kernels[i])) {
            gpu.programs[kernel] = gpu.programs[i];
            gpu.kept[kernel] = gpu.kept[i];
            return true;
        }
    return false;
}

/* The program as an earlier process kept it, or NULL. What the driver has against it is written to `log`. */
static cl_program take_program(const plan_kernel *k, const char *options, char *log) {
    size_t size = 0;
    cl_int error = CL_SUCCESS, state = CL_SUCCESS;
    const char *function = "clCreateProgramWithBinary";
    char *binary = program_take(gpu.plan, k->name, &size);
    if (!binary) {
        snprintf(log, LOG_MAX + 1, "no program was kept: built from source");
        return NULL;
    }
    const unsigned char *bytes = (const unsigned char *)binary;
    cl_program program = cl.clCreateProgramWithBinary(gpu.context, 1, &gpu.device, &size, &bytes, &state, &error);
    if (error == CL_SUCCESS) error = state;
    if (program && error == CL_SUCCESS) {
        function = "clBuildProgram";
        error = cl.clBuildProgram(program, 1, &gpu.device, options, NULL, NULL);
    }
    free(binary);
    if (program && error == CL_SUCCESS) return program;
    if (program) cl.clReleaseProgram(program);
    snprintf(log, LOG_MAX + 1, "the kept program was refused, %s in %s: built from source", opencl_error_name(error),
             function);
    return NULL;
}

static void keep_opencl(void) {
    for (int i = 0; i < gpu.plan->kernel_count; i++) {
        size_t size = 0;
        bool again = false;
        for (int k = 0; k < i; k++) again |= gpu.programs[k] == gpu.programs[i];
        if (!gpu.programs[i] || again) continue;
        cl_int error = cl.clGetProgramInfo(gpu.programs[i], CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL);
        unsigned char *binary = error == CL_SUCCESS && size ? malloc(size) : NULL;
        if (!binary) continue;
        error = cl.clGetProgramInfo(gpu.programs[i], CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL);
        if (error == CL_SUCCESS)
            program_keep(gpu.plan->kernels[i].name, binary, size);
        free(binary);
    }
}

/* A program is compiled once for all kernels of one file with the same options. */
static status compile(int kernel, const char *source, size_t size, char *log, fault *f) {
    const plan_kernel *k = &gpu.plan->kernels[kernel];
    if (same_program(kernel)) return STATUS_OK;
    char options[4096];
    size_t used = 0;
    options[0] = 0;
    for (int i = 0; i < k->option_count; i++) {
        int more = snprintf(options + used, sizeof options - used, "%s%s", i ? " " : "", k->options[i]);
        if (more < 0 || (used += (size_t)more) >= sizeof options)
            return fault_set(f, STATUS_ERROR, "the build options are longer than %zu bytes", sizeof options);
    }
    if (programs_mode_of(gpu.plan) == PROGRAMS_TAKE && (gpu.programs[kernel] = take_program(k, options, log))) {
        gpu.kept[kernel] = true;
        return STATUS_OK;
    }
    cl_int error = CL_SUCCESS;
    cl_program program = cl.clCreateProgramWithSource(gpu.context, 1, &source, &size, &error);
    if (!program) return refused(f, error, "clCreateProgramWithSource");
    error = cl.clBuildProgram(program, 1, &gpu.device, options, NULL, NULL);
    if (!log[0]) build_log(program, log);
    if (error != CL_SUCCESS) return refused(f, error, "clBuildProgram");
    gpu.programs[kernel] = program;
    return STATUS_OK;
}

static status new_kernel(int kernel, cl_kernel *out, fault *f) {
    cl_int error = CL_SUCCESS;
    const char *entry = gpu.plan->kernels[kernel].entry;
    *out = cl.clCreateKernel(gpu.programs[kernel], entry, &error);
    if (*out) return STATUS_OK;
    return fault_set(f, STATUS_ERROR, "%s in clCreateKernel for %s", opencl_error_name(error), entry);
}

static status build_opencl(int kernel, const char *source, size_t size, char *log, bool *kept, fault *f) {
    cl_kernel probe;
    if (!source) return fault_set(f, STATUS_ERROR, "an OpenCL kernel needs file=");
    status s = compile(kernel, source, size, log, f);
    *kept = gpu.kept[kernel];
    if (s == STATUS_OK) s = new_kernel(kernel, &probe, f);
    if (s == STATUS_OK) cl.clReleaseKernel(probe);
    return s;
}

static status set_arguments(cl_kernel kernel, const plan_dispatch *d, fault *f) {
    for (int i = 0; i < d->arg_count; i++) {
        const plan_arg *a = &d->args[i];
        cl_int error;
        if (a->kind == 'B')
            error = cl.clSetKernelArg(kernel, (cl_uint)i, sizeof(cl_mem), &gpu.buffers[a->u]);
        else if (a->kind == 'L')
            error = cl.clSetKernelArg(kernel, (cl_uint)i, a->u, NULL);
        else
            error = cl.clSetKernelArg(kernel, (cl_uint)i, 4, &a->u);
        if (error != CL_SUCCESS)
            return fault_set(f, STATUS_ERROR, "%s in clSetKernelArg, argument %d of %s", opencl_error_name(error), i,
                             gpu.plan->kernels[d->kernel].name);
    }
    return STATUS_OK;
}

/* What the device cannot do is said by the device's own limits, not left to an error of the launch. */
static status check_limits(cl_kernel kernel, const plan_dispatch *d, fault *f) {
    const char *name = gpu.plan->kernels[d->kernel].name;
    size_t most = 0, items = 1;
    cl_ulong local = 0;
    for (int i = 0; i < d->local_count; i++) items *= d->local[i];
    if (cl.clGetKernelWorkGroupInfo(kernel, gpu.device, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL) ==
            CL_SUCCESS &&
        d->local_count && items > most)
        return fault_set(f, STATUS_UNSUPPORTED, "%s needs work-groups of %zu, the device allows %zu", name, items,
                         most);
    if (cl.clGetKernelWorkGroupInfo(kernel, gpu.device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, NULL) ==
            CL_SUCCESS &&
        gpu.local_memory && local > gpu.local_memory)
        return fault_set(f, STATUS_UNSUPPORTED, "%s needs %llu bytes of local memory, the device has %llu", name,
                         (unsigned long long)local, (unsigned long long)gpu.local_memory);
    return STATUS_OK;
}

static status prepare_opencl(const plan_step *step, fault *f) {
    if (gpu.plan_step)
        for (int i = 0; i < gpu.plan_step->dispatch_count; i++)
            if (gpu.step[i]) cl.clReleaseKernel(gpu.step[i]);
    memset(gpu.step, 0, (size_t)step->dispatch_count * sizeof *gpu.step);
    gpu.plan_step = step;
    status s = STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < step->dispatch_count; i++) {
        const plan_dispatch *d = &gpu.plan->dispatches[step->first_dispatch + i];
        if (!d->global_count)
            return fault_set(f, STATUS_ERROR, "%s has no global size", gpu.plan->kernels[d->kernel].name);
        s = new_kernel(d->kernel, &gpu.step[i], f);
        if (s == STATUS_OK) s = set_arguments(gpu.step[i], d, f);
        if (s == STATUS_OK) s = check_limits(gpu.step[i], d, f);
    }
    return s;
}

static status enqueue(int index, cl_event *event, fault *f) {
    const plan_dispatch *d = &gpu.plan->dispatches[gpu.plan_step->first_dispatch + index];
    size_t global[3], local[3];
    for (int i = 0; i < 3; i++) {
        global[i] = d->global[i];
        local[i] = d->local[i];
    }
    cl_int error = cl.clEnqueueNDRangeKernel(gpu.queue, gpu.step[index], (cl_uint)d->global_count, NULL, global,
                                             d->local_count ? local : NULL, 0, NULL, event);
    if (error == CL_SUCCESS) return STATUS_OK;
    return fault_set(f, STATUS_ERROR, "%s in clEnqueueNDRangeKernel for %s", opencl_error_name(error),
                     gpu.plan->kernels[d->kernel].name);
}

/* A kernel that failed on the device leaves a negative status on its event, and clFinish may still succeed. */
static status finished(cl_event last, fault *f) {
    cl_int state = 0;
    cl_int error = cl.clFinish(gpu.queue);
    if (error != CL_SUCCESS) return refused(f, error, "clFinish");
    error = cl.clGetEventInfo(last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
    if (error != CL_SUCCESS) return refused(f, error, "clGetEventInfo");
    return state < 0 ? fault_set(f, STATUS_ERROR, "%s in a kernel", opencl_error_name(state)) : STATUS_OK;
}

static int64_t elapsed(cl_event first, cl_event last) {
    cl_ulong start = 0, end = 0;
    if (!gpu.profiling) return 0;
    if (cl.clGetEventProfilingInfo(first, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) != CL_SUCCESS)
        return 0;
    if (cl.clGetEventProfilingInfo(last, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS) return 0;
    return end > start && end - start < INT64_MAX ? (int64_t)(end - start) : 0;
}

static status submit_opencl(int64_t *device_ns, fault *f) {
    int count = gpu.plan_step->dispatch_count;
    cl_event first = NULL, last = NULL;
    status s = STATUS_OK;
    *device_ns = 0;
    /* Events on the first and the last dispatch only: in between nobody reads them. */
    for (int i = 0; s == STATUS_OK && i < count; i++)
        s = enqueue(i, i + 1 == count ? &last : i == 0 ? &first : NULL, f);
    if (s == STATUS_OK)
        s = finished(last, f);
    else
        cl.clFinish(gpu.queue);
    if (s == STATUS_OK) *device_ns = elapsed(count == 1 ? last : first, last);
    if (first) cl.clReleaseEvent(first);
    if (last) cl.clReleaseEvent(last);
    return s;
}

const executor opencl_executor = {
    .open = open_opencl,
    .allocate = allocate_opencl,
    .host = host_opencl,
    .write = write_opencl,
    .read = read_opencl,
    .build = build_opencl,
    .keep = keep_opencl,
    .prepare = prepare_opencl,
    .submit = submit_opencl,
    .transfer = transfer_opencl,
};
