# The tuple encoding is called from native code alone.
