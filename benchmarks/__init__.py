"""The Gemma block: its reference, plans and kernels for every backend, run and timed -> Measurements."""
