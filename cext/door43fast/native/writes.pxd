"""Writing to a table: the options of a write are read first, then the entry is changed in one step."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from door43fast.native.slab cimport Entry, Extra
from door43fast.native.table cimport Table

cdef struct Write:      # all that is known of a write before the table is touched
    uint64_t deadline   # tick, NEVER for none
    uint64_t until      # tick up to which it may be served stale, 0 for none
    uint64_t weight
    Extra* extra        # owned until ``put`` has taken it
    uint8_t flags
    bint gone           # ttl=0: expired at once

cdef struct Claim:      # what no eviction frees, in the course of several writes
    uint64_t entries
    uint64_t bytes

cdef class Writes(Table):
    cdef void slide(self, Entry* e, uint32_t ref) noexcept
    cdef int prepare(self, Write* w, object key, object value, object ttl, object tags, bint pin,
                     object stale) except -1
    cdef uint64_t due(self, int64_t span) noexcept
    cdef int afford(self, object key, uint64_t weight, uint64_t old_weight, bint was_pinned, bint fresh) except -1
    cdef int grant(self, object key, uint64_t weight, uint64_t fixed, bint full) except -1
    cdef bint crowding(self) noexcept
    cdef Claim claims(self) noexcept
    cdef int claim(self, Claim* c, object key, Write* w) except -1
    cdef int prepare_until(self, Write* w, object key, object value, object tags, bint pin,
                           int64_t deadline_ns) except -1
    cdef void abandon(self, Write* w) noexcept
    cdef int put(self, object key, uint32_t hash, uint32_t ref, object value, Write* w) except -1
    cdef int place(self, object key, uint32_t hash, uint32_t ref, object value, Write* w) except -1
    cdef bint place_plainly(self, PyObject* key, PyObject* value) noexcept
    cdef int columns_for(self, Write* w) except -1
    cdef int wheel_on(self) except -1
    cdef int expire_at(self, uint32_t ref, uint64_t deadline) except -1
