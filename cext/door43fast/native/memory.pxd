"""The memory engine: a table of the caller's own objects, with the methods that every store has."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.memory_transactions cimport MemoryTransactions
from door43fast.native.recording cimport Recording

cdef class MemoryEngine(MemoryTransactions):
    cdef object __weakref__
    cdef int invalidate_in(self, object tag) except -1
    cdef void begin(self, uint64_t entries, uint64_t size, int kind, int64_t span, uint64_t sliding) noexcept
    cdef Recording record_in(self, object path, object sample)
    cdef dict stats_in(self)
    cdef uint32_t found_at(self, uint32_t ref) noexcept
    cdef dict verify_in(self)
