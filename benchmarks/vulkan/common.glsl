// Shared by every kernel. Activations and the KV cache are REAL (fp16 or fp32 storage); arithmetic is fp32.
// Every buffer is read and written as REAL4 or as words: one 8 or 16 byte access instead of four small ones.

#extension GL_EXT_control_flow_attributes : require

#ifdef FP16
#extension GL_EXT_shader_16bit_storage : require
#define REAL float16_t
#define REAL4 f16vec4
#else
#define REAL float
#define REAL4 vec4
#endif

#ifdef SHUFFLE
#define SUB 1
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#ifdef SUB
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

// Specialisation constant 0 is the size of the work-group in every module. Work-groups have one dimension: only
// then are the lanes of a subgroup neighbours on every driver.
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

#define INPUT(number, type, name) \
    layout(std430, set = 0, binding = number) readonly restrict buffer name##_buffer { type name[]; }
#define OUTPUT(number, type, name) \
    layout(std430, set = 0, binding = number) writeonly restrict buffer name##_buffer { type name[]; }

// The tanh form, as Gemma was trained. tanh by exp of a negative number: no overflow, and no use of a
// driver's tanh(), which is NaN for large arguments on some.
float gelu(float x) {
    float z = 0.7978845608028654 * x * (1.0 + 0.044715 * x * x);
    float e = exp(-2.0 * abs(z));
    float t = (1.0 - e) / (1.0 + e);
    return 0.5 * x * (1.0 + (z < 0.0 ? -t : t));
}

vec4 gelu(vec4 x) {
    return vec4(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w));
}
