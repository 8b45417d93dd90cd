#include "vulkan_context.h"

#include "system.h"

enum { SLICE_NS = 100000000 };

static vulkan_buffer staging;

status vulkan_refused(fault *f, VkResult result, const char *function) {
    return fault_set(f, STATUS_ERROR, "%s in %s", vulkan_result_name(result), function);
}

/* Features that are on cost nothing but robustBufferAccess, so only what kernels ask for is named here. */
static VkResult create_device(vulkan_context *c) {
    const vulkan_device *d = c->physical;
    const char *extensions[8];
    uint32_t extension_count = 0;
    /* Copies, because they are chained: an answer as it came is the request to switch all of it on. */
    VK_EXTENDED_FEATURES(VK_MEMBER)
    void *chain = NULL;
#define ENABLE(member, structure, fields, type, core, extension)                       \
    member = d->member;                                                                \
    if (member.base.sType) {                                                           \
        member.base.pNext = chain;                                                     \
        chain = &member;                                                               \
        if (d->version < core && extension) extensions[extension_count++] = extension; \
    }
    VK_EXTENDED_FEATURES(ENABLE)
    VkPhysicalDeviceFeatures features = {
        .shaderInt16 = d->features.shaderInt16,
        .shaderInt64 = d->features.shaderInt64,
    };
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .base = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, NULL},
        .queueFamilyIndex = c->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, chain},
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = extension_count,
        .ppEnabledExtensionNames = extensions,
        .pEnabledFeatures = &features,
    };
    return vk.vkCreateDevice(d->handle, &info, NULL, &c->device);
}

status vulkan_context_open(vulkan_context *c, const vulkan_device *physical, fault *f) {
    *c = (vulkan_context){.physical = physical};
    while (c->family < physical->family_count && !(physical->families[c->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        c->family++;
    if (c->family == physical->family_count)
        return fault_set(f, STATUS_ERROR, "%.255s has no queue for compute", physical->properties.deviceName);
    VkResult result = create_device(c);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateDevice");
    vk.vkGetDeviceQueue(c->device, c->family, 0, &c->queue);
    VkCommandPoolCreateInfo pool = {
        .base = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, NULL},
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = c->family,
    };
    result = vk.vkCreateCommandPool(c->device, &pool, NULL, &c->pool);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateCommandPool");
    VkFenceCreateInfo fence = {.base = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, NULL}};
    result = vk.vkCreateFence(c->device, &fence, NULL, &c->fence);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateFence");
    return vulkan_new_commands(c, &c->transfer, f);
}

/* Memory */

typedef struct memory_wish {
    VkFlags with, without;
} memory_wish;

/* Allocates from the first type that the wish and the buffer allow; VK_ERROR_FEATURE_NOT_PRESENT: there is none. */
static VkResult allocate(const vulkan_context *c, vulkan_buffer *b, memory_wish wish) {
    const VkPhysicalDeviceMemoryProperties *m = &c->physical->memory;
    VkMemoryRequirements needs;
    VkResult result = -8;
    vk.vkGetBufferMemoryRequirements(c->device, b->buffer, &needs);
    for (uint32_t i = 0; i < m->memoryTypeCount; i++) {
        VkFlags flags = m->memoryTypes[i].propertyFlags;
        if (!(needs.memoryTypeBits >> i & 1) || (flags & wish.with) != wish.with || flags & wish.without) continue;
        VkMemoryAllocateInfo info = {
            .base = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, NULL},
            .allocationSize = needs.size,
            .memoryTypeIndex = i,
        };
        result = vk.vkAllocateMemory(c->device, &info, NULL, &b->memory);
        if (result == VK_SUCCESS) return result;
    }
    return result;
}

static const VkFlags LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                     VISIBLE = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

static status create(const vulkan_context *c, vulkan_buffer *b, VkFlags usage, const memory_wish *wishes, int count,
                     fault *f) {
    VkBufferCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, NULL},
        .size = b->size,
        .usage = usage | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    VkResult result = vk.vkCreateBuffer(c->device, &info, NULL, &b->buffer);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateBuffer");
    const char *function = "vkAllocateMemory";
    for (int i = 0; i < count; i++) {
        result = allocate(c, b, wishes[i]);
        if (result != VK_SUCCESS) continue;
        function = "vkBindBufferMemory";
        result = vk.vkBindBufferMemory(c->device, b->buffer, b->memory, 0);
        if (result == VK_SUCCESS && wishes[i].with & VISIBLE) {
            function = "vkMapMemory";
            result = vk.vkMapMemory(c->device, b->memory, 0, b->size, 0, &b->mapped);
        }
        if (result == VK_SUCCESS) return STATUS_OK;
        break;
    }
    vk.vkDestroyBuffer(c->device, b->buffer, NULL);
    if (b->memory) vk.vkFreeMemory(c->device, b->memory, NULL);
    *b = (vulkan_buffer){.size = b->size};
    return vulkan_refused(f, result, function);
}

status vulkan_buffer_create(const vulkan_context *c, vulkan_buffer *b, VkDeviceSize size, bool host_reads, fault *f) {
    /* Weights are better off without the host's cache, whose coherence the GPU would have to ask for. */
    const memory_wish unified[] = {
        {VISIBLE | LOCAL | (host_reads ? CACHED : 0), host_reads ? 0 : CACHED},
        {VISIBLE | LOCAL, 0},
        {LOCAL, 0},
        {VISIBLE, 0},
    };
    /* On a card the mappable memory is small or behind the bus. */
    const memory_wish card[] = {
        {LOCAL, VISIBLE & ~(VkFlags)VK_MEMORY_PROPERTY_HOST_COHERENT_BIT}, {LOCAL, 0}, {VISIBLE, 0}};
    *b = (vulkan_buffer){.size = size};
    if (c->physical->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU)
        return create(c, b, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, card, ARRAY_LENGTH(card), f);
    return create(c, b, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, unified, ARRAY_LENGTH(unified), f);
}

static status stage(const vulkan_context *c, fault *f) {
    const memory_wish wishes[] = {{VISIBLE | CACHED, 0}, {VISIBLE, 0}};
    if (staging.buffer) return STATUS_OK;
    staging.size = STAGING_BYTES;
    return create(c, &staging, 0, wishes, ARRAY_LENGTH(wishes), f);
}

static status copy(vulkan_context *c, const vulkan_buffer *from, size_t start, const vulkan_buffer *to, size_t offset,
                   size_t size, fault *f) {
    VkBufferCopy region = {start, offset, size};
    status s = vulkan_begin(c->transfer, f);
    if (s != STATUS_OK) return s;
    vk.vkCmdCopyBuffer(c->transfer, from->buffer, to->buffer, 1, &region);
    vulkan_barrier(c->transfer, true);
    s = vulkan_end(c->transfer, f);
    return s == STATUS_OK ? vulkan_submit(c, c->transfer, f) : s;
}

status vulkan_buffer_write(vulkan_context *c, const vulkan_buffer *b, size_t offset, const void *data, size_t size,
                           fault *f) {
    status s = stage(c, f);
    for (size_t done = 0; s == STATUS_OK && done < size;) {
        size_t part = size - done < STAGING_BYTES ? size - done : STAGING_BYTES;
        memcpy(staging.mapped, (const char *)data + done, part);
        s = copy(c, &staging, 0, b, offset + done, part, f);
        done += part;
    }
    return s;
}

status vulkan_buffer_read(vulkan_context *c, const vulkan_buffer *b, void *data, size_t size, fault *f) {
    status s = stage(c, f);
    for (size_t done = 0; s == STATUS_OK && done < size;) {
        size_t part = size - done < STAGING_BYTES ? size - done : STAGING_BYTES;
        s = copy(c, b, done, &staging, 0, part, f);
        if (s == STATUS_OK) memcpy((char *)data + done, staging.mapped, part);
        done += part;
    }
    return s;
}

/* Commands */

status vulkan_new_commands(const vulkan_context *c, VkCommandBuffer *commands, fault *f) {
    VkCommandBufferAllocateInfo info = {
        .base = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, NULL},
        .commandPool = c->pool,
        .commandBufferCount = 1,
    };
    VkResult result = vk.vkAllocateCommandBuffers(c->device, &info, commands);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkAllocateCommandBuffers");
}

status vulkan_begin(VkCommandBuffer commands, fault *f) {
    VkCommandBufferBeginInfo info = {.base = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, NULL}};
    VkResult result = vk.vkBeginCommandBuffer(commands, &info);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkBeginCommandBuffer");
}

status vulkan_end(VkCommandBuffer commands, fault *f) {
    VkResult result = vk.vkEndCommandBuffer(commands);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkEndCommandBuffer");
}

status vulkan_submit(const vulkan_context *c, VkCommandBuffer commands, fault *f) {
    VkSubmitInfo info = {
        .base = {VK_STRUCTURE_TYPE_SUBMIT_INFO, NULL},
        .commandBufferCount = 1,
        .pCommandBuffers = &commands,
    };
    VkResult result = vk.vkQueueSubmit(c->queue, 1, &info, c->fence);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkQueueSubmit");
    do result = vk.vkWaitForFences(c->device, 1, &c->fence, 1, SLICE_NS);
    while (result == VK_TIMEOUT && !deadline_passed());
    if (result == VK_TIMEOUT) return fault_set(f, STATUS_SKIPPED, "%s while the device was busy", deadline_reason());
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkWaitForFences");
    result = vk.vkResetFences(c->device, 1, &c->fence);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkResetFences");
}

void vulkan_barrier(VkCommandBuffer commands, bool to_host) {
    VkMemoryBarrier barrier = {
        .base = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, NULL},
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = to_host ? VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_SHADER_READ_BIT
                                 : VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
    };
    VkFlags work = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkFlags after = to_host ? VK_PIPELINE_STAGE_HOST_BIT | work : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    vk.vkCmdPipelineBarrier(commands, work, after, 0, 1, &barrier, 0, NULL, 0, NULL);
}
