# The key index is used from native code alone.
