# The audit of a map file is called from native code alone.
