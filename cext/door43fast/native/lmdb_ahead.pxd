"""Batches over pages that are not in memory: these are asked for ahead and in order of place."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.handle cimport Handle
from door43fast.native.lmdb_reads cimport Course, Place

# Begin to watch a batch whose places end before ``stop``.
cdef void course_begin(Course* c, const Place* places, const Place* stop) noexcept nogil
# How many of the next ``n`` keys, which begin at ``places``, are to be looked up now; where reads wait for the disk
# their pages are asked for first. ``indexed``: the key index stands for the snapshot of ``txn``.
cdef int course_step(Course* c, Handle home, MDB_txn* txn, const Place* places, int n, bint indexed) noexcept nogil
