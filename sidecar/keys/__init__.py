"""Keys: the ring of this deployment, sealing to public keys, making and rotating key files, identifiers (UUIDv7)."""
