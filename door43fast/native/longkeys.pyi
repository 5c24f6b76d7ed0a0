# The table of long keys is used by native code alone.
