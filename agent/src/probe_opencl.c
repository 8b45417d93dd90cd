/* The `opencl` part of probe.json: one platform and one device, the ones that would be used, with every property that
 * Google's engine reads (ml_drift/cl/cl_device.cc) and those a person would ask for next. */
#include "opencl.h"
#include "probe.h"

/* How the bytes of an answer are read. */
typedef enum kind { TEXT, UINT, ULONG, SIZE, BOOL, SIZES, TYPES } kind;

typedef struct property {
    const char *name;
    cl_uint id;
    kind kind;
    const char *extension; /* asked only where the device has it; NULL: always */
} property;

static const property platform_properties[] = {
    {"CL_PLATFORM_NAME", 0x0902, TEXT, NULL},       {"CL_PLATFORM_VENDOR", 0x0903, TEXT, NULL},
    {"CL_PLATFORM_VERSION", 0x0901, TEXT, NULL},    {"CL_PLATFORM_PROFILE", 0x0900, TEXT, NULL},
    {"CL_PLATFORM_EXTENSIONS", 0x0904, TEXT, NULL},
};

static const property device_properties[] = {
    {"CL_DEVICE_NAME", 0x102B, TEXT, NULL},
    {"CL_DEVICE_VENDOR", 0x102C, TEXT, NULL},
    {"CL_DEVICE_VENDOR_ID", 0x1001, UINT, NULL},
    {"CL_DEVICE_VERSION", 0x102F, TEXT, NULL},
    {"CL_DRIVER_VERSION", 0x102D, TEXT, NULL},
    {"CL_DEVICE_OPENCL_C_VERSION", 0x103D, TEXT, NULL},
    {"CL_DEVICE_PROFILE", 0x102E, TEXT, NULL},
    {"CL_DEVICE_TYPE", 0x1000, TYPES, NULL},
    {"CL_DEVICE_AVAILABLE", 0x1027, BOOL, NULL},
    {"CL_DEVICE_COMPILER_AVAILABLE", 0x1028, BOOL, NULL},
    {"CL_DEVICE_LINKER_AVAILABLE", 0x103E, BOOL, NULL},
    {"CL_DEVICE_EXTENSIONS", 0x1030, TEXT, NULL},
    {"CL_DEVICE_ADDRESS_BITS", 0x100D, UINT, NULL},
    {"CL_DEVICE_ENDIAN_LITTLE", 0x1026, BOOL, NULL},
    {"CL_DEVICE_MAX_COMPUTE_UNITS", 0x1002, UINT, NULL},
    {"CL_DEVICE_MAX_CLOCK_FREQUENCY", 0x100C, UINT, NULL},
    {"CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS", 0x1003, UINT, NULL},
    {"CL_DEVICE_MAX_WORK_ITEM_SIZES", 0x1005, SIZES, NULL},
    {"CL_DEVICE_MAX_WORK_GROUP_SIZE", 0x1004, SIZE, NULL},
    {"CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF", 0x1034, UINT, NULL},
    {"CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF", 0x103C, UINT, NULL},
    {"CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT", 0x103A, UINT, NULL},
    {"CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR", 0x1036, UINT, NULL},
    {"CL_DEVICE_SINGLE_FP_CONFIG", 0x101B, ULONG, NULL},
    {"CL_DEVICE_HALF_FP_CONFIG", 0x1033, ULONG, "cl_khr_fp16"},
    {"CL_DEVICE_GLOBAL_MEM_SIZE", 0x101F, ULONG, NULL},
    {"CL_DEVICE_GLOBAL_MEM_CACHE_TYPE", 0x101C, UINT, NULL},
    {"CL_DEVICE_GLOBAL_MEM_CACHE_SIZE", 0x101E, ULONG, NULL},
    {"CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE", 0x101D, UINT, NULL},
    {"CL_DEVICE_MAX_MEM_ALLOC_SIZE", 0x1010, ULONG, NULL},
    {"CL_DEVICE_MEM_BASE_ADDR_ALIGN", 0x1019, UINT, NULL},
    {"CL_DEVICE_HOST_UNIFIED_MEMORY", 0x1035, BOOL, NULL},
    {"CL_DEVICE_LOCAL_MEM_TYPE", 0x1022, UINT, NULL},
    {"CL_DEVICE_LOCAL_MEM_SIZE", 0x1023, ULONG, NULL},
    {"CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE", 0x1020, ULONG, NULL},
    {"CL_DEVICE_MAX_CONSTANT_ARGS", 0x1021, UINT, NULL},
    {"CL_DEVICE_MAX_PARAMETER_SIZE", 0x1017, SIZE, NULL},
    {"CL_DEVICE_IMAGE_SUPPORT", 0x1016, BOOL, NULL},
    {"CL_DEVICE_IMAGE2D_MAX_WIDTH", 0x1011, SIZE, NULL},
    {"CL_DEVICE_IMAGE2D_MAX_HEIGHT", 0x1012, SIZE, NULL},
    {"CL_DEVICE_IMAGE3D_MAX_WIDTH", 0x1013, SIZE, NULL},
    {"CL_DEVICE_IMAGE3D_MAX_HEIGHT", 0x1014, SIZE, NULL},
    {"CL_DEVICE_IMAGE3D_MAX_DEPTH", 0x1015, SIZE, NULL},
    {"CL_DEVICE_IMAGE_MAX_BUFFER_SIZE", 0x1040, SIZE, NULL},
    {"CL_DEVICE_IMAGE_MAX_ARRAY_SIZE", 0x1041, SIZE, NULL},
    {"CL_DEVICE_MAX_READ_IMAGE_ARGS", 0x100E, UINT, NULL},
    {"CL_DEVICE_MAX_WRITE_IMAGE_ARGS", 0x100F, UINT, NULL},
    {"CL_DEVICE_IMAGE_PITCH_ALIGNMENT", 0x104A, UINT, NULL},
    {"CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT", 0x104B, UINT, NULL},
    {"CL_DEVICE_PROFILING_TIMER_RESOLUTION", 0x1025, SIZE, NULL},
    {"CL_DEVICE_QUEUE_ON_HOST_PROPERTIES", 0x102A, ULONG, NULL},
    {"CL_DEVICE_SVM_CAPABILITIES", 0x1053, ULONG, NULL},
    {"CL_DEVICE_MAX_NUM_SUB_GROUPS", 0x105C, UINT, NULL},
    {"CL_DEVICE_SUB_GROUP_SIZES_INTEL", 0x4108, SIZES, "cl_intel_required_subgroup_size"},
    {"CL_DEVICE_INTEGER_DOT_PRODUCT_CAPABILITIES_KHR", 0x1073, ULONG, "cl_khr_integer_dot_product"},
    {"CL_DEVICE_SCHEDULING_CONTROLS_CAPABILITIES_ARM", 0x41E4, ULONG, "cl_arm_scheduling_controls"},
    {"CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE", 0x1067, SIZE, NULL},
};

typedef union answer {
    char text[16384];
    cl_uint uint;
    cl_ulong ulong;
    size_t sizes[16];
} answer;

static void write_types(json *j, const char *name, cl_bitfield type) {
    json_open(j, name, '[');
    json_string(j, NULL, opencl_type_name(type));
    json_close(j, ']');
}

static void write_answer(json *j, const property *p, const answer *a, size_t size) {
    static const size_t sizes[] = {[UINT] = 4, [ULONG] = 8, [SIZE] = sizeof(size_t), [BOOL] = 4, [TYPES] = 8};
    if (p->kind != TEXT && p->kind != SIZES && size != sizes[p->kind]) {
        json_open(j, p->name, '{');
        json_format(j, "error", "%zu bytes where %zu were expected", size, sizes[p->kind]);
        json_close(j, '}');
        return;
    }
    switch (p->kind) {
    case TEXT: {
        const char *end = memchr(a->text, 0, size);
        json_chars(j, p->name, a->text, end ? (size_t)(end - a->text) : size);
        break;
    }
    case UINT: json_uint(j, p->name, a->uint); break;
    case ULONG: json_uint(j, p->name, a->ulong); break;
    case SIZE: json_uint(j, p->name, a->sizes[0]); break;
    case BOOL: json_bool(j, p->name, a->uint != 0); break;
    case TYPES: write_types(j, p->name, a->ulong); break;
    case SIZES:
        json_open(j, p->name, '[');
        for (size_t i = 0; i < size / sizeof(size_t) && i < ARRAY_LENGTH(a->sizes); i++)
            json_uint(j, NULL, a->sizes[i]);
        json_close(j, ']');
        break;
    }
}

/* Asks a platform (device NULL) or a device. */
static void write_property(json *j, const property *p, cl_platform_id platform, cl_device_id device) {
    static answer a;
    size_t size = 0;
    memset(&a, 0, 256); /* a driver that answers less than it says must not show the answer before */
    cl_int error = device ? cl.clGetDeviceInfo(device, p->id, sizeof a, &a, &size)
                          : cl.clGetPlatformInfo(platform, p->id, sizeof a, &a, &size);
    if (error == CL_SUCCESS && size <= sizeof a) {
        write_answer(j, p, &a, size);
        return;
    }
    json_open(j, p->name, '{');
    if (error == CL_SUCCESS)
        json_format(j, "error", "%zu bytes are too many", size);
    else
        json_string(j, "error", opencl_error_name(error));
    json_close(j, '}');
}

static void write_device(json *j, const opencl_device *d) {
    static char extensions[16384];
    size_t size = 0;
    if (cl.clGetDeviceInfo(d->device, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions, &size) != CL_SUCCESS)
        size = 0;
    extensions[size < sizeof extensions ? size : sizeof extensions - 1] = 0;
    json_open(j, "device", '{');
    for (size_t i = 0; i < ARRAY_LENGTH(device_properties); i++) {
        const property *p = &device_properties[i];
        if (!p->extension || strstr(extensions, p->extension)) write_property(j, p, NULL, d->device);
    }
    json_close(j, '}');
}

void probe_opencl(json *j) {
    char error[300];
    bool loaded = opencl_load(error, sizeof error);
    library_json(j, &cl.library);
    if (!loaded) {
        json_string(j, "error", error);
        return;
    }
    probe_checkpoint(j);
    static opencl_devices found;
    opencl_find(&found);
    json_uint(j, "platform_count", found.platform_count);
    json_int(j, "device_count", found.count);
    json_string(j, "error", found.chosen < 0 ? found.error : NULL);
    cl_platform_id platform = found.chosen < 0 ? found.first_platform : found.all[found.chosen].platform;
    if (platform) {
        json_open(j, "platform", '{');
        for (size_t i = 0; i < ARRAY_LENGTH(platform_properties); i++)
            write_property(j, &platform_properties[i], platform, NULL);
        json_close(j, '}');
    }
    if (found.chosen >= 0) write_device(j, &found.all[found.chosen]);
}
