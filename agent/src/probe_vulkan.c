/* The `vulkan` part of probe.json: every device under the Khronos names that `cmd gpu vkjson` uses. */
#include "probe.h"
#include "vulkan.h"

typedef enum kind { U32, I32, U64, F32, SIZE, BOOL, U32x2, U32x3, F32x2, U8x16, TEXT, VERSION4 } kind;

typedef struct field {
    const char *name;
    kind kind;
    size_t offset;
} field;

static void write_field(json *j, const field *f, const void *structure) {
    const void *at = (const char *)structure + f->offset;
    const uint32_t *u32 = at;
    const float *f32 = at;
    const uint8_t *u8 = at;
    const char *text = at;
    int count;
    switch (f->kind) {
    case U32: json_uint(j, f->name, *u32); break;
    case I32: json_int(j, f->name, *(const int32_t *)at); break;
    case U64: json_uint(j, f->name, *(const uint64_t *)at); break;
    case F32: json_double(j, f->name, *f32); break;
    case SIZE: json_uint(j, f->name, *(const size_t *)at); break;
    case BOOL: json_bool(j, f->name, *u32 != 0); break;
    case TEXT: {
        const char *end = memchr(text, 0, 256);
        json_chars(j, f->name, text, end ? (size_t)(end - text) : 256);
        break;
    }
    case VERSION4: json_format(j, f->name, "%u.%u.%u.%u", u8[0], u8[1], u8[2], u8[3]); break;
    default:
        count = f->kind == U8x16 ? 16 : f->kind == U32x3 ? 3 : 2;
        json_open(j, f->name, '[');
        for (int i = 0; i < count; i++)
            if (f->kind == U8x16)
                json_uint(j, NULL, u8[i]);
            else if (f->kind == F32x2)
                json_double(j, NULL, f32[i]);
            else
                json_uint(j, NULL, u32[i]);
        json_close(j, ']');
    }
}

/* One function for each structure: write_<structure>(json, object). */
#define DESCRIBE(kind, name) {#name, kind, offsetof(DESCRIBED, name)},
#define WRITER(structure, fields)                                                         \
    static void write_##structure(json *j, const structure *object) {                     \
        static const field list[] = {fields(DESCRIBE)};                                   \
        for (size_t i = 0; i < ARRAY_LENGTH(list); i++) write_field(j, &list[i], object); \
    }
#define DESCRIBED VkPhysicalDeviceProperties
WRITER(VkPhysicalDeviceProperties, VK_PROPERTIES)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceLimits
WRITER(VkPhysicalDeviceLimits, VK_LIMITS)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceSparseProperties
WRITER(VkPhysicalDeviceSparseProperties, VK_SPARSE)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceFeatures
WRITER(VkPhysicalDeviceFeatures, VK_FEATURES)
#undef DESCRIBED
#define DESCRIBED VkQueueFamilyProperties
WRITER(VkQueueFamilyProperties, VK_QUEUE_FAMILY)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceSubgroupProperties
WRITER(VkPhysicalDeviceSubgroupProperties, VK_SUBGROUP)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceMaintenance3Properties
WRITER(VkPhysicalDeviceMaintenance3Properties, VK_MAINTENANCE3)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceDriverProperties
WRITER(VkPhysicalDeviceDriverProperties, VK_DRIVER)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceSubgroupSizeControlProperties
WRITER(VkPhysicalDeviceSubgroupSizeControlProperties, VK_SUBGROUP_SIZE)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceShaderIntegerDotProductProperties
WRITER(VkPhysicalDeviceShaderIntegerDotProductProperties, VK_DOT_PRODUCT_PROPERTIES)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDevice16BitStorageFeatures
WRITER(VkPhysicalDevice16BitStorageFeatures, VK_STORAGE16)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDevice8BitStorageFeatures
WRITER(VkPhysicalDevice8BitStorageFeatures, VK_STORAGE8)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceShaderFloat16Int8Features
WRITER(VkPhysicalDeviceShaderFloat16Int8Features, VK_FLOAT16_INT8)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceSubgroupSizeControlFeatures
WRITER(VkPhysicalDeviceSubgroupSizeControlFeatures, VK_SUBGROUP_SIZE_FEATURES)
#undef DESCRIBED
#define DESCRIBED VkPhysicalDeviceShaderIntegerDotProductFeatures
WRITER(VkPhysicalDeviceShaderIntegerDotProductFeatures, VK_DOT_PRODUCT_FEATURES)
#undef DESCRIBED

static void write_memory(json *j, const VkPhysicalDeviceMemoryProperties *m) {
    json_open(j, "VkPhysicalDeviceMemoryProperties", '{');
    json_open(j, "memoryHeaps", '[');
    for (uint32_t i = 0; i < m->memoryHeapCount; i++) {
        json_open(j, NULL, '{');
        json_uint(j, "size", m->memoryHeaps[i].size);
        json_uint(j, "flags", m->memoryHeaps[i].flags);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "memoryTypes", '[');
    for (uint32_t i = 0; i < m->memoryTypeCount; i++) {
        json_open(j, NULL, '{');
        json_uint(j, "propertyFlags", m->memoryTypes[i].propertyFlags);
        json_uint(j, "heapIndex", m->memoryTypes[i].heapIndex);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void write_device(json *j, const vulkan_device *d) {
    json_open(j, NULL, '{');
    json_open(j, "VkPhysicalDeviceProperties", '{');
    write_VkPhysicalDeviceProperties(j, &d->properties);
    json_open(j, "limits", '{');
    write_VkPhysicalDeviceLimits(j, &d->properties.limits);
    json_close(j, '}');
    json_open(j, "sparseProperties", '{');
    write_VkPhysicalDeviceSparseProperties(j, &d->properties.sparseProperties);
    json_close(j, '}');
    json_close(j, '}');
    json_open(j, "VkPhysicalDeviceFeatures", '{');
    write_VkPhysicalDeviceFeatures(j, &d->features);
    json_close(j, '}');
#define WRITE(member, structure, fields, type, version, extension) \
    if (d->member.base.sType) {                                    \
        json_open(j, #structure, '{');                             \
        write_##structure(j, &d->member);                          \
        json_close(j, '}');                                        \
    }
    VK_EXTENDED_PROPERTIES(WRITE)
    VK_EXTENDED_FEATURES(WRITE)
    write_memory(j, &d->memory);
    json_open(j, "queueFamilies", '[');
    for (uint32_t i = 0; i < d->family_count; i++) {
        json_open(j, NULL, '{');
        write_VkQueueFamilyProperties(j, &d->families[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "extensions", '{');
    for (uint32_t i = 0; i < d->extension_count; i++)
        json_uint(j, d->extensions[i].extensionName, d->extensions[i].specVersion);
    json_close(j, '}');
    json_close(j, '}');
}

void probe_vulkan(json *j) {
    char error[300];
    uint32_t count = 0;
    bool ok = vulkan_load(error, sizeof error);
    library_json(j, &vk.library);
    vulkan_device *devices = NULL;
    if (ok) {
        uint32_t v = vk.loader_version;
        json_format(j, "instance_version", "%u.%u.%u", v >> 22 & 127, v >> 12 & 1023, v & 4095);
        probe_checkpoint(j);
        if (vulkan_create_instance(error, sizeof error)) devices = vulkan_devices(&count, error, sizeof error);
    }
    json_string(j, "error", devices ? NULL : error);
    json_open(j, "devices", '[');
    for (uint32_t i = 0; i < count; i++) write_device(j, &devices[i]);
    json_close(j, ']');
    free(devices);
}
