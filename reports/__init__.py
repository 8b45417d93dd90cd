"""Report values, their files, and how they are written and drawn."""
