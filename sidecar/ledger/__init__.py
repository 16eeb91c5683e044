"""The tamper-evident log: entries, commits, order, verification (RFC 6962)."""
