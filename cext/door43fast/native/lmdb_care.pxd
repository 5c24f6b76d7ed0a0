"""The care of a store on disk: reaping, tags, figures, sync, verification, backup, closing."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.core cimport EventQueue
from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_ranges cimport RangeEngine
from door43fast.native.lmdb_records cimport Reaped


cdef class CareEngine(RangeEngine):
    cdef int apply_reap(self, EventQueue queue, Reaped* reaped, uint64_t* seq, uint64_t* pruned) noexcept nogil
    cdef int apply_invalidate(self, const char* tag, Slice name_of_tag, EventQueue queue, uint64_t* seq) noexcept nogil
