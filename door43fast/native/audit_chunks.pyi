# The audit of large values is called from native code alone.
