"""The command line: one file a command, and how things look on a terminal. No logic."""
