"""What a key and its value weigh in a budget of bytes: the memory that they really hold."""

from libc.stdint cimport int64_t

cdef enum:
    BOOKKEEPING = 64    # an entry's part of index, slab and columns, at the worst point of growth rounded up

cdef int64_t weigh(object key, object value, object weigher) except -1
