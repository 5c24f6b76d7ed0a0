"""From the status of a C call to the exception."""

cdef enum:
    MAX_READERS = 1024

cdef int lmdb_raise(int rc, str what, object subject) except -1
# A context in which what the system refuses to Python code (OSError) is told by the same door.
cdef object told(str what, str path)
