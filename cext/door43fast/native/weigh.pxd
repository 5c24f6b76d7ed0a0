"""What a key and its value weigh in a budget of bytes: the memory that they really hold."""

from libc.stdint cimport int64_t

cdef enum:
    BOOKKEEPING = 56    # an entry's part of index, slab and columns: 47 to 54 bytes, and 8 more with a time to live

cdef int64_t weigh(object key, object value, object weigher) except -1
