/* The axis "which API runs a plan": CPU routines, OpenCL, Vulkan. run.c drives an executor through a plan. */
#ifndef GEMMAFIT_EXECUTOR_H
#define GEMMAFIT_EXECUTOR_H

#include "json.h"
#include "plan.h"

/* How a kernel, buffer or step ended, as the result file names it. */
typedef enum status { STATUS_OK, STATUS_UNSUPPORTED, STATUS_SKIPPED, STATUS_ERROR } status;
extern const char *const status_names[];

/* Why something is not STATUS_OK. `fault_set` formats it and returns the status, for `return fault_set(...)`. */
typedef struct fault {
    char text[400];
} fault;
__attribute__((format(printf, 3, 4))) status fault_set(fault *f, status s, const char *format, ...);

typedef struct device_info {
    char name[256], driver[256];
    const char *type; /* gpu | cpu | accelerator | virtual | other */
} device_info;

/* One device with the buffers and kernels of one plan; indices are those of the plan. An executor is one global per
 * process, so the functions take no handle. */
typedef struct executor {
    /* Opens the device that the plan's options name. Anything but STATUS_OK: the backend is not there. */
    status (*open)(const plan *p, device_info *device, fault *f);
    /* Memory for a buffer, its content undefined. */
    status (*allocate)(int buffer, fault *f);
    /* Where this process can read and write the buffer between submissions, or NULL. */
    void *(*host)(int buffer);
    /* Reading at a host address byte by byte is slow: memory that the CPU's caches do not cover. */
    bool uncached;
    /* How many threads of this process share the work of a submission; NULL: the device has its own. */
    int (*threads)(void);
    /* Wakes them, so that a submission right after it finds all of them running; NULL likewise. */
    void (*wake)(void);
    /* Copies into or out of a buffer that has no host address. */
    status (*write)(int buffer, size_t offset, const void *data, size_t size, fault *f);
    status (*read)(int buffer, void *data, fault *f);
    /* Compiles a kernel; `source` is the content of its file (NULL for a CPU routine). `log` has LOG_MAX + 1 bytes.
     * `kept`: it was not compiled but taken from what an earlier process kept. */
    status (*build)(int kernel, const char *source, size_t size, char *log, bool *kept, fault *f);
    /* Keeps the compiled programs for later processes (programs.h); NULL: there is nothing to keep. */
    void (*keep)(void);
    /* Makes a step ready to be submitted again and again, and forgets the one before. */
    status (*prepare)(const plan_step *step, fault *f);
    /* Runs it once and waits. `device_ns`: by the device's own clock, or 0 where there is none. */
    status (*submit)(int64_t *device_ns, fault *f);
    /* Moves a whole buffer from or to `data` and waits; NULL: host and device share all memory. */
    status (*transfer)(transfer_kind kind, int buffer, void *data, fault *f);
} executor;

extern const executor cpu_executor, opencl_executor, vulkan_executor;

#endif
