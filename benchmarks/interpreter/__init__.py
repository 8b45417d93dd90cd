"""The Python twin of the agent: plans run by one worker process for OpenCL and Vulkan."""
