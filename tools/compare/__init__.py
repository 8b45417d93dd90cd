"""Our kernels beside those of others, in one run on one machine."""
