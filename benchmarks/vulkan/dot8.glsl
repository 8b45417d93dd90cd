// The dot product of four signed bytes with four others (VK_KHR_shader_integer_dot_product), to be used with
// literal format 0. The instruction is written by its number, since the GLSL extension for it is younger than
// the compilers that pip has.
#extension GL_EXT_spirv_intrinsics : require

// OpSDotKHR; the capabilities are DotProductKHR and DotProductInput4x8BitPackedKHR, format 0 is
// PackedVectorFormat4x8BitKHR.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4(int a, int b, spirv_literal int format);
