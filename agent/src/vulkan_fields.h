/* The Vulkan structures that the agent asks devices for, field by field (Khronos registry vk.xml, Vulkan 1.3): one list
 * gives the C structure (vulkan.h) and the names in probe.json (probe_vulkan.c).
 *
 * Kinds: U32 U64 I32 F32 SIZE, BOOL (VkBool32), arrays by their length (U32x3, ...), TEXT (char[256]), VERSION4 (four bytes). */
#ifndef GEMMAFIT_VULKAN_FIELDS_H
#define GEMMAFIT_VULKAN_FIELDS_H

#define VK_LIMITS(F)                                                                                                  \
    F(U32, maxImageDimension1D) F(U32, maxImageDimension2D) F(U32, maxImageDimension3D)                               \
    F(U32, maxImageDimensionCube) F(U32, maxImageArrayLayers) F(U32, maxTexelBufferElements)                          \
    F(U32, maxUniformBufferRange) F(U32, maxStorageBufferRange) F(U32, maxPushConstantsSize)                          \
    F(U32, maxMemoryAllocationCount) F(U32, maxSamplerAllocationCount) F(U64, bufferImageGranularity)                 \
    F(U64, sparseAddressSpaceSize) F(U32, maxBoundDescriptorSets) F(U32, maxPerStageDescriptorSamplers)               \
    F(U32, maxPerStageDescriptorUniformBuffers) F(U32, maxPerStageDescriptorStorageBuffers)                           \
    F(U32, maxPerStageDescriptorSampledImages) F(U32, maxPerStageDescriptorStorageImages)                             \
    F(U32, maxPerStageDescriptorInputAttachments) F(U32, maxPerStageResources) F(U32, maxDescriptorSetSamplers)       \
    F(U32, maxDescriptorSetUniformBuffers) F(U32, maxDescriptorSetUniformBuffersDynamic)                              \
    F(U32, maxDescriptorSetStorageBuffers) F(U32, maxDescriptorSetStorageBuffersDynamic)                              \
    F(U32, maxDescriptorSetSampledImages) F(U32, maxDescriptorSetStorageImages)                                       \
    F(U32, maxDescriptorSetInputAttachments) F(U32, maxVertexInputAttributes) F(U32, maxVertexInputBindings)          \
    F(U32, maxVertexInputAttributeOffset) F(U32, maxVertexInputBindingStride) F(U32, maxVertexOutputComponents)       \
    F(U32, maxTessellationGenerationLevel) F(U32, maxTessellationPatchSize)                                           \
    F(U32, maxTessellationControlPerVertexInputComponents) F(U32, maxTessellationControlPerVertexOutputComponents)    \
    F(U32, maxTessellationControlPerPatchOutputComponents) F(U32, maxTessellationControlTotalOutputComponents)        \
    F(U32, maxTessellationEvaluationInputComponents) F(U32, maxTessellationEvaluationOutputComponents)                \
    F(U32, maxGeometryShaderInvocations) F(U32, maxGeometryInputComponents) F(U32, maxGeometryOutputComponents)       \
    F(U32, maxGeometryOutputVertices) F(U32, maxGeometryTotalOutputComponents) F(U32, maxFragmentInputComponents)     \
    F(U32, maxFragmentOutputAttachments) F(U32, maxFragmentDualSrcAttachments)                                        \
    F(U32, maxFragmentCombinedOutputResources) F(U32, maxComputeSharedMemorySize)                                     \
    F(U32x3, maxComputeWorkGroupCount) F(U32, maxComputeWorkGroupInvocations) F(U32x3, maxComputeWorkGroupSize)       \
    F(U32, subPixelPrecisionBits) F(U32, subTexelPrecisionBits) F(U32, mipmapPrecisionBits)                           \
    F(U32, maxDrawIndexedIndexValue) F(U32, maxDrawIndirectCount) F(F32, maxSamplerLodBias)                           \
    F(F32, maxSamplerAnisotropy) F(U32, maxViewports) F(U32x2, maxViewportDimensions) F(F32x2, viewportBoundsRange)   \
    F(U32, viewportSubPixelBits) F(SIZE, minMemoryMapAlignment) F(U64, minTexelBufferOffsetAlignment)                 \
    F(U64, minUniformBufferOffsetAlignment) F(U64, minStorageBufferOffsetAlignment) F(I32, minTexelOffset)            \
    F(U32, maxTexelOffset) F(I32, minTexelGatherOffset) F(U32, maxTexelGatherOffset) F(F32, minInterpolationOffset)   \
    F(F32, maxInterpolationOffset) F(U32, subPixelInterpolationOffsetBits) F(U32, maxFramebufferWidth)                \
    F(U32, maxFramebufferHeight) F(U32, maxFramebufferLayers) F(U32, framebufferColorSampleCounts)                    \
    F(U32, framebufferDepthSampleCounts) F(U32, framebufferStencilSampleCounts)                                       \
    F(U32, framebufferNoAttachmentsSampleCounts) F(U32, maxColorAttachments) F(U32, sampledImageColorSampleCounts)    \
    F(U32, sampledImageIntegerSampleCounts) F(U32, sampledImageDepthSampleCounts)                                     \
    F(U32, sampledImageStencilSampleCounts) F(U32, storageImageSampleCounts) F(U32, maxSampleMaskWords)               \
    F(BOOL, timestampComputeAndGraphics) F(F32, timestampPeriod) F(U32, maxClipDistances) F(U32, maxCullDistances)    \
    F(U32, maxCombinedClipAndCullDistances) F(U32, discreteQueuePriorities) F(F32x2, pointSizeRange)                  \
    F(F32x2, lineWidthRange) F(F32, pointSizeGranularity) F(F32, lineWidthGranularity) F(BOOL, strictLines)           \
    F(BOOL, standardSampleLocations) F(U64, optimalBufferCopyOffsetAlignment)                                         \
    F(U64, optimalBufferCopyRowPitchAlignment) F(U64, nonCoherentAtomSize)

#define VK_SPARSE(F)                                                                                                  \
    F(BOOL, residencyStandard2DBlockShape) F(BOOL, residencyStandard2DMultisampleBlockShape)                          \
    F(BOOL, residencyStandard3DBlockShape) F(BOOL, residencyAlignedMipSize) F(BOOL, residencyNonResidentStrict)

#define VK_FEATURES(F)                                                                                                \
    F(BOOL, robustBufferAccess) F(BOOL, fullDrawIndexUint32) F(BOOL, imageCubeArray) F(BOOL, independentBlend)        \
    F(BOOL, geometryShader) F(BOOL, tessellationShader) F(BOOL, sampleRateShading) F(BOOL, dualSrcBlend)              \
    F(BOOL, logicOp) F(BOOL, multiDrawIndirect) F(BOOL, drawIndirectFirstInstance) F(BOOL, depthClamp)                \
    F(BOOL, depthBiasClamp) F(BOOL, fillModeNonSolid) F(BOOL, depthBounds) F(BOOL, wideLines) F(BOOL, largePoints)    \
    F(BOOL, alphaToOne) F(BOOL, multiViewport) F(BOOL, samplerAnisotropy) F(BOOL, textureCompressionETC2)             \
    F(BOOL, textureCompressionASTC_LDR) F(BOOL, textureCompressionBC) F(BOOL, occlusionQueryPrecise)                  \
    F(BOOL, pipelineStatisticsQuery) F(BOOL, vertexPipelineStoresAndAtomics) F(BOOL, fragmentStoresAndAtomics)        \
    F(BOOL, shaderTessellationAndGeometryPointSize) F(BOOL, shaderImageGatherExtended)                                \
    F(BOOL, shaderStorageImageExtendedFormats) F(BOOL, shaderStorageImageMultisample)                                 \
    F(BOOL, shaderStorageImageReadWithoutFormat) F(BOOL, shaderStorageImageWriteWithoutFormat)                        \
    F(BOOL, shaderUniformBufferArrayDynamicIndexing) F(BOOL, shaderSampledImageArrayDynamicIndexing)                  \
    F(BOOL, shaderStorageBufferArrayDynamicIndexing) F(BOOL, shaderStorageImageArrayDynamicIndexing)                  \
    F(BOOL, shaderClipDistance) F(BOOL, shaderCullDistance) F(BOOL, shaderFloat64) F(BOOL, shaderInt64)               \
    F(BOOL, shaderInt16) F(BOOL, shaderResourceResidency) F(BOOL, shaderResourceMinLod) F(BOOL, sparseBinding)        \
    F(BOOL, sparseResidencyBuffer) F(BOOL, sparseResidencyImage2D) F(BOOL, sparseResidencyImage3D)                    \
    F(BOOL, sparseResidency2Samples) F(BOOL, sparseResidency4Samples) F(BOOL, sparseResidency8Samples)                \
    F(BOOL, sparseResidency16Samples) F(BOOL, sparseResidencyAliased) F(BOOL, variableMultisampleRate)                \
    F(BOOL, inheritedQueries)

#define VK_SUBGROUP(F)                                                                                                \
    F(U32, subgroupSize) F(U32, supportedStages) F(U32, supportedOperations) F(BOOL, quadOperationsInAllStages)

#define VK_MAINTENANCE3(F)                                                                                            \
    F(U32, maxPerSetDescriptors) F(U64, maxMemoryAllocationSize)

#define VK_SUBGROUP_SIZE(F)                                                                                           \
    F(U32, minSubgroupSize) F(U32, maxSubgroupSize) F(U32, maxComputeWorkgroupSubgroups)                              \
    F(U32, requiredSubgroupSizeStages)

#define VK_DOT_PRODUCT_PROPERTIES(F)                                                                                  \
    F(BOOL, integerDotProduct8BitUnsignedAccelerated) F(BOOL, integerDotProduct8BitSignedAccelerated)                 \
    F(BOOL, integerDotProduct8BitMixedSignednessAccelerated)                                                          \
    F(BOOL, integerDotProduct4x8BitPackedUnsignedAccelerated)                                                         \
    F(BOOL, integerDotProduct4x8BitPackedSignedAccelerated)                                                           \
    F(BOOL, integerDotProduct4x8BitPackedMixedSignednessAccelerated)                                                  \
    F(BOOL, integerDotProduct16BitUnsignedAccelerated) F(BOOL, integerDotProduct16BitSignedAccelerated)               \
    F(BOOL, integerDotProduct16BitMixedSignednessAccelerated) F(BOOL, integerDotProduct32BitUnsignedAccelerated)      \
    F(BOOL, integerDotProduct32BitSignedAccelerated) F(BOOL, integerDotProduct32BitMixedSignednessAccelerated)        \
    F(BOOL, integerDotProduct64BitUnsignedAccelerated) F(BOOL, integerDotProduct64BitSignedAccelerated)               \
    F(BOOL, integerDotProduct64BitMixedSignednessAccelerated)                                                         \
    F(BOOL, integerDotProductAccumulatingSaturating8BitUnsignedAccelerated)                                           \
    F(BOOL, integerDotProductAccumulatingSaturating8BitSignedAccelerated)                                             \
    F(BOOL, integerDotProductAccumulatingSaturating8BitMixedSignednessAccelerated)                                    \
    F(BOOL, integerDotProductAccumulatingSaturating4x8BitPackedUnsignedAccelerated)                                   \
    F(BOOL, integerDotProductAccumulatingSaturating4x8BitPackedSignedAccelerated)                                     \
    F(BOOL, integerDotProductAccumulatingSaturating4x8BitPackedMixedSignednessAccelerated)                            \
    F(BOOL, integerDotProductAccumulatingSaturating16BitUnsignedAccelerated)                                          \
    F(BOOL, integerDotProductAccumulatingSaturating16BitSignedAccelerated)                                            \
    F(BOOL, integerDotProductAccumulatingSaturating16BitMixedSignednessAccelerated)                                   \
    F(BOOL, integerDotProductAccumulatingSaturating32BitUnsignedAccelerated)                                          \
    F(BOOL, integerDotProductAccumulatingSaturating32BitSignedAccelerated)                                            \
    F(BOOL, integerDotProductAccumulatingSaturating32BitMixedSignednessAccelerated)                                   \
    F(BOOL, integerDotProductAccumulatingSaturating64BitUnsignedAccelerated)                                          \
    F(BOOL, integerDotProductAccumulatingSaturating64BitSignedAccelerated)                                            \
    F(BOOL, integerDotProductAccumulatingSaturating64BitMixedSignednessAccelerated)

#define VK_STORAGE16(F)                                                                                               \
    F(BOOL, storageBuffer16BitAccess) F(BOOL, uniformAndStorageBuffer16BitAccess) F(BOOL, storagePushConstant16)      \
    F(BOOL, storageInputOutput16)

#define VK_STORAGE8(F)                                                                                                \
    F(BOOL, storageBuffer8BitAccess) F(BOOL, uniformAndStorageBuffer8BitAccess) F(BOOL, storagePushConstant8)

#define VK_FLOAT16_INT8(F)                                                                                            \
    F(BOOL, shaderFloat16) F(BOOL, shaderInt8)

#define VK_SUBGROUP_SIZE_FEATURES(F)                                                                                  \
    F(BOOL, subgroupSizeControl) F(BOOL, computeFullSubgroups)

#define VK_DOT_PRODUCT_FEATURES(F)                                                                                    \
    F(BOOL, shaderIntegerDotProduct)


#define VK_DRIVER(F) F(U32, driverID) F(TEXT, driverName) F(TEXT, driverInfo) F(VERSION4, conformanceVersion)

#define VK_PROPERTIES(F)                                                                                              \
    F(U32, apiVersion) F(U32, driverVersion) F(U32, vendorID) F(U32, deviceID) F(U32, deviceType)                     \
    F(TEXT, deviceName) F(U8x16, pipelineCacheUUID)

#define VK_QUEUE_FAMILY(F) F(U32, queueFlags) F(U32, queueCount) F(U32, timestampValidBits)

/* What is asked through vkGetPhysicalDevice{Properties,Features}2: F(member, structure, fields, sType, core version,
 * extension). A structure is there from its core version on, or with its extension on Vulkan 1.1. */
#define VK_EXTENDED_PROPERTIES(F)                                                                                     \
    F(subgroup, VkPhysicalDeviceSubgroupProperties, VK_SUBGROUP, 1000094000, VULKAN_1_1, NULL)                        \
    F(maintenance3, VkPhysicalDeviceMaintenance3Properties, VK_MAINTENANCE3, 1000168000, VULKAN_1_1, NULL)            \
    F(driver, VkPhysicalDeviceDriverProperties, VK_DRIVER, 1000196000, VULKAN_1_2, "VK_KHR_driver_properties")        \
    F(subgroup_size, VkPhysicalDeviceSubgroupSizeControlProperties, VK_SUBGROUP_SIZE, 1000225000, VULKAN_1_3,         \
      "VK_EXT_subgroup_size_control")                                                                                 \
    F(dot_product, VkPhysicalDeviceShaderIntegerDotProductProperties, VK_DOT_PRODUCT_PROPERTIES, 1000280001,          \
      VULKAN_1_3, "VK_KHR_shader_integer_dot_product")

#define VK_EXTENDED_FEATURES(F)                                                                                       \
    F(storage16, VkPhysicalDevice16BitStorageFeatures, VK_STORAGE16, 1000083000, VULKAN_1_1, NULL)                    \
    F(storage8, VkPhysicalDevice8BitStorageFeatures, VK_STORAGE8, 1000177000, VULKAN_1_2, "VK_KHR_8bit_storage")      \
    F(float16_int8, VkPhysicalDeviceShaderFloat16Int8Features, VK_FLOAT16_INT8, 1000082000, VULKAN_1_2,               \
      "VK_KHR_shader_float16_int8")                                                                                   \
    F(subgroup_size_features, VkPhysicalDeviceSubgroupSizeControlFeatures, VK_SUBGROUP_SIZE_FEATURES, 1000225002,     \
      VULKAN_1_3, "VK_EXT_subgroup_size_control")                                                                     \
    F(dot_product_features, VkPhysicalDeviceShaderIntegerDotProductFeatures, VK_DOT_PRODUCT_FEATURES, 1000280000,     \
      VULKAN_1_3, "VK_KHR_shader_integer_dot_product")

#endif
