"""Floor 5: bytes to pieces and back, byte-exact; the joined pieces of every splitter are its input."""
