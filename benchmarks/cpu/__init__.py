"""The CPU backend: plans of built-in routines, and how weights lie in memory."""
