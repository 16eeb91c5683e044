"""Arithmetic and notations of the law, pure: days, ages, terms and identifiers; no thresholds and no lists (P5)."""
