#version 450
#extension GL_GOOGLE_include_directive : require
// Chains of 8-bit integer dot products (VK_KHR_shader_integer_dot_product).
#include "common.glsl"
#include "dot8.glsl"

layout(constant_id = 1) const uint ROUNDS = 256;  // of 16 dot products of four values

OUTPUT(0, ivec4, y);

layout(push_constant) uniform Push {
    int factor;
    int other;
};

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
