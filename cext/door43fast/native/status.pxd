"""From the status of a C call to the exception."""

cdef enum:
    MAX_READERS = 1024

cdef int lmdb_raise(int rc, str what, object subject) except -1
