#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
// Chains of 8-bit integer dot products (VK_KHR_shader_integer_dot_product). The instruction is written by its
// number, since the GLSL extension for it is younger than the compilers that pip has.
#include "common.glsl"

layout(constant_id = 1) const uint ROUNDS = 256;  // of 16 dot products of four values

OUTPUT(0, ivec4, y);

layout(push_constant) uniform Push {
    int factor;
    int other;
};

// OpSDotKHR with the operand "Packed Vector Format" 4x8Bit.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4(int a, int b, spirv_literal int format);

void main() {
    int a = factor + int(gl_LocalInvocationID.x), b = other;
    int p = 0, q = 1, r = 2, s = 3;
    for (uint i = 0; i < ROUNDS; ++i) {
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            p += dot4(a ^ p, b, 0);
            q += dot4(a ^ q, b, 0);
            r += dot4(a ^ r, b, 0);
            s += dot4(a ^ s, b, 0);
        }
    }
    y[gl_GlobalInvocationID.x] = ivec4(p, q, r, s);
}
