"""The Gemma block for Vulkan: GLSL kernels, their build to SPIR-V, and the plans that dispatch them.

modules.py  which SPIR-V modules there are: one GLSL source and the macros of each variant
build.py    GLSL to SPIR-V, at package build time (no compiler is needed at run time)
plan.py     the block lowered to a Plan for a device
limits.py   plans that measure what the device can do at most
"""
