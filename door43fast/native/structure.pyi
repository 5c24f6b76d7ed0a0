# The walk over the pages of a file is called from native code alone.
