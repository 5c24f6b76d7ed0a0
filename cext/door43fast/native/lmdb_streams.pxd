"""Large values of a store on disk piece by piece: what readers and writers of streams are made of."""

from libc.stdint cimport uint32_t

from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_journal cimport JournalEngine


cdef class StreamEngine(JournalEngine):
    cdef int apply_piece(self, const char* id, uint32_t number, Slice data, char* room, bint first) noexcept nogil
    cdef int apply_drop(self, const char* id) noexcept nogil
    cdef int ended(self, int rc, size_t need) except -1
