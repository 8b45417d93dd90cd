/* The executor of SPIR-V kernels. A step is recorded once, with a full barrier between its dispatches, and
 * submitted for each repeat. */
#include "executor.h"
#include "programs.h"
#include "vulkan_context.h"

typedef struct pipeline {
    VkPipeline pipeline;
    VkPipelineLayout layout;
    VkDescriptorSetLayout sets;
} pipeline;

static struct {
    const plan *plan;
    vulkan_context context;
    vulkan_buffer *buffers; /* of the plan */
    bool *returned;         /* whether a step returns the buffer */
    pipeline *pipelines;    /* of the plan's kernels */
    VkCommandBuffer commands;
    VkDescriptorPool sets; /* of the prepared step */
    VkQueryPool timer;     /* 0: the queue has no clock */
    VkPipelineCache cache; /* 0: programs are neither kept nor taken */
    bool taken;            /* the cache holds what an earlier process kept */
} gpu;

static const VkPhysicalDeviceLimits *limits(void) {
    return &gpu.context.physical->properties.limits;
}

static void describe_device(device_info *info, const vulkan_device *d) {
    snprintf(info->name, sizeof info->name, "%.255s", d->properties.deviceName);
    if (d->driver.base.sType)
        snprintf(info->driver, sizeof info->driver, "%.120s %.120s", d->driver.driverName, d->driver.driverInfo);
    else
        snprintf(info->driver, sizeof info->driver, "%u", d->properties.driverVersion);
    info->type = vulkan_type_name(d);
}

static status create_timer(fault *f) {
    const vulkan_device *d = gpu.context.physical;
    if (!d->families[gpu.context.family].timestampValidBits || limits()->timestampPeriod <= 0) return STATUS_OK;
    VkQueryPoolCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, NULL},
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2,
    };
    VkResult result = vk.vkCreateQueryPool(gpu.context.device, &info, NULL, &gpu.timer);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkCreateQueryPool");
}

static status open_vulkan(const plan *p, device_info *device, fault *f) {
    uint32_t count;
    char error[300];
    gpu.plan = p;
    vulkan_device *devices = NULL;
    if (vulkan_load(error, sizeof error) && vulkan_create_instance(error, sizeof error))
        devices = vulkan_devices(&count, error, sizeof error);
    if (!devices) return fault_set(f, STATUS_ERROR, "%s", error);
    int wanted = plan_option_number(p, "device", INT32_MAX);
    if (wanted == -2 || wanted >= (int)count)
        return fault_set(f, STATUS_ERROR, "no Vulkan device %s: there are %u", plan_option_value(p, "device"), count);
    const vulkan_device *d = &devices[wanted < 0 ? 0 : wanted];
    describe_device(device, d);
    gpu.buffers = calloc((size_t)p->buffer_count + 1, sizeof *gpu.buffers);
    gpu.returned = calloc((size_t)p->buffer_count + 1, sizeof *gpu.returned);
    gpu.pipelines = calloc((size_t)p->kernel_count + 1, sizeof *gpu.pipelines);
    if (!gpu.buffers || !gpu.returned || !gpu.pipelines) return fault_set(f, STATUS_ERROR, "out of memory");
    for (int i = 0; i < p->step_count; i++)
        for (int k = 0; k < p->steps[i].return_count; k++) gpu.returned[p->steps[i].returns[k]] = true;
    status s = vulkan_context_open(&gpu.context, d, f);
    if (s == STATUS_OK) s = vulkan_new_commands(&gpu.context, &gpu.commands, f);
    return s == STATUS_OK ? create_timer(f) : s;
}

/* Memory */

static status allocate_vulkan(int buffer, fault *f) {
    size_t bytes = gpu.plan->buffers[buffer].bytes;
    const vulkan_device *d = gpu.context.physical;
    if (bytes > limits()->maxStorageBufferRange)
        return fault_set(f, STATUS_UNSUPPORTED, "over maxStorageBufferRange (%u bytes)",
                         limits()->maxStorageBufferRange);
    if (d->maintenance3.base.sType && bytes > d->maintenance3.maxMemoryAllocationSize)
        return fault_set(f, STATUS_UNSUPPORTED, "over maxMemoryAllocationSize (%llu bytes)",
                         (unsigned long long)d->maintenance3.maxMemoryAllocationSize);
    return vulkan_buffer_create(&gpu.context, &gpu.buffers[buffer], bytes, gpu.returned[buffer], f);
}

static void *host_vulkan(int buffer) {
    return gpu.buffers[buffer].mapped;
}

static status write_vulkan(int buffer, size_t offset, const void *data, size_t size, fault *f) {
    return vulkan_buffer_write(&gpu.context, &gpu.buffers[buffer], offset, data, size, f);
}

static status read_vulkan(int buffer, void *data, fault *f) {
    return vulkan_buffer_read(&gpu.context, &gpu.buffers[buffer], data, gpu.plan->buffers[buffer].bytes, f);
}

/* Writing and reading go through the staging buffer also where the host maps the buffer: that is what a mapping saves.
 */
static status transfer_vulkan(transfer_kind kind, int buffer, void *data, fault *f) {
    size_t size = gpu.plan->buffers[buffer].bytes;
    if (kind == TRANSFER_WRITE) return write_vulkan(buffer, 0, data, size, f);
    if (kind == TRANSFER_READ) return read_vulkan(buffer, data, f);
    if (!gpu.buffers[buffer].mapped)
        return fault_set(f, STATUS_UNSUPPORTED, "the host cannot map the device's memory");
    memcpy(gpu.buffers[buffer].mapped, data, size);
    return STATUS_OK;
}

/* Kernels */

/* Whether the device has what a SPIR-V capability needs (numbers: SPIR-V specification, "Capability"): a module that
 * asks for more is undefined behaviour, in practice a crash. NULL: it has; else what it lacks. */
static const char *lacks(uint32_t capability) {
    const vulkan_device *d = gpu.context.physical;
#define NEEDS(number, condition, name) \
    case number: return (condition) ? NULL : name
    switch (capability) {
        NEEDS(9, d->float16_int8.shaderFloat16, "shaderFloat16");
        NEEDS(11, d->features.shaderInt64, "shaderInt64");
        NEEDS(22, d->features.shaderInt16, "shaderInt16");
        NEEDS(39, d->float16_int8.shaderInt8, "shaderInt8");
        NEEDS(4433, d->storage16.storageBuffer16BitAccess, "storageBuffer16BitAccess");
        NEEDS(4434, d->storage16.uniformAndStorageBuffer16BitAccess, "uniformAndStorageBuffer16BitAccess");
        NEEDS(4448, d->storage8.storageBuffer8BitAccess, "storageBuffer8BitAccess");
        NEEDS(4449, d->storage8.uniformAndStorageBuffer8BitAccess, "uniformAndStorageBuffer8BitAccess");
    case 6016: /* DotProductInputAll, Input4x8Bit, Input4x8BitPacked, DotProduct */
    case 6017:
    case 6018: NEEDS(6019, d->dot_product_features.shaderIntegerDotProduct, "shaderIntegerDotProduct");
    case 0: /* Matrix */
    case 1: /* Shader */ return NULL;
    default: break;
    }
#undef NEEDS
    if (capability < 61 || capability > 68) return "a SPIR-V capability that is not known here";
    /* GroupNonUniform, ...Vote, Arithmetic, Ballot, Shuffle, ShuffleRelative, Clustered, Quad, as the operations' bits
     */
    bool stage = d->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT;
    return stage && d->subgroup.supportedOperations >> (capability - 61) & 1 ? NULL : "subgroup operations";
}

static status check_module(const uint32_t *words, size_t size, fault *f) {
    if (size < 20 || size % 4 || words[0] != 0x07230203) return fault_set(f, STATUS_ERROR, "not a SPIR-V module");
    /* OpCapability (two words, opcode 17) comes first in a module, behind the header of five words. */
    for (size_t i = 5; i + 1 < size / 4 && words[i] == (2u << 16 | 17); i += 2) {
        const char *missing = lacks(words[i + 1]);
        if (missing)
            return fault_set(f, STATUS_UNSUPPORTED, "the device lacks %s (SPIR-V capability %u)", missing,
                             words[i + 1]);
    }
    return STATUS_OK;
}

static status create_layout(const plan_kernel *k, pipeline *p, fault *f) {
    VkDescriptorSetLayoutBinding bindings[PLAN_MAX_ARGS];
    for (uint32_t i = 0; i < k->bindings; i++)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    VkDescriptorSetLayoutCreateInfo sets = {
        .base = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, NULL},
        .bindingCount = k->bindings,
        .pBindings = bindings,
    };
    VkResult result = vk.vkCreateDescriptorSetLayout(gpu.context.device, &sets, NULL, &p->sets);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateDescriptorSetLayout");
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, k->push};
    VkPipelineLayoutCreateInfo layout = {
        .base = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, NULL},
        .setLayoutCount = 1,
        .pSetLayouts = &p->sets,
        .pushConstantRangeCount = k->push ? 1 : 0,
        .pPushConstantRanges = &push,
    };
    result = vk.vkCreatePipelineLayout(gpu.context.device, &layout, NULL, &p->layout);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkCreatePipelineLayout");
}

static status check_kernel(const plan_kernel *k, fault *f) {
    const vulkan_device *d = gpu.context.physical;
    if (k->push % 4) return fault_set(f, STATUS_ERROR, "push=%u is not a multiple of 4", k->push);
    if (k->push > limits()->maxPushConstantsSize)
        return fault_set(f, STATUS_UNSUPPORTED, "%u bytes of push constants, the device has %u", k->push,
                         limits()->maxPushConstantsSize);
    if (k->bindings > limits()->maxPerStageDescriptorStorageBuffers)
        return fault_set(f, STATUS_UNSUPPORTED, "%u storage buffers, the device has %u", k->bindings,
                         limits()->maxPerStageDescriptorStorageBuffers);
    if (!k->subgroup) return STATUS_OK;
    bool on_demand = d->subgroup_size.base.sType && d->subgroup_size_features.subgroupSizeControl &&
                     d->subgroup_size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT &&
                     k->subgroup >= d->subgroup_size.minSubgroupSize && k->subgroup <= d->subgroup_size.maxSubgroupSize;
    if (on_demand) return STATUS_OK;
    return fault_set(f, STATUS_UNSUPPORTED, "the device does not run subgroups of %u on demand", k->subgroup);
}

static const char cache_name[] = "pipelines";

/* A driver drops what is not its own without a word (Vulkan specification, "Pipeline Cache Header"), so the header is
 * read here too. */
static const char *foreign(const void *data, size_t size) {
    const VkPhysicalDeviceProperties *device = &gpu.context.physical->properties;
    VkPipelineCacheHeaderVersionOne header;
    if (size < sizeof header) return "it is too short";
    memcpy(&header, data, sizeof header);
    if (header.headerVersion != 1 || header.headerSize < sizeof header) return "its header is of another version";
    bool same = header.vendorID == device->vendorID && header.deviceID == device->deviceID &&
                !memcmp(header.pipelineCacheUUID, device->pipelineCacheUUID, sizeof header.pipelineCacheUUID);
    return same ? NULL : "it is another driver's";
}

static status create_cache(char *log, fault *f) {
    int mode = programs_mode_of(gpu.plan);
    if (mode == PROGRAMS_IGNORE || gpu.cache) return STATUS_OK;
    size_t size = 0;
    char *data = mode == PROGRAMS_TAKE ? program_take(gpu.plan, cache_name, &size) : NULL;
    const char *wrong = data ? foreign(data, size) : NULL;
    if (wrong) snprintf(log, LOG_MAX + 1, "the kept pipelines were refused, %s: built from SPIR-V", wrong);
    if (mode == PROGRAMS_TAKE && !data) snprintf(log, LOG_MAX + 1, "no pipelines were kept: built from SPIR-V");
    gpu.taken = data && !wrong;
    VkPipelineCacheCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, NULL},
        .initialDataSize = gpu.taken ? size : 0,
        .pInitialData = gpu.taken ? data : NULL,
    };
    VkResult result = vk.vkCreatePipelineCache(gpu.context.device, &info, NULL, &gpu.cache);
    free(data);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkCreatePipelineCache");
}

static void keep_vulkan(void) {
    size_t size = 0;
    if (!gpu.cache || vk.vkGetPipelineCacheData(gpu.context.device, gpu.cache, &size, NULL) != VK_SUCCESS) return;
    void *data = malloc(size ? size : 1);
    if (data && vk.vkGetPipelineCacheData(gpu.context.device, gpu.cache, &size, data) == VK_SUCCESS)
        program_keep(cache_name, data, size);
    free(data);
}

static status create_pipeline(const plan_kernel *k, VkShaderModule module, pipeline *p, fault *f) {
    VkSpecializationMapEntry entries[PLAN_MAX_OPTIONS];
    uint32_t values[PLAN_MAX_OPTIONS];
    for (int i = 0; i < k->spec_count; i++) {
        entries[i] = (VkSpecializationMapEntry){k->spec[i].id, 4 * (uint32_t)i, 4};
        values[i] = k->spec[i].value;
    }
    VkSpecializationInfo spec = {(uint32_t)k->spec_count, entries, 4 * (size_t)k->spec_count, values};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, NULL}, k->subgroup};
    VkComputePipelineCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO, NULL},
        .stage =
            {
                .base = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, k->subgroup ? &subgroup : NULL},
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = k->entry,
                .pSpecializationInfo = &spec,
            },
        .layout = p->layout,
    };
    VkResult result = vk.vkCreateComputePipelines(gpu.context.device, gpu.cache, 1, &info, NULL, &p->pipeline);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkCreateComputePipelines");
}

static status build_vulkan(int kernel, const char *source, size_t size, char *log, bool *kept, fault *f) {
    const plan_kernel *k = &gpu.plan->kernels[kernel];
    pipeline *p = &gpu.pipelines[kernel];
    VkShaderModule module;
    if (!source) return fault_set(f, STATUS_ERROR, "a Vulkan kernel needs file=");
    const uint32_t *words = (const uint32_t *)(const void *)source; /* malloc's alignment */
    status s = check_module(words, size, f);
    if (s == STATUS_OK) s = check_kernel(k, f);
    if (s == STATUS_OK) s = create_cache(log, f);
    if (s == STATUS_OK) s = create_layout(k, p, f);
    if (s != STATUS_OK) return s;
    VkShaderModuleCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, NULL}, .codeSize = size, .pCode = words};
    VkResult result = vk.vkCreateShaderModule(gpu.context.device, &info, NULL, &module);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkCreateShaderModule");
    s = create_pipeline(k, module, p, f);
    vk.vkDestroyShaderModule(gpu.context.device, module, NULL);
    *kept = s == STATUS_OK && gpu.taken;
    return s;
}

/* Running */

static status bind_buffers(const plan_dispatch *d, const pipeline *p, fault *f) {
    VkDescriptorBufferInfo infos[PLAN_MAX_ARGS];
    VkWriteDescriptorSet writes[PLAN_MAX_ARGS];
    VkDescriptorSet set;
    uint32_t count = 0;
    VkDescriptorSetAllocateInfo info = {
        .base = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, NULL},
        .descriptorPool = gpu.sets,
        .descriptorSetCount = 1,
        .pSetLayouts = &p->sets,
    };
    VkResult result = vk.vkAllocateDescriptorSets(gpu.context.device, &info, &set);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkAllocateDescriptorSets");
    for (int i = 0; i < d->arg_count; i++) {
        if (d->args[i].kind != 'B') continue;
        const vulkan_buffer *b = &gpu.buffers[d->args[i].u];
        infos[count] = (VkDescriptorBufferInfo){b->buffer, 0, b->size};
        writes[count] = (VkWriteDescriptorSet){
            .base = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, NULL},
            .dstSet = set,
            .dstBinding = count,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &infos[count],
        };
        count++;
    }
    vk.vkUpdateDescriptorSets(gpu.context.device, count, writes, 0, NULL);
    vk.vkCmdBindDescriptorSets(gpu.commands, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0, NULL);
    return STATUS_OK;
}

static status record(const plan_dispatch *d, fault *f) {
    const plan_kernel *k = &gpu.plan->kernels[d->kernel];
    const pipeline *p = &gpu.pipelines[d->kernel];
    uint32_t push[PLAN_MAX_ARGS], buffers = 0, scalars = 0, groups[3];
    for (int i = 0; i < d->arg_count; i++) {
        if (d->args[i].kind == 'L')
            return fault_set(f, STATUS_ERROR, "%s: Vulkan has no local-memory arguments", k->name);
        if (d->args[i].kind == 'B')
            buffers++;
        else
            push[scalars++] = d->args[i].u;
    }
    if (buffers != k->bindings || 4 * scalars != k->push)
        return fault_set(f, STATUS_ERROR, "%s: %u buffers and %u bytes of scalars given, %u and %u declared", k->name,
                         buffers, 4 * scalars, k->bindings, k->push);
    for (int i = 0; i < 3; i++) {
        groups[i] = i < d->global_count ? d->global[i] : 1;
        if (groups[i] > limits()->maxComputeWorkGroupCount[i])
            return fault_set(f, STATUS_UNSUPPORTED, "%s: %u work-groups, the device takes %u", k->name, groups[i],
                             limits()->maxComputeWorkGroupCount[i]);
    }
    vk.vkCmdBindPipeline(gpu.commands, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
    if (buffers) {
        status s = bind_buffers(d, p, f);
        if (s != STATUS_OK) return s;
    }
    if (scalars) vk.vkCmdPushConstants(gpu.commands, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * scalars, push);
    vk.vkCmdDispatch(gpu.commands, groups[0], groups[1], groups[2]);
    return STATUS_OK;
}

static status new_pool(const plan_step *step, fault *f) {
    if (gpu.sets) vk.vkDestroyDescriptorPool(gpu.context.device, gpu.sets, NULL);
    gpu.sets = 0;
    uint32_t count = (uint32_t)step->dispatch_count;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1};
    for (uint32_t i = 0; i < count; i++)
        size.descriptorCount += gpu.plan->kernels[gpu.plan->dispatches[step->first_dispatch + (int)i].kernel].bindings;
    VkDescriptorPoolCreateInfo info = {
        .base = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, NULL},
        .maxSets = count,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    VkResult result = vk.vkCreateDescriptorPool(gpu.context.device, &info, NULL, &gpu.sets);
    return result == VK_SUCCESS ? STATUS_OK : vulkan_refused(f, result, "vkCreateDescriptorPool");
}

static status prepare_vulkan(const plan_step *step, fault *f) {
    status s = new_pool(step, f);
    if (s == STATUS_OK) s = vulkan_begin(gpu.commands, f);
    if (s != STATUS_OK) return s;
    if (gpu.timer) {
        vk.vkCmdResetQueryPool(gpu.commands, gpu.timer, 0, 2);
        vk.vkCmdWriteTimestamp(gpu.commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, gpu.timer, 0);
    }
    for (int i = 0; s == STATUS_OK && i < step->dispatch_count; i++) {
        if (i) vulkan_barrier(gpu.commands, false);
        s = record(&gpu.plan->dispatches[step->first_dispatch + i], f);
    }
    if (gpu.timer) vk.vkCmdWriteTimestamp(gpu.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, gpu.timer, 1);
    vulkan_barrier(gpu.commands, true);
    fault ignored;
    status ended = vulkan_end(gpu.commands, s == STATUS_OK ? f : &ignored);
    return s == STATUS_OK ? ended : s;
}

static status read_timer(int64_t *ns, fault *f) {
    uint64_t ticks[2];
    VkResult result = vk.vkGetQueryPoolResults(gpu.context.device, gpu.timer, 0, 2, sizeof ticks, ticks, 8,
                                               VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    if (result != VK_SUCCESS) return vulkan_refused(f, result, "vkGetQueryPoolResults");
    uint32_t bits = gpu.context.physical->families[gpu.context.family].timestampValidBits;
    uint64_t elapsed = ticks[1] - ticks[0];
    if (bits < 64) elapsed &= (UINT64_C(1) << bits) - 1; /* the counter wraps */
    double scaled = (double)elapsed * (double)limits()->timestampPeriod;
    *ns = scaled < 1e18 ? (int64_t)scaled : 0;
    return STATUS_OK;
}

static status submit_vulkan(int64_t *device_ns, fault *f) {
    *device_ns = 0;
    status s = vulkan_submit(&gpu.context, gpu.commands, f);
    return s == STATUS_OK && gpu.timer ? read_timer(device_ns, f) : s;
}

const executor vulkan_executor = {
    .open = open_vulkan,
    .allocate = allocate_vulkan,
    .host = host_vulkan,
    .uncached = true,
    .write = write_vulkan,
    .read = read_vulkan,
    .build = build_vulkan,
    .keep = keep_vulkan,
    .prepare = prepare_vulkan,
    .submit = submit_vulkan,
    .transfer = transfer_vulkan,
};
