"""What a cascade answers from its slow tier alone."""

from libc.stdint cimport uint64_t

from door43fast.native.core cimport Core
from door43fast.native.memory cimport MemoryEngine
from door43fast.native.watches cimport Watch

cdef class Below(Core):
    cdef readonly MemoryEngine fast
    cdef readonly object slow
    # What must have no news for a str to be looked for in the fast tier at once: the first, and what else there is. The
    # first always may have some if it is closed, a str is not its own key there, or news are told in Python.
    cdef Watch first
    cdef const Watch* rest
    cdef Py_ssize_t more
    cdef uint64_t dropped       # keys that others had changed
    cdef uint64_t emptied       # times that it could not be told which
    cdef uint64_t negatives     # reads that were answered by what is known to be missing
    cdef uint64_t refreshed     # values that were renewed while they were given stale,
    cdef uint64_t unrefreshed   # and attempts at it that failed
    cdef object refresher       # who does it, None until there is something to do
    cdef uint64_t asked_twice   # misses that the slow tier counted twice: of a read, and of the computation

    cdef object below(self)
