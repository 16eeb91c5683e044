"""Legacy records: catalogs, derived attributes, the compiled filter, connectors and redaction (P3, P4, P7)."""
