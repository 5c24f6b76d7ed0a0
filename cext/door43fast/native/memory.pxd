"""The memory engine: a table of the caller's own objects, with the methods that every store has."""

from door43fast.native.batches cimport Batches

cdef class MemoryEngine(Batches):
    pass
