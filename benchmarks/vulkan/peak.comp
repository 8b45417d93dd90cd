#version 450
#extension GL_GOOGLE_include_directive : require
// Multiply-add chains that need no memory: four independent ones of four values each. a * b + c and not
// fma(): a fused one is not faster on any device and several times slower on some.
#include "common.glsl"
#ifdef FP16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif

layout(constant_id = 1) const uint ROUNDS = 256;  // of 16 multiply-adds of four values

OUTPUT(0, vec4, y);

layout(push_constant) uniform Push {
    float factor;  // unknown to the compiler, so that nothing is computed beforehand
    float summand;
};

void main() {
    REAL4 b = REAL4(factor), c = REAL4(summand);
    REAL4 p = REAL4(gl_LocalInvocationID.x), q = p + REAL4(1), r = p + REAL4(2), s = p + REAL4(3);
    for (uint i = 0; i < ROUNDS; ++i) {
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            p = p * b + c;
            q = q * b + c;
            r = r * b + c;
            s = s * b + c;
        }
    }
    y[gl_GlobalInvocationID.x] = vec4(p + q + r + s);
}
