"""The block for OpenCL devices: kernels (*.cl), their variants as table rows, and the lowering to a plan."""
