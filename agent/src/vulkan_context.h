/* One logical device with one queue for compute, and the memory on it. */
#ifndef GEMMAFIT_VULKAN_CONTEXT_H
#define GEMMAFIT_VULKAN_CONTEXT_H

#include "executor.h"
#include "vulkan.h"

typedef struct vulkan_context {
    const vulkan_device *physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;
    VkCommandBuffer transfer;
    VkFence fence;
} vulkan_context;

/* With every feature on that kernels may need (vulkan_fields.h) and the device has. */
status vulkan_context_open(vulkan_context *c, const vulkan_device *physical, fault *f);

/* A buffer with its own memory. `mapped`: where the host reads and writes it, or NULL. */
typedef struct vulkan_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkDeviceSize size;
    void *mapped;
} vulkan_buffer;

/* `host_reads`: the host will read it back, so memory that its cache covers is preferred. */
status vulkan_buffer_create(const vulkan_context *c, vulkan_buffer *b, VkDeviceSize size, bool host_reads, fault *f);

/* Copies through a staging buffer, for buffers that are not mapped. */
status vulkan_buffer_write(vulkan_context *c, const vulkan_buffer *b, size_t offset, const void *data, size_t size,
                           fault *f);
status vulkan_buffer_read(vulkan_context *c, const vulkan_buffer *b, void *data, size_t size, fault *f);

status vulkan_new_commands(const vulkan_context *c, VkCommandBuffer *commands, fault *f);
status vulkan_begin(VkCommandBuffer commands, fault *f);
/* Ends and is ready to be submitted again and again. */
status vulkan_end(VkCommandBuffer commands, fault *f);
status vulkan_submit(const vulkan_context *c, VkCommandBuffer commands, fault *f);

/* All that shaders and copies wrote before is seen by what follows: by the next dispatch, or by the host. */
void vulkan_barrier(VkCommandBuffer commands, bool to_host);

status vulkan_refused(fault *f, VkResult result, const char *function);

#endif
