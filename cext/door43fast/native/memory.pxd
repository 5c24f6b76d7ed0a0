"""The memory engine: a table of the caller's own objects, with the methods that every store has."""

from door43fast.native.memory_transactions cimport MemoryTransactions
from door43fast.native.recording cimport Recording

cdef class MemoryEngine(MemoryTransactions):
    cdef int invalidate_in(self, object tag) except -1
    cdef Recording record_in(self, object path, object sample)
    cdef dict stats_in(self)
    cdef dict verify_in(self)
