"""For developers: comparisons, audits, scale. Not in the wheel."""
