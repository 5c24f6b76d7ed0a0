# The care of a store's directory is called from native code alone.
