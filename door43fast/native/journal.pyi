# The rows of a journal are written and read from native code alone.
