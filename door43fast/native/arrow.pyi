# The Arrow interface is called from native code alone.
