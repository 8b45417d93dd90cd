"""The report: its values, schema and files, the figures drawn from it, its writers and pages."""
