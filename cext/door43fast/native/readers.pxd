"""Readers that take no lock, where there is no GIL."""

from cpython.object cimport PyObject

from door43fast.native.writes cimport Writes

cdef class Readers(Writes):
    # What ``get`` gives, ``absent`` where that is nothing: a reference of the caller's own; NULL: the lock is needed.
    cdef PyObject* read_unlocked(self, PyObject* key, PyObject* absent) noexcept
    # The values of a block of exact str and int; None: the lock is needed.
    cdef list gather_unlocked(self, tuple wanted, object default)
    # Take over what was read before this, so that order and counts are those of reads with the lock.
    cdef void catch_up(self) noexcept
    # The first act of a read with the lock.
    cdef void read_once(self) noexcept
