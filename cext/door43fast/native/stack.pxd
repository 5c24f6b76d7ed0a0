"""The cascade: a memory store over a slower one."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from door43fast.native.coherence cimport Coherent
from door43fast.native.lmdb cimport LmdbEngine
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.tickets cimport Ticket
from door43fast.native.tiers cimport Fetched

cdef class CascadeEngine(Coherent):
    cdef LmdbEngine disk        # the slow tier, None where it is no native store

    # Whether a key may be looked for in the fast tier at once: it is an exact str, and nobody else has written.
    # hot
    cdef inline bint quiet(self, PyObject* key) noexcept:
        return self.plain and PyUnicode_CheckExact(key) and (self.disk is None or self.disk.unchanged(self.seen))

    cdef object local(self, object key)
    cdef object read(self, object key)
    cdef PyObject* get_slowly(self, PyObject** args, Py_ssize_t n, PyObject* names, PyObject* held) except NULL
    cdef object below_only(self, object key)
    cdef object miss(self, object key, object local)
    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1
    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1
    cdef bint fits(self, object local, object kept) except -1
    cdef int end(self, object local, Ticket* ticket) except -1
    cdef int64_t deadline(self, object ttl) except -2
    cdef int fill(self, list locals, list values, int64_t deadline, uint64_t epoch, uint64_t* held) except -1
    cdef object batch(self, list keys, list values, int64_t deadline, object call)
