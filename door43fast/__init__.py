"""door43fast: an embedded, tiered storage engine."""
