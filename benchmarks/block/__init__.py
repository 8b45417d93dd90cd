"""The Gemma block: its sizes, its reference, its inputs, and how far a result is from the reference."""
