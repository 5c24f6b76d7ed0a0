"""What transactions and computations ask of the memory engine."""

from door43fast.native.batches cimport Batches

cdef class MemoryTransactions(Batches):
    cdef tuple past(self, object key)
    cdef int commit_in(self, dict reads, dict writes, object ranges) except -1
    cdef int claim_all(self, dict writes) except -1
    cdef list pairs(self, object prefix, object start, object stop)
    # The tags of what is under a key. REQUIRES: the critical section.
    cdef tuple carried(self, object key)
