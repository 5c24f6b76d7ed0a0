# The weighing is called from native code alone.
