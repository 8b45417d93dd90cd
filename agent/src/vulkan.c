#include "vulkan.h"

vulkan vk;

typedef void any_function(void);
static any_function *(*get_instance_function)(VkInstance, const char *);

bool vulkan_load(char *error, size_t error_size) {
#ifdef __ANDROID__
    bool open = library_dlopen(&vk.library, "libvulkan.so");
#else
    bool open = library_dlopen(&vk.library, "libvulkan.so.1") || library_dlopen(&vk.library, "libvulkan.so");
#endif
    if (!open) {
        snprintf(error, error_size, "no Vulkan loader could be opened: %.200s", vk.library.attempts[0].error);
        return false;
    }
    *(void **)&get_instance_function = dlsym(vk.library.handle, "vkGetInstanceProcAddr");
    if (!get_instance_function) {
        snprintf(error, error_size, "%s has no vkGetInstanceProcAddr", vk.library.name);
        return false;
    }
    VkResult (*instance_version)(uint32_t *) =
        (VkResult (*)(uint32_t *))get_instance_function(NULL, "vkEnumerateInstanceVersion");
    vk.loader_version = VULKAN_1_0; /* a loader of Vulkan 1.0 has no such function */
    if (instance_version && instance_version(&vk.loader_version) != VK_SUCCESS) vk.loader_version = VULKAN_1_0;
    return true;
}

bool vulkan_create_instance(char *error, size_t error_size) {
    const char *missing = NULL;
#define LOAD(result, name, arguments)                                         \
    vk.name = (result(*) arguments)get_instance_function(vk.instance, #name); \
    if (!vk.name && !missing) missing = #name;
    VULKAN_GLOBAL_FUNCTIONS(LOAD)
    if (!missing) {
        vk.version = vk.loader_version < VULKAN_1_3 ? vk.loader_version : VULKAN_1_3;
        VkApplicationInfo application = {
            .base = {VK_STRUCTURE_TYPE_APPLICATION_INFO, NULL},
            .pApplicationName = "gemmafit",
            .apiVersion = vk.version,
        };
        VkInstanceCreateInfo info = {
            .base = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, NULL},
            .pApplicationInfo = &application,
        };
        VkResult result = vk.vkCreateInstance(&info, NULL, &vk.instance);
        if (result != VK_SUCCESS) {
            snprintf(error, error_size, "no Vulkan driver: %s in vkCreateInstance", vulkan_result_name(result));
            return false;
        }
        VULKAN_FUNCTIONS(LOAD)
    }
    if (missing) {
        snprintf(error, error_size, "the Vulkan loader has no function %s", missing);
        return false;
    }
    VULKAN_1_1_FUNCTIONS(LOAD)
#undef LOAD
    return true;
}

static bool has_extension(const vulkan_device *d, const char *name) {
    for (uint32_t i = 0; name && i < d->extension_count; i++)
        if (!strcmp(d->extensions[i].extensionName, name)) return true;
    return false;
}

static void ask_extended(vulkan_device *d) {
    if (d->version < VULKAN_1_1 || !vk.vkGetPhysicalDeviceFeatures2 || !vk.vkGetPhysicalDeviceProperties2) return;
#define ASK(member, type, core, extension, container, container_type, function) \
    if (d->version >= core || has_extension(d, extension)) {                    \
        container whole = {.base = {container_type, &d->member}};               \
        d->member.base.sType = type;                                            \
        function(d->handle, &whole);                                            \
        d->member.base.pNext = NULL;                                            \
    }
#define ASK_PROPERTIES(member, structure, fields, type, core, extension)                                            \
    ASK(member, type, core, extension, VkPhysicalDeviceProperties2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, \
        vk.vkGetPhysicalDeviceProperties2)
#define ASK_FEATURES(member, structure, fields, type, core, extension)                                          \
    ASK(member, type, core, extension, VkPhysicalDeviceFeatures2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, \
        vk.vkGetPhysicalDeviceFeatures2)
    VK_EXTENDED_PROPERTIES(ASK_PROPERTIES)
    VK_EXTENDED_FEATURES(ASK_FEATURES)
}

static void ask(vulkan_device *d, VkPhysicalDevice handle) {
    d->handle = handle;
    vk.vkGetPhysicalDeviceProperties(handle, &d->properties);
    vk.vkGetPhysicalDeviceFeatures(handle, &d->features);
    vk.vkGetPhysicalDeviceMemoryProperties(handle, &d->memory);
    if (d->memory.memoryTypeCount > ARRAY_LENGTH(d->memory.memoryTypes)) d->memory.memoryTypeCount = 0;
    if (d->memory.memoryHeapCount > ARRAY_LENGTH(d->memory.memoryHeaps)) d->memory.memoryHeapCount = 0;
    d->family_count = VULKAN_MAX_FAMILIES;
    vk.vkGetPhysicalDeviceQueueFamilyProperties(handle, &d->family_count, d->families);
    d->extension_count = VULKAN_MAX_EXTENSIONS;
    VkResult result = vk.vkEnumerateDeviceExtensionProperties(handle, NULL, &d->extension_count, d->extensions);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) d->extension_count = 0;
    for (uint32_t i = 0; i < d->extension_count; i++) d->extensions[i].extensionName[255] = 0;
    uint32_t version = d->properties.apiVersion;
    d->version = version < vk.version ? version : vk.version;
    ask_extended(d);
}

static int rank(const vulkan_device *d) {
    static const int order[] = {
        [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = 0, [VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = 1,
        [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = 2,    [VK_PHYSICAL_DEVICE_TYPE_CPU] = 3,
        [VK_PHYSICAL_DEVICE_TYPE_OTHER] = 4,
    };
    uint32_t type = d->properties.deviceType;
    return type < ARRAY_LENGTH(order) ? order[type] : 5;
}

vulkan_device *vulkan_devices(uint32_t *count, char *error, size_t error_size) {
    VkPhysicalDevice handles[VULKAN_MAX_DEVICES];
    *count = VULKAN_MAX_DEVICES;
    VkResult result = vk.vkEnumeratePhysicalDevices(vk.instance, count, handles);
    if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || !*count) {
        *count = 0;
        snprintf(error, error_size, "no Vulkan device");
        if (result != VK_SUCCESS)
            snprintf(error, error_size, "no Vulkan device: %s in vkEnumeratePhysicalDevices",
                     vulkan_result_name(result));
        return NULL;
    }
    vulkan_device *devices = calloc(*count, sizeof *devices);
    if (!devices) {
        *count = 0;
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    for (uint32_t i = 0; i < *count; i++) ask(&devices[i], handles[i]);
    /* Stable: devices of one kind stay in the driver's order. */
    for (uint32_t i = 1; i < *count; i++)
        for (uint32_t k = i; k > 0 && rank(&devices[k]) < rank(&devices[k - 1]); k--) {
            vulkan_device swap = devices[k];
            devices[k] = devices[k - 1];
            devices[k - 1] = swap;
        }
    return devices;
}

const char *vulkan_type_name(const vulkan_device *d) {
    switch (d->properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "gpu";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "cpu";
    default: return "other";
    }
}

const char *vulkan_result_name(VkResult result) {
    static const struct {
        VkResult code;
        const char *name;
    } names[] = {
        {1, "VK_NOT_READY"},
        {2, "VK_TIMEOUT"},
        {5, "VK_INCOMPLETE"},
        {-1, "VK_ERROR_OUT_OF_HOST_MEMORY"},
        {-2, "VK_ERROR_OUT_OF_DEVICE_MEMORY"},
        {-3, "VK_ERROR_INITIALIZATION_FAILED"},
        {-4, "VK_ERROR_DEVICE_LOST"},
        {-5, "VK_ERROR_MEMORY_MAP_FAILED"},
        {-6, "VK_ERROR_LAYER_NOT_PRESENT"},
        {-7, "VK_ERROR_EXTENSION_NOT_PRESENT"},
        {-8, "VK_ERROR_FEATURE_NOT_PRESENT"},
        {-9, "VK_ERROR_INCOMPATIBLE_DRIVER"},
        {-10, "VK_ERROR_TOO_MANY_OBJECTS"},
        {-11, "VK_ERROR_FORMAT_NOT_SUPPORTED"},
        {-12, "VK_ERROR_FRAGMENTED_POOL"},
        {-13, "VK_ERROR_UNKNOWN"},
        {-1000069000, "VK_ERROR_OUT_OF_POOL_MEMORY"},
        {-1000072003, "VK_ERROR_INVALID_EXTERNAL_HANDLE"},
        {-1000161000, "VK_ERROR_FRAGMENTATION"},
        {-1000012000, "VK_ERROR_INVALID_SHADER_NV"},
    };
    static char text[64];
    const char *name = "a VkResult without a name";
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (names[i].code == result) name = names[i].name;
    snprintf(text, sizeof text, "%s (%d)", name, result);
    return text;
}
