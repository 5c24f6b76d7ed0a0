"""Batches of a store on disk in one piece of memory, without an object per record."""

from clib.lmdb cimport MDB_txn
from door43fast.native.frame cimport Frame
from door43fast.native.lmdb_care cimport CareEngine
from door43fast.native.packed cimport PackedBuilder

cdef enum:
    NOT_BYTES = -20         # statuses of append, beside those of a read
    WRONG_SIZE = -21


cdef class PackedEngine(CareEngine):
    cdef int append(self, PackedBuilder builder, const Frame* frame, MDB_txn* txn) except? -99 nogil
    cdef int misfit(self, int rc, PackedBuilder builder, object key, const Frame* frame) except -1
