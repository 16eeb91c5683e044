"""Decisions by Rego: engines, revisions, the filter's tree and their comparison (P1, P4, P5)."""
