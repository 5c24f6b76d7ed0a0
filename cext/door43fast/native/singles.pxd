"""The single-key methods of the memory engine."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from door43fast.native.policy cimport policy_hit
from door43fast.native.slab cimport Entry, slab_entry, slab_flags
from door43fast.native.table cimport PINNED
from door43fast.native.wheel cimport NEVER
from door43fast.native.writes cimport Write, Writes

cdef class Singles(Writes):
    # What a get finds: a borrowed reference, to be owned before anything else is done; NULL for a miss.
    # hot
    cdef inline PyObject* hit(self, object key) except? NULL:
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        if ref:
            return self.taken(ref)
        self.refuse(key)
        self.misses += 1
        return NULL

    # What reading a found entry does: NULL where it is past its time. Runs no Python code.
    # hot
    cdef inline PyObject* taken(self, uint32_t ref) noexcept:
        cdef Entry* e = slab_entry(&self.slab, ref)
        if (e.deadline == NEVER and not self.special) or self.live(e, ref):
            self.hits += 1
            if self.ring and (not self.special or not slab_flags(&self.slab, ref)[0] & PINNED):
                policy_hit(&self.policy, &self.slab, ref)
            if self.idle:
                self.slide(e, ref)
            return e.value
        self.misses += 1
        return NULL

    cdef object peek(self, object key)      # MISSING for a miss; leaves no trace
    cdef int write(self, object key, object value, Write* w) except -1
    cdef int write_out(self, object key, object value, Write* w) except -1
    cdef bint discard(self, object key) except -1
    cdef int keep(self, uint32_t ref, Write* w) except -1
    cdef int void_flight_of(self, object key) except -1

cdef object MISSING
