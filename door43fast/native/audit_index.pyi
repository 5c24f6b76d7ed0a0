# The audit of the key index is called from native code alone.
