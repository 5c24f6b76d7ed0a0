"""The training of compression dictionaries for a store on disk."""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_packed cimport PackedEngine


cdef class TrainingEngine(PackedEngine):
    cdef int apply_training(self, Slice prefix, Slice body, uint32_t* id, uint64_t* seq) noexcept nogil
    cdef uint32_t keep_dictionary(self, bytes prefix, bytes body) except 0
