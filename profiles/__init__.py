"""The knowledge: YAML, CSV and JSON tables, the types of their rows, their loader. No rule decides here."""
