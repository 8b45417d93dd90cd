"""The Gemma block for Vulkan: GLSL kernels, their build to SPIR-V, and the plans that dispatch them.

modules.py   which SPIR-V modules there are: one GLSL source and the macros of each
build.py     GLSL to SPIR-V, at package build time (no compiler is needed at run time)
variants.py  what decides about kernels, and the rows to choose from
plan.py      the block lowered to a plan
limits.py    plans that measure what the device can do at most
"""
