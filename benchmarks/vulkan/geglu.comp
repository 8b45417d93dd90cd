#version 450
#extension GL_GOOGLE_include_directive : require
// y = gelu(gate) * up; `count` in units of four elements.
#include "common.glsl"

INPUT(0, REAL4, gate);
INPUT(1, REAL4, up);
OUTPUT(2, REAL4, y);

layout(push_constant) uniform Push {
    uint count;
};

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < count) {
        y[i] = REAL4(gelu(vec4(gate[i])) * vec4(up[i]));
    }
}
