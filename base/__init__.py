"""What every room stands on: errors, events, names, units, limits, plain files. Imports nothing of ours."""
