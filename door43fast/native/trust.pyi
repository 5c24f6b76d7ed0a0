# The look at a file before it is opened is called from native code alone.
