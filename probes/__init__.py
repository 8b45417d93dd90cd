"""Targets, questions, parsers, readers: a phone's raw answers -> Capture -> Snapshot. Model files too."""
