"""What a cascade answers from its slow tier alone."""

from libc.stdint cimport uint64_t

from door43fast.native.core cimport Core
from door43fast.native.memory cimport MemoryEngine

cdef enum State:
    ASKS                # no: it is closed, a str is not its own key there, or news are told in Python
    PLAIN               # yes, unless the one store on disk has news
    PAIR                # yes, unless one of two stores on disk has news
    LOOKS               # yes, unless the row of what others may change has news

cdef class Below(Core):
    cdef readonly MemoryEngine fast
    cdef readonly object slow
    cdef State plain            # whether a str may be looked for in the fast tier at once
    cdef uint64_t dropped       # keys that others had changed
    cdef uint64_t emptied       # times that it could not be told which
    cdef uint64_t negatives     # reads that were answered by what is known to be missing
    cdef uint64_t refreshed     # values that were renewed while they were given stale,
    cdef uint64_t unrefreshed   # and attempts at it that failed
    cdef object refresher       # who does it, None until there is something to do
    cdef uint64_t asked_twice   # misses that the slow tier counted twice: of a read, and of the computation

    cdef object below(self)
