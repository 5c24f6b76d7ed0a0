"""What a cascade answers from its slow tier alone."""

from libc.stdint cimport uint64_t

from door43fast.native.core cimport Core
from door43fast.native.memory cimport MemoryEngine

cdef class Below(Core):
    cdef readonly MemoryEngine fast
    cdef readonly object slow
    cdef bint plain             # open, an exact str is its own key in the fast tier, and only LMDB has news
    cdef uint64_t dropped       # keys that others had changed
    cdef uint64_t emptied       # times that it could not be told which
    cdef uint64_t asked_twice   # misses that the slow tier counted twice: of a read, and of the computation

    cdef object below(self)
