#version 450
#extension GL_GOOGLE_include_directive : require
// y = a + b; `count` in units of four elements.
#include "common.glsl"

INPUT(0, REAL4, a);
INPUT(1, REAL4, b);
OUTPUT(2, REAL4, y);

layout(push_constant) uniform Push {
    uint count;
};

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < count) {
        y[i] = REAL4(vec4(a[i]) + vec4(b[i]));
    }
}
