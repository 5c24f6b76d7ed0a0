"""The single-key methods of the memory engine."""

from cpython.object cimport PyObject, PyObject_Hash
from libc.stdint cimport uint32_t

from door43fast.native.hashing cimport mix
from door43fast.native.policy cimport LRU, S3FIFO
from door43fast.native.queues cimport queue_count_hit
from door43fast.native.readers cimport Readers
from door43fast.native.recency cimport recency_touch
from door43fast.native.slab cimport Entry, slab_entry
from door43fast.native.table cimport ASK, RECORDING, PyUnicode_CheckExact, d43_str_fault, d43_str_hash
from door43fast.native.wheel cimport LONG, NEVER
from door43fast.native.writes cimport Write

# The hash of an exact str that was hashed before, of an exact int or bytes: none of them runs Python code, or fails.
cdef inline Py_hash_t own_hash(PyObject* key) noexcept:
    return d43_str_hash(key) if PyUnicode_CheckExact(key) else PyObject_Hash(<object>key)

cdef class Singles(Readers):
    # What a get finds, ``absent`` where that is nothing: borrowed, to be owned before anything else is done.
    # hot
    cdef inline PyObject* hit(self, PyObject* key, PyObject* absent) except NULL:
        cdef uint32_t ref
        cdef Py_hash_t h
        cdef PyObject* value
        if PyUnicode_CheckExact(key):
            h = d43_str_hash(key)
            if h != -1:
                ref = self.seek(&self.index.now, key, mix(h))
                if ref and ref != ASK:      # a store that is closed holds nothing
                    value = self.taken(ref, h)
                    return absent if value == NULL else value
                if ref == 0 and self.index.old.group == NULL and not d43_str_fault(key):
                    if not self.aside:
                        self.misses += 1
                        return absent
                    if not self.closed:
                        self.missed(h)
                        return absent
        return self.hit_slowly(key, absent)

    # What reading a found entry does: NULL where it is past its time. ``h`` is the hash of its key, -1 where an exact
    # str, int or bytes was found, which tells. Runs no Python code.
    # hot
    cdef inline PyObject* taken(self, uint32_t ref, Py_hash_t h) noexcept:
        cdef Entry* e = slab_entry(&self.slab, ref)
        if not self.special and (e.deadline == NEVER or e.deadline != LONG and e.deadline > self.tick()):
            self.hits += 1
            if self.notice == LRU:
                recency_touch(&self.slab, ref)
            elif self.notice <= S3FIFO:
                if self.notice:
                    queue_count_hit(&self.slab, ref)
            elif self.notice < RECORDING:
                self.note_hit(ref)
            else:
                self.record(own_hash(e.key) if h == -1 else h)
                if self.notice == LRU | RECORDING:
                    recency_touch(&self.slab, ref)
                elif self.ring:
                    self.note_hit(ref)
            return e.value
        return self.taken_slowly(e, ref, h)

    # What a miss does. Runs no Python code.
    cdef void missed(self, Py_hash_t h) noexcept
    cdef PyObject* get_by_name(self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL
    cdef object get_freely(self, object key, object absent)
    cdef PyObject* read_freely(self, PyObject* key, PyObject* absent) except NULL
    cdef int set_freely(self, object key, object value, object ttl, object tags, object pin) except -1
    cdef PyObject* hit_slowly(self, PyObject* key, PyObject* absent) except NULL
    cdef PyObject* taken_slowly(self, Entry* e, uint32_t ref, Py_hash_t h) noexcept
    cdef void note_hit(self, uint32_t ref) noexcept
    cdef object peek(self, object key)      # MISSING for a miss; leaves no trace
    cdef int write(self, object key, object value, Write* w) except -1
    cdef int write_in(self, object key, object value, Write* w) except -1
    cdef int write_out(self, object key, object value, Write* w) except -1
    cdef bint discard(self, object key) except -1
    cdef bint discard_in(self, object key) except -1
    cdef int void_flight_of(self, object key) except -1
    cdef int void_begin(self) except -1
    cdef int void_end(self) except -1

cdef object MISSING

# The two arguments of a ``get`` that were given by name, or the error.
cdef tuple get_arguments(PyObject** args, Py_ssize_t n, PyObject* names)
