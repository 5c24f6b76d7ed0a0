# The chunks of large values are kept by native code alone.
