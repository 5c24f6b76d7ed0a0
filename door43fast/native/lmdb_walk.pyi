# A walk over records is used by native code alone.
