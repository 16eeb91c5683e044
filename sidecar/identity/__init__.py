"""Who asks: officers' tokens, issuers' key sets, the registry of units, keys and officers."""
