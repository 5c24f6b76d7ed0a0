# The opening of a store's tables is called from native code alone.
