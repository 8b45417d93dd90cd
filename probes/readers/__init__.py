"""Readers: the answers of a capture -> the parts of a Snapshot. Pure; one module a part."""
