/* OpenCL as far as the agent uses it: types, numbers and functions by the Khronos specification (OpenCL 3.0 API,
 * unified headers cl.h and cl_ext.h for the numbers), and the loader. */
#ifndef GEMMAFIT_OPENCL_H
#define GEMMAFIT_OPENCL_H

#include "library.h"

typedef int32_t cl_int;
typedef uint32_t cl_uint, cl_bool;
typedef uint64_t cl_ulong, cl_bitfield;
typedef struct _cl_platform_id *cl_platform_id;
typedef struct _cl_device_id *cl_device_id;
typedef struct _cl_context *cl_context;
typedef struct _cl_command_queue *cl_command_queue;
typedef struct _cl_mem *cl_mem;
typedef struct _cl_program *cl_program;
typedef struct _cl_kernel *cl_kernel;
typedef struct _cl_event *cl_event;

typedef struct cl_image_format {
    cl_uint order, type;
} cl_image_format;

typedef struct cl_image_desc {
    cl_uint type;
    size_t width, height, depth, array_size, row_pitch, slice_pitch;
    cl_uint mip_levels, samples;
    cl_mem buffer;
} cl_image_desc;

enum {
    CL_SUCCESS = 0,
    CL_DEVICE_NOT_FOUND = -1,
    CL_OUT_OF_HOST_MEMORY = -6,
    CL_TRUE = 1,
    CL_DEVICE_TYPE_CPU = 1 << 1,
    CL_DEVICE_TYPE_GPU = 1 << 2,
    CL_DEVICE_TYPE_ACCELERATOR = 1 << 3,
    CL_DEVICE_TYPE = 0x1000,
    CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS = 0x1003,
    CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
    CL_DEVICE_IMAGE2D_MAX_WIDTH = 0x1011,
    CL_DEVICE_IMAGE2D_MAX_HEIGHT = 0x1012,
    CL_DEVICE_IMAGE_SUPPORT = 0x1016,
    CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
    CL_DEVICE_NAME = 0x102B,
    CL_DRIVER_VERSION = 0x102D,
    CL_DEVICE_EXTENSIONS = 0x1030,
    CL_CONTEXT_PLATFORM = 0x1084,
    CL_QUEUE_PROFILING_ENABLE = 1 << 1,
    CL_MEM_READ_WRITE = 1 << 0,
    CL_MEM_READ_ONLY = 1 << 2,
    CL_RGBA = 0x10B5,
    CL_UNSIGNED_INT16 = 0x10DB,
    CL_UNSIGNED_INT32 = 0x10DC,
    CL_MEM_OBJECT_IMAGE2D = 0x10F1,
    CL_MAP_WRITE = 1 << 1,
    CL_PROGRAM_BINARY_SIZES = 0x1165,
    CL_PROGRAM_BINARIES = 0x1166,
    CL_PROGRAM_BUILD_LOG = 0x1183,
    CL_KERNEL_WORK_GROUP_SIZE = 0x11B0,
    CL_KERNEL_LOCAL_MEM_SIZE = 0x11B2,
    CL_PROFILING_COMMAND_START = 0x1282,
    CL_PROFILING_COMMAND_END = 0x1283,
    CL_EVENT_COMMAND_EXECUTION_STATUS = 0x11D3,
};
static const cl_bitfield CL_DEVICE_TYPE_ALL = 0xFFFFFFFF;

#define OPENCL_FUNCTIONS(F)                                                                                           \
    F(cl_int, clGetPlatformIDs, (cl_uint, cl_platform_id *, cl_uint *))                                               \
    F(cl_int, clGetPlatformInfo, (cl_platform_id, cl_uint, size_t, void *, size_t *))                                 \
    F(cl_int, clGetDeviceIDs, (cl_platform_id, cl_bitfield, cl_uint, cl_device_id *, cl_uint *))                      \
    F(cl_int, clGetDeviceInfo, (cl_device_id, cl_uint, size_t, void *, size_t *))                                     \
    F(cl_context, clCreateContext,                                                                                    \
      (const intptr_t *, cl_uint, const cl_device_id *, void (*)(const char *, const void *, size_t, void *), void *, \
       cl_int *))                                                                                                     \
    F(cl_command_queue, clCreateCommandQueue, (cl_context, cl_device_id, cl_bitfield, cl_int *))                      \
    F(cl_mem, clCreateBuffer, (cl_context, cl_bitfield, size_t, void *, cl_int *))                                    \
    F(cl_int, clEnqueueWriteBuffer,                                                                                   \
      (cl_command_queue, cl_mem, cl_bool, size_t, size_t, const void *, cl_uint, const cl_event *, cl_event *))       \
    F(cl_int, clEnqueueReadBuffer,                                                                                    \
      (cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint, const cl_event *, cl_event *))             \
    F(void *, clEnqueueMapBuffer,                                                                                     \
      (cl_command_queue, cl_mem, cl_bool, cl_bitfield, size_t, size_t, cl_uint, const cl_event *, cl_event *,         \
       cl_int *))                                                                                                     \
    F(cl_int, clEnqueueUnmapMemObject,                                                                                \
      (cl_command_queue, cl_mem, void *, cl_uint, const cl_event *, cl_event *))                                      \
    F(cl_program, clCreateProgramWithBinary,                                                                          \
      (cl_context, cl_uint, const cl_device_id *, const size_t *, const unsigned char **, cl_int *, cl_int *))        \
    F(cl_int, clGetProgramInfo, (cl_program, cl_uint, size_t, void *, size_t *))                                      \
    F(cl_int, clReleaseProgram, (cl_program))                                                                         \
    F(cl_program, clCreateProgramWithSource, (cl_context, cl_uint, const char **, const size_t *, cl_int *))          \
    F(cl_int, clBuildProgram,                                                                                         \
      (cl_program, cl_uint, const cl_device_id *, const char *, void (*)(cl_program, void *), void *))                \
    F(cl_int, clGetProgramBuildInfo, (cl_program, cl_device_id, cl_uint, size_t, void *, size_t *))                   \
    F(cl_kernel, clCreateKernel, (cl_program, const char *, cl_int *))                                                \
    F(cl_int, clReleaseKernel, (cl_kernel))                                                                           \
    F(cl_int, clSetKernelArg, (cl_kernel, cl_uint, size_t, const void *))                                             \
    F(cl_int, clGetKernelWorkGroupInfo, (cl_kernel, cl_device_id, cl_uint, size_t, void *, size_t *))                 \
    F(cl_int, clEnqueueNDRangeKernel,                                                                                 \
      (cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *, cl_uint,                 \
       const cl_event *, cl_event *))                                                                                 \
    F(cl_int, clGetEventInfo, (cl_event, cl_uint, size_t, void *, size_t *))                                          \
    F(cl_int, clGetEventProfilingInfo, (cl_event, cl_uint, size_t, void *, size_t *))                                 \
    F(cl_int, clReleaseEvent, (cl_event))                                                                             \
    F(cl_int, clFinish, (cl_command_queue))

/* Those that a library may lack: OpenCL 1.1 has no clCreateImage. */
#define OPENCL_OPTIONAL_FUNCTIONS(F)                                                                             \
    F(cl_mem, clCreateImage,                                                                                     \
      (cl_context, cl_bitfield, const cl_image_format *, const cl_image_desc *, void *, cl_int *))               \
    F(cl_int, clEnqueueWriteImage,                                                                               \
      (cl_command_queue, cl_mem, cl_bool, const size_t *, const size_t *, size_t, size_t, const void *, cl_uint, \
       const cl_event *, cl_event *))                                                                            \
    F(cl_int, clEnqueueReadImage,                                                                                \
      (cl_command_queue, cl_mem, cl_bool, const size_t *, const size_t *, size_t, size_t, void *, cl_uint,       \
       const cl_event *, cl_event *))

/* The functions of the opened library, and what there is behind them. */
#define DECLARE(result, name, arguments) result(*name) arguments;
typedef struct opencl {
    library library;
    OPENCL_FUNCTIONS(DECLARE)
    OPENCL_OPTIONAL_FUNCTIONS(DECLARE)
} opencl;
#undef DECLARE
extern opencl cl;

enum { OPENCL_MAX_PLATFORMS = 16, OPENCL_MAX_DEVICES = 64 };

typedef struct opencl_device {
    cl_platform_id platform;
    cl_device_id device;
} opencl_device;

/* All devices in the order of platforms, and which of them is used. */
typedef struct opencl_devices {
    cl_uint platform_count;
    cl_platform_id first_platform;
    int count, chosen; /* chosen: -1 where there is none */
    opencl_device all[OPENCL_MAX_DEVICES];
    char error[300]; /* why there is none */
} opencl_devices;

/* Opens a library as Google's engine does. False: none; every attempt is in cl.library. */
bool opencl_load(char *error, size_t error_size);

/* Finds the devices. Android: as Google's engine, platform 0 and its first GPU. Linux: the first GPU of any platform,
 * else the first device. */
void opencl_find(opencl_devices *found);

/* CL_OUT_OF_RESOURCES for -5; numbers without a name are written as numbers. */
const char *opencl_error_name(cl_int error);

/* gpu | cpu | accelerator | other, by CL_DEVICE_TYPE. */
const char *opencl_type_name(cl_bitfield type);

#endif
