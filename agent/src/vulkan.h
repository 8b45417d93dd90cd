/* Vulkan as far as the agent uses it: types, numbers and functions by the Khronos registry (vk.xml, Vulkan 1.3), the
 * loader, and what there is behind it. Handles that are not dispatchable have 64 bits on every platform. */
#ifndef GEMMAFIT_VULKAN_H
#define GEMMAFIT_VULKAN_H

#include "library.h"
#include "vulkan_fields.h"

typedef int32_t VkResult;
typedef uint32_t VkFlags, VkBool32;
typedef uint64_t VkDeviceSize;
typedef struct VkInstance_T *VkInstance;
typedef struct VkPhysicalDevice_T *VkPhysicalDevice;
typedef struct VkDevice_T *VkDevice;
typedef struct VkQueue_T *VkQueue;
typedef struct VkCommandBuffer_T *VkCommandBuffer;
typedef uint64_t VkBuffer, VkDeviceMemory, VkShaderModule, VkDescriptorSetLayout, VkPipelineLayout, VkPipeline,
    VkPipelineCache, VkDescriptorPool, VkDescriptorSet, VkCommandPool, VkQueryPool, VkFence;

#define VULKAN_1_0 (1u << 22)
#define VULKAN_1_1 (1u << 22 | 1u << 12)
#define VULKAN_1_2 (1u << 22 | 2u << 12)
#define VULKAN_1_3 (1u << 22 | 3u << 12)

enum {
    VK_SUCCESS = 0,
    VK_TIMEOUT = 2,
    VK_INCOMPLETE = 5,
    VK_STRUCTURE_TYPE_APPLICATION_INFO = 0,
    VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO = 1,
    VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO = 2,
    VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO = 3,
    VK_STRUCTURE_TYPE_SUBMIT_INFO = 4,
    VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO = 5,
    VK_STRUCTURE_TYPE_FENCE_CREATE_INFO = 8,
    VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO = 11,
    VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO = 12,
    VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO = 16,
    VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO = 17,
    VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO = 18,
    VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO = 29,
    VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO = 30,
    VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO = 32,
    VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO = 33,
    VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO = 34,
    VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET = 35,
    VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO = 39,
    VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO = 40,
    VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO = 42,
    VK_STRUCTURE_TYPE_MEMORY_BARRIER = 46,
    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 = 1000059000,
    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 = 1000059001,
    VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO = 1000225001,
    VK_PHYSICAL_DEVICE_TYPE_OTHER = 0,
    VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU = 1,
    VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU = 2,
    VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU = 3,
    VK_PHYSICAL_DEVICE_TYPE_CPU = 4,
    VK_QUEUE_COMPUTE_BIT = 2,
    VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT = 1,
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT = 2,
    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT = 4,
    VK_MEMORY_PROPERTY_HOST_CACHED_BIT = 8,
    VK_BUFFER_USAGE_TRANSFER_SRC_BIT = 1,
    VK_BUFFER_USAGE_TRANSFER_DST_BIT = 2,
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT = 0x20,
    VK_DESCRIPTOR_TYPE_STORAGE_BUFFER = 7,
    VK_SHADER_STAGE_COMPUTE_BIT = 0x20,
    VK_PIPELINE_BIND_POINT_COMPUTE = 1,
    VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT = 1,
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT = 0x800,
    VK_PIPELINE_STAGE_TRANSFER_BIT = 0x1000,
    VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT = 0x2000,
    VK_PIPELINE_STAGE_HOST_BIT = 0x4000,
    VK_ACCESS_SHADER_READ_BIT = 0x20,
    VK_ACCESS_SHADER_WRITE_BIT = 0x40,
    VK_ACCESS_TRANSFER_READ_BIT = 0x800,
    VK_ACCESS_TRANSFER_WRITE_BIT = 0x1000,
    VK_ACCESS_HOST_READ_BIT = 0x2000,
    VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT = 2,
    VK_QUERY_TYPE_TIMESTAMP = 2,
    VK_QUERY_RESULT_64_BIT = 1,
    VK_QUERY_RESULT_WAIT_BIT = 2,
};

/* What devices are asked for. */
#define VK_FIELD(kind, name) VK_FIELD_##kind(name)
#define VK_FIELD_U32(name) uint32_t name;
#define VK_FIELD_I32(name) int32_t name;
#define VK_FIELD_U64(name) uint64_t name;
#define VK_FIELD_F32(name) float name;
#define VK_FIELD_SIZE(name) size_t name;
#define VK_FIELD_BOOL(name) VkBool32 name;
#define VK_FIELD_U32x2(name) uint32_t name[2];
#define VK_FIELD_U32x3(name) uint32_t name[3];
#define VK_FIELD_F32x2(name) float name[2];
#define VK_FIELD_U8x16(name) uint8_t name[16];
#define VK_FIELD_TEXT(name) char name[256];
#define VK_FIELD_VERSION4(name) uint8_t name[4];

typedef struct VkPhysicalDeviceLimits {
    VK_LIMITS(VK_FIELD)
} VkPhysicalDeviceLimits;
typedef struct VkPhysicalDeviceSparseProperties {
    VK_SPARSE(VK_FIELD)
} VkPhysicalDeviceSparseProperties;
typedef struct VkPhysicalDeviceFeatures {
    VK_FEATURES(VK_FIELD)
} VkPhysicalDeviceFeatures;
typedef struct VkPhysicalDeviceProperties {
    VK_PROPERTIES(VK_FIELD)
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceSparseProperties sparseProperties;
} VkPhysicalDeviceProperties;
_Static_assert(sizeof(VkPhysicalDeviceLimits) == (sizeof(size_t) == 8 ? 504 : 496), "as in vulkan_core.h");
_Static_assert(sizeof(VkPhysicalDeviceFeatures) == 220, "as in vulkan_core.h");

/* An extending structure: the two fields by which they chain, then its own. */
typedef struct VkBaseOutStructure {
    uint32_t sType;
    void *pNext;
} VkBaseOutStructure;
#define VK_EXTENDED_STRUCT(member, structure, fields, type, version, extension) \
    typedef struct structure {                                                  \
        VkBaseOutStructure base;                                                \
        fields(VK_FIELD)                                                        \
    } structure;
VK_EXTENDED_PROPERTIES(VK_EXTENDED_STRUCT)
VK_EXTENDED_FEATURES(VK_EXTENDED_STRUCT)

typedef struct VkPhysicalDeviceFeatures2 {
    VkBaseOutStructure base;
    VkPhysicalDeviceFeatures features;
} VkPhysicalDeviceFeatures2;
typedef struct VkPhysicalDeviceProperties2 {
    VkBaseOutStructure base;
    VkPhysicalDeviceProperties properties;
} VkPhysicalDeviceProperties2;
typedef struct VkPhysicalDeviceMemoryProperties {
    uint32_t memoryTypeCount;
    struct {
        VkFlags propertyFlags;
        uint32_t heapIndex;
    } memoryTypes[32];
    uint32_t memoryHeapCount;
    struct {
        VkDeviceSize size;
        VkFlags flags;
    } memoryHeaps[16];
} VkPhysicalDeviceMemoryProperties;
typedef struct VkQueueFamilyProperties {
    VK_QUEUE_FAMILY(VK_FIELD)
    uint32_t minImageTransferGranularity[3];
} VkQueueFamilyProperties;
typedef struct VkExtensionProperties {
    char extensionName[256];
    uint32_t specVersion;
} VkExtensionProperties;

/* What is created. */
typedef struct VkApplicationInfo {
    VkBaseOutStructure base;
    const char *pApplicationName;
    uint32_t applicationVersion;
    const char *pEngineName;
    uint32_t engineVersion, apiVersion;
} VkApplicationInfo;
typedef struct VkInstanceCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    const VkApplicationInfo *pApplicationInfo;
    uint32_t enabledLayerCount;
    const char *const *ppEnabledLayerNames;
    uint32_t enabledExtensionCount;
    const char *const *ppEnabledExtensionNames;
} VkInstanceCreateInfo;
typedef struct VkDeviceQueueCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t queueFamilyIndex, queueCount;
    const float *pQueuePriorities;
} VkDeviceQueueCreateInfo;
typedef struct VkDeviceCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t queueCreateInfoCount;
    const VkDeviceQueueCreateInfo *pQueueCreateInfos;
    uint32_t enabledLayerCount;
    const char *const *ppEnabledLayerNames;
    uint32_t enabledExtensionCount;
    const char *const *ppEnabledExtensionNames;
    const VkPhysicalDeviceFeatures *pEnabledFeatures;
} VkDeviceCreateInfo;
typedef struct VkBufferCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    VkDeviceSize size;
    VkFlags usage;
    uint32_t sharingMode, queueFamilyIndexCount;
    const uint32_t *pQueueFamilyIndices;
} VkBufferCreateInfo;
typedef struct VkMemoryRequirements {
    VkDeviceSize size, alignment;
    uint32_t memoryTypeBits;
} VkMemoryRequirements;
typedef struct VkMemoryAllocateInfo {
    VkBaseOutStructure base;
    VkDeviceSize allocationSize;
    uint32_t memoryTypeIndex;
} VkMemoryAllocateInfo;
typedef struct VkShaderModuleCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    size_t codeSize;
    const uint32_t *pCode;
} VkShaderModuleCreateInfo;
typedef struct VkPipelineCacheCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    size_t initialDataSize;
    const void *pInitialData;
} VkPipelineCacheCreateInfo;
/* What every cache's data begins with. */
typedef struct VkPipelineCacheHeaderVersionOne {
    uint32_t headerSize, headerVersion, vendorID, deviceID;
    uint8_t pipelineCacheUUID[16];
} VkPipelineCacheHeaderVersionOne;
typedef struct VkDescriptorSetLayoutBinding {
    uint32_t binding, descriptorType, descriptorCount;
    VkFlags stageFlags;
    const void *pImmutableSamplers;
} VkDescriptorSetLayoutBinding;
typedef struct VkDescriptorSetLayoutCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t bindingCount;
    const VkDescriptorSetLayoutBinding *pBindings;
} VkDescriptorSetLayoutCreateInfo;
typedef struct VkPushConstantRange {
    VkFlags stageFlags;
    uint32_t offset, size;
} VkPushConstantRange;
typedef struct VkPipelineLayoutCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t setLayoutCount;
    const VkDescriptorSetLayout *pSetLayouts;
    uint32_t pushConstantRangeCount;
    const VkPushConstantRange *pPushConstantRanges;
} VkPipelineLayoutCreateInfo;
typedef struct VkSpecializationMapEntry {
    uint32_t constantID, offset;
    size_t size;
} VkSpecializationMapEntry;
typedef struct VkSpecializationInfo {
    uint32_t mapEntryCount;
    const VkSpecializationMapEntry *pMapEntries;
    size_t dataSize;
    const void *pData;
} VkSpecializationInfo;
typedef struct VkPipelineShaderStageRequiredSubgroupSizeCreateInfo {
    VkBaseOutStructure base;
    uint32_t requiredSubgroupSize;
} VkPipelineShaderStageRequiredSubgroupSizeCreateInfo;
typedef struct VkPipelineShaderStageCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t stage;
    VkShaderModule module;
    const char *pName;
    const VkSpecializationInfo *pSpecializationInfo;
} VkPipelineShaderStageCreateInfo;
typedef struct VkComputePipelineCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    VkPipelineShaderStageCreateInfo stage;
    VkPipelineLayout layout;
    VkPipeline basePipelineHandle;
    int32_t basePipelineIndex;
} VkComputePipelineCreateInfo;
typedef struct VkDescriptorPoolSize {
    uint32_t type, descriptorCount;
} VkDescriptorPoolSize;
typedef struct VkDescriptorPoolCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t maxSets, poolSizeCount;
    const VkDescriptorPoolSize *pPoolSizes;
} VkDescriptorPoolCreateInfo;
typedef struct VkDescriptorSetAllocateInfo {
    VkBaseOutStructure base;
    VkDescriptorPool descriptorPool;
    uint32_t descriptorSetCount;
    const VkDescriptorSetLayout *pSetLayouts;
} VkDescriptorSetAllocateInfo;
typedef struct VkDescriptorBufferInfo {
    VkBuffer buffer;
    VkDeviceSize offset, range;
} VkDescriptorBufferInfo;
typedef struct VkWriteDescriptorSet {
    VkBaseOutStructure base;
    VkDescriptorSet dstSet;
    uint32_t dstBinding, dstArrayElement, descriptorCount, descriptorType;
    const void *pImageInfo;
    const VkDescriptorBufferInfo *pBufferInfo;
    const void *pTexelBufferView;
} VkWriteDescriptorSet;
typedef struct VkCommandPoolCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t queueFamilyIndex;
} VkCommandPoolCreateInfo;
typedef struct VkCommandBufferAllocateInfo {
    VkBaseOutStructure base;
    VkCommandPool commandPool;
    uint32_t level, commandBufferCount;
} VkCommandBufferAllocateInfo;
typedef struct VkCommandBufferBeginInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    const void *pInheritanceInfo;
} VkCommandBufferBeginInfo;
typedef struct VkMemoryBarrier {
    VkBaseOutStructure base;
    VkFlags srcAccessMask, dstAccessMask;
} VkMemoryBarrier;
typedef struct VkBufferCopy {
    VkDeviceSize srcOffset, dstOffset, size;
} VkBufferCopy;
typedef struct VkSubmitInfo {
    VkBaseOutStructure base;
    uint32_t waitSemaphoreCount;
    const void *pWaitSemaphores;
    const VkFlags *pWaitDstStageMask;
    uint32_t commandBufferCount;
    const VkCommandBuffer *pCommandBuffers;
    uint32_t signalSemaphoreCount;
    const void *pSignalSemaphores;
} VkSubmitInfo;
typedef struct VkQueryPoolCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
    uint32_t queryType, queryCount;
    VkFlags pipelineStatistics;
} VkQueryPoolCreateInfo;
typedef struct VkFenceCreateInfo {
    VkBaseOutStructure base;
    VkFlags flags;
} VkFenceCreateInfo;

/* F(result, name, arguments). The first list is found without an instance, the last may be absent (Vulkan 1.0). */
#define VULKAN_GLOBAL_FUNCTIONS(F)                                                                                    \
    F(VkResult, vkCreateInstance, (const VkInstanceCreateInfo *, const void *, VkInstance *))
#define VULKAN_FUNCTIONS(F)                                                                                           \
    F(VkResult, vkEnumeratePhysicalDevices, (VkInstance, uint32_t *, VkPhysicalDevice *))                             \
    F(void, vkGetPhysicalDeviceProperties, (VkPhysicalDevice, VkPhysicalDeviceProperties *))                          \
    F(void, vkGetPhysicalDeviceFeatures, (VkPhysicalDevice, VkPhysicalDeviceFeatures *))                              \
    F(void, vkGetPhysicalDeviceMemoryProperties, (VkPhysicalDevice, VkPhysicalDeviceMemoryProperties *))              \
    F(void, vkGetPhysicalDeviceQueueFamilyProperties, (VkPhysicalDevice, uint32_t *, VkQueueFamilyProperties *))      \
    F(VkResult, vkEnumerateDeviceExtensionProperties,                                                                 \
      (VkPhysicalDevice, const char *, uint32_t *, VkExtensionProperties *))                                          \
    F(VkResult, vkCreateDevice, (VkPhysicalDevice, const VkDeviceCreateInfo *, const void *, VkDevice *))             \
    F(void, vkGetDeviceQueue, (VkDevice, uint32_t, uint32_t, VkQueue *))                                              \
    F(VkResult, vkCreateBuffer, (VkDevice, const VkBufferCreateInfo *, const void *, VkBuffer *))                     \
    F(void, vkDestroyBuffer, (VkDevice, VkBuffer, const void *))                                                      \
    F(void, vkGetBufferMemoryRequirements, (VkDevice, VkBuffer, VkMemoryRequirements *))                              \
    F(VkResult, vkAllocateMemory, (VkDevice, const VkMemoryAllocateInfo *, const void *, VkDeviceMemory *))           \
    F(void, vkFreeMemory, (VkDevice, VkDeviceMemory, const void *))                                                   \
    F(VkResult, vkBindBufferMemory, (VkDevice, VkBuffer, VkDeviceMemory, VkDeviceSize))                               \
    F(VkResult, vkMapMemory, (VkDevice, VkDeviceMemory, VkDeviceSize, VkDeviceSize, VkFlags, void **))                \
    F(VkResult, vkCreateShaderModule, (VkDevice, const VkShaderModuleCreateInfo *, const void *, VkShaderModule *))   \
    F(void, vkDestroyShaderModule, (VkDevice, VkShaderModule, const void *))                                          \
    F(VkResult, vkCreateDescriptorSetLayout,                                                                          \
      (VkDevice, const VkDescriptorSetLayoutCreateInfo *, const void *, VkDescriptorSetLayout *))                     \
    F(VkResult, vkCreatePipelineLayout,                                                                               \
      (VkDevice, const VkPipelineLayoutCreateInfo *, const void *, VkPipelineLayout *))                               \
    F(VkResult, vkCreatePipelineCache,                                                                                \
      (VkDevice, const VkPipelineCacheCreateInfo *, const void *, VkPipelineCache *))                                 \
    F(VkResult, vkGetPipelineCacheData, (VkDevice, VkPipelineCache, size_t *, void *))                                \
    F(VkResult, vkCreateComputePipelines,                                                                             \
      (VkDevice, VkPipelineCache, uint32_t, const VkComputePipelineCreateInfo *, const void *, VkPipeline *))                \
    F(VkResult, vkCreateDescriptorPool,                                                                               \
      (VkDevice, const VkDescriptorPoolCreateInfo *, const void *, VkDescriptorPool *))                               \
    F(void, vkDestroyDescriptorPool, (VkDevice, VkDescriptorPool, const void *))                                      \
    F(VkResult, vkAllocateDescriptorSets, (VkDevice, const VkDescriptorSetAllocateInfo *, VkDescriptorSet *))         \
    F(void, vkUpdateDescriptorSets, (VkDevice, uint32_t, const VkWriteDescriptorSet *, uint32_t, const void *))       \
    F(VkResult, vkCreateCommandPool, (VkDevice, const VkCommandPoolCreateInfo *, const void *, VkCommandPool *))      \
    F(VkResult, vkAllocateCommandBuffers, (VkDevice, const VkCommandBufferAllocateInfo *, VkCommandBuffer *))         \
    F(VkResult, vkBeginCommandBuffer, (VkCommandBuffer, const VkCommandBufferBeginInfo *))                            \
    F(VkResult, vkEndCommandBuffer, (VkCommandBuffer))                                                                \
    F(void, vkCmdBindPipeline, (VkCommandBuffer, uint32_t, VkPipeline))                                               \
    F(void, vkCmdBindDescriptorSets,                                                                                  \
      (VkCommandBuffer, uint32_t, VkPipelineLayout, uint32_t, uint32_t, const VkDescriptorSet *, uint32_t,            \
       const uint32_t *))                                                                                             \
    F(void, vkCmdPushConstants, (VkCommandBuffer, VkPipelineLayout, VkFlags, uint32_t, uint32_t, const void *))       \
    F(void, vkCmdDispatch, (VkCommandBuffer, uint32_t, uint32_t, uint32_t))                                           \
    F(void, vkCmdPipelineBarrier,                                                                                     \
      (VkCommandBuffer, VkFlags, VkFlags, VkFlags, uint32_t, const VkMemoryBarrier *, uint32_t, const void *,         \
       uint32_t, const void *))                                                                                       \
    F(void, vkCmdCopyBuffer, (VkCommandBuffer, VkBuffer, VkBuffer, uint32_t, const VkBufferCopy *))                   \
    F(void, vkCmdResetQueryPool, (VkCommandBuffer, VkQueryPool, uint32_t, uint32_t))                                  \
    F(void, vkCmdWriteTimestamp, (VkCommandBuffer, uint32_t, VkQueryPool, uint32_t))                                  \
    F(VkResult, vkCreateQueryPool, (VkDevice, const VkQueryPoolCreateInfo *, const void *, VkQueryPool *))            \
    F(VkResult, vkGetQueryPoolResults,                                                                                \
      (VkDevice, VkQueryPool, uint32_t, uint32_t, size_t, void *, VkDeviceSize, VkFlags))                             \
    F(VkResult, vkCreateFence, (VkDevice, const VkFenceCreateInfo *, const void *, VkFence *))                        \
    F(VkResult, vkResetFences, (VkDevice, uint32_t, const VkFence *))                                                 \
    F(VkResult, vkWaitForFences, (VkDevice, uint32_t, const VkFence *, VkBool32, uint64_t))                           \
    F(VkResult, vkQueueSubmit, (VkQueue, uint32_t, const VkSubmitInfo *, VkFence))
#define VULKAN_1_1_FUNCTIONS(F)                                                                                       \
    F(void, vkGetPhysicalDeviceFeatures2, (VkPhysicalDevice, VkPhysicalDeviceFeatures2 *))                            \
    F(void, vkGetPhysicalDeviceProperties2, (VkPhysicalDevice, VkPhysicalDeviceProperties2 *))

/* The functions of the opened library. `version`: of the instance, at most 1.3. */
#define VK_DECLARE(result, name, arguments) result(*name) arguments;
typedef struct vulkan {
    library library;
    VkInstance instance;
    uint32_t loader_version, version;
    VULKAN_GLOBAL_FUNCTIONS(VK_DECLARE)
    VULKAN_FUNCTIONS(VK_DECLARE)
    VULKAN_1_1_FUNCTIONS(VK_DECLARE)
} vulkan;
extern vulkan vk;

enum { VULKAN_MAX_FAMILIES = 16, VULKAN_MAX_EXTENSIONS = 512 };

/* Everything that a device says of itself. A structure whose sType is 0 was not asked for: the device lacks it. */
#define VK_MEMBER(member, structure, fields, type, version, extension) structure member;
typedef struct vulkan_device {
    VkPhysicalDevice handle;
    uint32_t version; /* what can be used: the lesser of the instance's and the device's */
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceFeatures features;
    VkPhysicalDeviceMemoryProperties memory;
    VkQueueFamilyProperties families[VULKAN_MAX_FAMILIES];
    uint32_t family_count, extension_count;
    VkExtensionProperties extensions[VULKAN_MAX_EXTENSIONS];
    VK_EXTENDED_PROPERTIES(VK_MEMBER)
    VK_EXTENDED_FEATURES(VK_MEMBER)
} vulkan_device;

/* Opens the library. */
bool vulkan_load(char *error, size_t error_size);
/* Makes the instance. */
bool vulkan_create_instance(char *error, size_t error_size);
/* The devices, the one to use first (integrated, discrete, virtual, cpu, other); to be freed. NULL and an error text
 * where there are none. */
vulkan_device *vulkan_devices(uint32_t *count, char *error, size_t error_size);
/* gpu | cpu | virtual | other */
const char *vulkan_type_name(const vulkan_device *d);
/* VK_ERROR_DEVICE_LOST (-4) */
const char *vulkan_result_name(VkResult result);

#endif
