"""Vulkan's loader, instance and devices through the `vulkan` package, and what they say about themselves.

Structure and field names are Khronos's throughout, in the form `cmd gpu vkjson` prints: a mapping from the
name of a structure to its fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..interpreter.interface import BackendMissing, ExecutorError

Facts = dict[str, Any]
"""One entry of `devices` in probe.json."""

VERSION_1_1, VERSION_1_2, VERSION_1_3 = 1 << 22 | 1 << 12, 1 << 22 | 2 << 12, 1 << 22 | 3 << 12


def load() -> ModuleType:
    """The `vulkan` package. Importing it opens the loader's library; BackendMissing if there is none."""
    try:
        import vulkan
    except OSError as error:
        raise BackendMissing("no Vulkan loader (libvulkan) on this computer") from error
    module: ModuleType = vulkan
    return module


def call(vk: ModuleType, function: str, *args: Any) -> Any:
    """Call a Vulkan function; what it refuses is an ExecutorError with the result's name and number."""
    try:
        return getattr(vk, function)(*args)
    except (vk.VkError, vk.VkException) as error:
        code = next((c for c, kind in vk.exception_codes.items() if kind is type(error)), None)
        words = re.findall(r"[A-Z][a-z0-9]*", type(error).__name__)
        raise ExecutorError(f"{'_'.join(words).upper()} ({code}) in {function}") from error
    except KeyError as error:  # a result that the package has no name for
        raise ExecutorError(f"VkResult {error} in {function}") from error


@dataclass(frozen=True)
class _Structure:
    """A structure to ask for: from Vulkan `version` on, or where `extension` is there."""

    name: str
    version: int
    extension: str = ""

    @property
    def is_feature(self) -> bool:
        return self.name.endswith("Features")


STRUCTURES = (
    _Structure("VkPhysicalDeviceSubgroupProperties", VERSION_1_1),
    _Structure("VkPhysicalDeviceMaintenance3Properties", VERSION_1_1, "VK_KHR_maintenance3"),
    _Structure("VkPhysicalDeviceDriverProperties", VERSION_1_2, "VK_KHR_driver_properties"),
    _Structure("VkPhysicalDeviceSubgroupSizeControlProperties", VERSION_1_3, "VK_EXT_subgroup_size_control"),
    _Structure(
        "VkPhysicalDeviceShaderIntegerDotProductProperties", VERSION_1_3, "VK_KHR_shader_integer_dot_product"
    ),
    _Structure("VkPhysicalDevice16BitStorageFeatures", VERSION_1_1, "VK_KHR_16bit_storage"),
    _Structure("VkPhysicalDevice8BitStorageFeatures", VERSION_1_2, "VK_KHR_8bit_storage"),
    _Structure("VkPhysicalDeviceShaderFloat16Int8Features", VERSION_1_2, "VK_KHR_shader_float16_int8"),
    _Structure("VkPhysicalDeviceSubgroupSizeControlFeatures", VERSION_1_3, "VK_EXT_subgroup_size_control"),
    _Structure(
        "VkPhysicalDeviceShaderIntegerDotProductFeatures", VERSION_1_3, "VK_KHR_shader_integer_dot_product"
    ),
)

_DEVICE_TYPES = {0: "other", 1: "gpu", 2: "gpu", 3: "virtual", 4: "cpu"}
_PREFERENCE = (1, 2, 3, 4, 0)  # integrated, discrete, virtual, cpu, other
_FLAGS = {"timestampComputeAndGraphics", "strictLines", "standardSampleLocations"}


@dataclass(frozen=True)
class PhysicalDevice:
    """A device of the instance, and the structures that its driver filled in."""

    handle: Any
    facts: Facts

    def has(self, structure: _Structure) -> bool:
        return structure.name in self.facts

    @property
    def type(self) -> str:
        return _DEVICE_TYPES.get(self.facts["VkPhysicalDeviceProperties"]["deviceType"], "other")

    @property
    def driver(self) -> str:
        """As the driver words it, else its number."""
        words = self.facts.get("VkPhysicalDeviceDriverProperties")
        if words:
            return f"{words['driverName']} {words['driverInfo']}".strip()
        return str(self.facts["VkPhysicalDeviceProperties"]["driverVersion"])


class Instance:
    """A Vulkan instance. Raises BackendMissing where there is none, or no device."""

    def __init__(self) -> None:
        self.vk = load()
        vk = self.vk
        try:
            self.version: int = vk.vkEnumerateInstanceVersion()
        except AttributeError:  # a loader of Vulkan 1.0
            self.version = 1 << 22
        application = vk.VkApplicationInfo(
            pApplicationName="gemmafit", apiVersion=min(self.version, VERSION_1_3 | 0xFFF)
        )
        try:
            self.handle = call(
                vk, "vkCreateInstance", vk.VkInstanceCreateInfo(pApplicationInfo=application), None
            )
        except ExecutorError as error:
            raise BackendMissing(f"no Vulkan driver: {error}") from error

    def devices(self) -> list[PhysicalDevice]:
        """All devices, the preferred one first."""
        try:
            handles = list(call(self.vk, "vkEnumeratePhysicalDevices", self.handle))
        except ExecutorError as error:
            raise BackendMissing(f"no Vulkan device: {error}") from error
        found = [PhysicalDevice(h, self._facts(h)) for h in handles]

        def rank(device: PhysicalDevice) -> int:
            kind = device.facts["VkPhysicalDeviceProperties"]["deviceType"]
            return _PREFERENCE.index(kind) if kind in _PREFERENCE else len(_PREFERENCE)

        return sorted(found, key=rank)

    def close(self) -> None:
        self.vk.vkDestroyInstance(self.handle, None)

    def _facts(self, handle: Any) -> Facts:
        vk = self.vk
        properties = vk.vkGetPhysicalDeviceProperties(handle)
        extensions = {
            e.extensionName: e.specVersion
            for e in call(vk, "vkEnumerateDeviceExtensionProperties", handle, None)
        }
        families = vk.vkGetPhysicalDeviceQueueFamilyProperties(handle)
        facts: Facts = {
            "VkPhysicalDeviceProperties": to_dict(vk, properties),
            "VkPhysicalDeviceFeatures": to_dict(vk, vk.vkGetPhysicalDeviceFeatures(handle), flags=True),
            "VkPhysicalDeviceMemoryProperties": _memory(vk, handle),
            "queueFamilies": [to_dict(vk, f) for f in families],
            "extensions": extensions,
        }
        version = min(self.version, properties.apiVersion)
        if version >= VERSION_1_1:
            for structure in STRUCTURES:
                if version >= structure.version or structure.extension in extensions:
                    facts[structure.name] = self._query(handle, structure)
        driver = facts.get("VkPhysicalDeviceDriverProperties")
        if driver:
            parts = driver["conformanceVersion"]
            driver["conformanceVersion"] = ".".join(str(v) for v in parts.values())
        return facts

    def _query(self, handle: Any, structure: _Structure) -> Facts:
        vk = self.vk
        answer = getattr(vk, structure.name)()
        if structure.is_feature:
            vk.vkGetPhysicalDeviceFeatures2(handle, vk.VkPhysicalDeviceFeatures2(pNext=answer))
        else:
            vk.vkGetPhysicalDeviceProperties2(handle, vk.VkPhysicalDeviceProperties2(pNext=answer))
        flags = structure.is_feature or "IntegerDotProduct" in structure.name
        return to_dict(vk, answer, flags=flags)


def _memory(vk: ModuleType, handle: Any) -> Facts:
    memory = vk.vkGetPhysicalDeviceMemoryProperties(handle)
    types = [to_dict(vk, memory.memoryTypes[i]) for i in range(memory.memoryTypeCount)]
    heaps = [to_dict(vk, memory.memoryHeaps[i]) for i in range(memory.memoryHeapCount)]
    return {"memoryHeaps": heaps, "memoryTypes": types}


def to_dict(vk: ModuleType, structure: Any, *, flags: bool = False) -> Facts:
    """A structure as plain values. VkBool32 is an integer in C: `flags` says that all fields are booleans."""
    raw = getattr(structure, "obj", structure)  # the package wraps structures that hold strings
    return dict(_fields(vk.ffi, raw, flags))


def _fields(ffi: Any, raw: Any, flags: bool) -> Iterator[tuple[str, Any]]:
    for name, field in ffi.typeof(raw).fields:
        if name in ("sType", "pNext"):
            continue
        yield name, _value(ffi, getattr(raw, name), field.type, flags or name in _FLAGS)


def _value(ffi: Any, value: Any, kind: Any, flag: bool) -> Any:
    convert: Callable[[Any], Any] = bool if flag else (lambda v: v)
    if kind.kind == "struct":
        all_flags = kind.cname == "VkPhysicalDeviceSparseProperties"
        return dict(_fields(ffi, value, all_flags))
    if kind.kind == "array":
        if kind.item.cname == "char":
            return ffi.string(value).decode("utf-8", "replace")
        return [convert(v) for v in value]
    return convert(value)
