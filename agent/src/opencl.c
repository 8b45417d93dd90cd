#include "opencl.h"

opencl cl;

/* The names and their order are those of Google's engine (ml_drift/cl/opencl_wrapper.cc): only what it would open
 * counts for its verdict. */
static const char *const android_names[] = {"libOpenCL.so", "libGLES_mali.so", "libOpenCL-pixel.so",
                                            "libOpenCL-car.so"};
static const char *const linux_names[] = {"libOpenCL.so.1", "libOpenCL.so"};

/* libOpenCL-pixel.so and libOpenCL-car.so are wrappers: they must be switched on and hand out their functions. */
typedef void *lookup_fn(const char *name);

static lookup_fn *wrapper_lookup(void) {
    typedef void enable_fn(void);
    enable_fn *enable = (enable_fn *)dlsym(cl.library.handle, "enableOpenCL");
    lookup_fn *lookup = (lookup_fn *)dlsym(cl.library.handle, "loadOpenCLPointer");
    if (!enable || !lookup) return NULL;
    enable();
    return lookup;
}

static bool open_library(void) {
#ifdef __ANDROID__
    (void)linux_names;
    for (size_t i = 0; i < ARRAY_LENGTH(android_names); i++)
        if (library_dlopen(&cl.library, android_names[i]) || library_sphal(&cl.library, android_names[i])) return true;
#else
    (void)android_names;
    for (size_t i = 0; i < ARRAY_LENGTH(linux_names); i++)
        if (library_dlopen(&cl.library, linux_names[i])) return true;
#endif
    return false;
}

bool opencl_load(char *error, size_t error_size) {
    if (!open_library()) {
        /* Which of the attempts tells most is for who reads them all: library_json. */
        snprintf(error, error_size, "no OpenCL library could be opened (%d attempts)", cl.library.attempt_count);
        return false;
    }
    lookup_fn *lookup = wrapper_lookup();
    const char *missing = NULL;
#define LOAD(result, name, arguments)                                              \
    *(void **)&cl.name = lookup ? lookup(#name) : dlsym(cl.library.handle, #name); \
    if (!cl.name && !missing) missing = #name;
    OPENCL_FUNCTIONS(LOAD)
    const char *const needed = missing;
    OPENCL_OPTIONAL_FUNCTIONS(LOAD)
#undef LOAD
    if (needed) snprintf(error, error_size, "%s has no function %s", cl.library.name, needed);
    return !needed;
}

static void add_devices(opencl_devices *found, cl_platform_id platform) {
    cl_device_id devices[OPENCL_MAX_DEVICES];
    cl_uint count = 0;
    cl_int error = cl.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, OPENCL_MAX_DEVICES, devices, &count);
    if (error == CL_DEVICE_NOT_FOUND) return; /* a driver without hardware */
    if (error != CL_SUCCESS) {
        snprintf(found->error, sizeof found->error, "%s in clGetDeviceIDs", opencl_error_name(error));
        return;
    }
    for (cl_uint i = 0; i < count && i < OPENCL_MAX_DEVICES && found->count < OPENCL_MAX_DEVICES; i++)
        found->all[found->count++] = (opencl_device){platform, devices[i]};
}

static bool is_gpu(const opencl_device *d) {
    cl_bitfield type = 0;
    return cl.clGetDeviceInfo(d->device, CL_DEVICE_TYPE, sizeof type, &type, NULL) == CL_SUCCESS &&
           type & CL_DEVICE_TYPE_GPU;
}

void opencl_find(opencl_devices *found) {
    cl_platform_id platforms[OPENCL_MAX_PLATFORMS];
    *found = (opencl_devices){.chosen = -1};
    cl_int error = cl.clGetPlatformIDs(OPENCL_MAX_PLATFORMS, platforms, &found->platform_count);
    if (error != CL_SUCCESS || !found->platform_count) {
        found->platform_count = 0;
        if (error == CL_SUCCESS)
            snprintf(found->error, sizeof found->error, "no OpenCL platform");
        else
            snprintf(found->error, sizeof found->error, "no OpenCL platform: %s in clGetPlatformIDs",
                     opencl_error_name(error));
        return;
    }
    found->first_platform = platforms[0];
    for (cl_uint i = 0; i < found->platform_count && i < OPENCL_MAX_PLATFORMS; i++) add_devices(found, platforms[i]);
    for (int i = found->count - 1; i >= 0; i--) {
#ifdef __ANDROID__
        if (found->all[i].platform != platforms[0]) continue;
#endif
        if (is_gpu(&found->all[i])) found->chosen = i;
    }
#ifndef __ANDROID__
    if (found->chosen < 0 && found->count) found->chosen = 0;
#endif
    if (found->chosen >= 0)
        found->error[0] = 0;
    else if (found->count)
        snprintf(found->error, sizeof found->error, "no GPU on the first OpenCL platform (%d other devices)",
                 found->count);
    else if (!found->error[0])
        snprintf(found->error, sizeof found->error, "no OpenCL device on %u platform(s)", found->platform_count);
}

const char *opencl_type_name(cl_bitfield type) {
    return type & CL_DEVICE_TYPE_GPU           ? "gpu"
           : type & CL_DEVICE_TYPE_CPU         ? "cpu"
           : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
                                               : "other";
}

const char *opencl_error_name(cl_int error) {
    static const struct {
        cl_int code;
        const char *name;
    } names[] = {
        {-1, "CL_DEVICE_NOT_FOUND"},
        {-2, "CL_DEVICE_NOT_AVAILABLE"},
        {-3, "CL_COMPILER_NOT_AVAILABLE"},
        {-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
        {-5, "CL_OUT_OF_RESOURCES"},
        {-6, "CL_OUT_OF_HOST_MEMORY"},
        {-7, "CL_PROFILING_INFO_NOT_AVAILABLE"},
        {-8, "CL_MEM_COPY_OVERLAP"},
        {-9, "CL_IMAGE_FORMAT_MISMATCH"},
        {-10, "CL_IMAGE_FORMAT_NOT_SUPPORTED"},
        {-11, "CL_BUILD_PROGRAM_FAILURE"},
        {-12, "CL_MAP_FAILURE"},
        {-13, "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
        {-14, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
        {-15, "CL_COMPILE_PROGRAM_FAILURE"},
        {-16, "CL_LINKER_NOT_AVAILABLE"},
        {-17, "CL_LINK_PROGRAM_FAILURE"},
        {-18, "CL_DEVICE_PARTITION_FAILED"},
        {-19, "CL_KERNEL_ARG_INFO_NOT_AVAILABLE"},
        {-30, "CL_INVALID_VALUE"},
        {-31, "CL_INVALID_DEVICE_TYPE"},
        {-32, "CL_INVALID_PLATFORM"},
        {-33, "CL_INVALID_DEVICE"},
        {-34, "CL_INVALID_CONTEXT"},
        {-35, "CL_INVALID_QUEUE_PROPERTIES"},
        {-36, "CL_INVALID_COMMAND_QUEUE"},
        {-37, "CL_INVALID_HOST_PTR"},
        {-38, "CL_INVALID_MEM_OBJECT"},
        {-39, "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR"},
        {-40, "CL_INVALID_IMAGE_SIZE"},
        {-41, "CL_INVALID_SAMPLER"},
        {-42, "CL_INVALID_BINARY"},
        {-43, "CL_INVALID_BUILD_OPTIONS"},
        {-44, "CL_INVALID_PROGRAM"},
        {-45, "CL_INVALID_PROGRAM_EXECUTABLE"},
        {-46, "CL_INVALID_KERNEL_NAME"},
        {-47, "CL_INVALID_KERNEL_DEFINITION"},
        {-48, "CL_INVALID_KERNEL"},
        {-49, "CL_INVALID_ARG_INDEX"},
        {-50, "CL_INVALID_ARG_VALUE"},
        {-51, "CL_INVALID_ARG_SIZE"},
        {-52, "CL_INVALID_KERNEL_ARGS"},
        {-53, "CL_INVALID_WORK_DIMENSION"},
        {-54, "CL_INVALID_WORK_GROUP_SIZE"},
        {-55, "CL_INVALID_WORK_ITEM_SIZE"},
        {-56, "CL_INVALID_GLOBAL_OFFSET"},
        {-57, "CL_INVALID_EVENT_WAIT_LIST"},
        {-58, "CL_INVALID_EVENT"},
        {-59, "CL_INVALID_OPERATION"},
        {-60, "CL_INVALID_GL_OBJECT"},
        {-61, "CL_INVALID_BUFFER_SIZE"},
        {-62, "CL_INVALID_MIP_LEVEL"},
        {-63, "CL_INVALID_GLOBAL_WORK_SIZE"},
        {-64, "CL_INVALID_PROPERTY"},
        {-65, "CL_INVALID_IMAGE_DESCRIPTOR"},
        {-66, "CL_INVALID_COMPILER_OPTIONS"},
        {-67, "CL_INVALID_LINKER_OPTIONS"},
        {-68, "CL_INVALID_DEVICE_PARTITION_COUNT"},
        {-69, "CL_INVALID_PIPE_SIZE"},
        {-70, "CL_INVALID_DEVICE_QUEUE"},
        {-71, "CL_INVALID_SPEC_ID"},
        {-72, "CL_MAX_SIZE_RESTRICTION_EXCEEDED"},
        {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
    };
    static char text[64];
    const char *name = "an OpenCL error without a name";
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (names[i].code == error) name = names[i].name;
    snprintf(text, sizeof text, "%s (%d)", name, error);
    return text;
}
