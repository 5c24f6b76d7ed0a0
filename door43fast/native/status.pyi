# The way from a status to an exception is called from native code alone.
