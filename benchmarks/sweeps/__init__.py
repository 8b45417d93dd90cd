"""What `gemmafit bench` does: sweeps, limits and what they say."""
