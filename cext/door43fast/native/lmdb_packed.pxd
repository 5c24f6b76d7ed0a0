"""Batches of a store on disk in one piece of memory, without an object per record."""

from clib.lmdb cimport MDB_txn
from door43fast.native.chunks cimport Head, head_read
from door43fast.native.frame cimport CHUNKED, ZSTD, Frame
from door43fast.native.lmdb_care cimport CareEngine
from door43fast.native.packed cimport PackedBuilder

cdef enum:
    NOT_BYTES = -20         # statuses of append, beside those of a read
    WRONG_SIZE = -21


cdef class PackedEngine(CareEngine):
    cdef int append(self, PackedBuilder builder, const Frame* frame, MDB_txn* txn) except? -99 nogil
    # The exception for a status of append or of a read. ``size`` is that of the value. REQUIRES: not entered.
    cdef int misfit(self, int rc, PackedBuilder builder, object key, size_t size) except -1


# The size of the value of a frame.
cdef inline size_t whole_size(const Frame* frame) noexcept nogil:
    cdef Head head
    if frame.flags & CHUNKED and head_read(frame, &head) == 0:
        return head.size
    return frame.original if frame.flags & ZSTD else frame.payload.size
