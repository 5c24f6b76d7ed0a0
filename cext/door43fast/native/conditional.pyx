"""Writes of the memory engine that depend on what is there: add, replace, incr."""

cimport cython
from cpython.object cimport Py_EQ, PyObject_RichCompareBool
from libc.stdint cimport uint32_t

from door43fast.native.core cimport BY_EXPIRY
from door43fast.native.singles cimport MISSING, Singles
from door43fast.native.slab cimport EXTRAS, slab_entry, slab_extra, slab_flags
from door43fast.native.writes cimport Write


cdef int no_int(object key, object current) except -1:
    raise TypeError(f"key {key!r} holds {type(current).__name__}, and incr works on int")


cdef class Conditional(Singles):

    def add(self, key, value, *, ttl=None):
        """Store ``value`` only if ``key`` is not there. Returns whether it was stored."""
        cdef Write w
        cdef uint32_t hash, ref
        with cython.critical_section(self):
            self.prepare(&w, key, value, ttl, (), False, None)
            try:
                self.refuse(key)
                ref = self.find(key, &hash)
            except BaseException:
                self.abandon(&w)
                raise
            if ref and self.live(slab_entry(&self.slab, ref), ref):
                self.abandon(&w)
                return False
            if w.gone:
                self.abandon(&w)
                if ref:
                    self.remove(ref, BY_EXPIRY, True)
            else:
                self.put(key, hash, ref, value, &w)
            self.void_flight_of(key)
        self.settle()
        return True

    def replace(self, key, expected, value):
        """Store ``value`` only if ``key`` holds what equals ``expected``. Returns whether it was stored."""
        with cython.critical_section(self):
            while True:
                current = self.peek(key)
                if current is MISSING or not PyObject_RichCompareBool(current, expected, Py_EQ):
                    return False
                if self.exchange(key, current, value, False):
                    break
        self.settle()
        return True

    def incr(self, key, by=1):
        """Add ``by`` to the integer under ``key``, 0 where there is none. Returns the sum; keeps all but the value."""
        if type(by) is not int:
            raise TypeError(f"by={by!r} must be an int")
        with cython.critical_section(self):
            while True:
                current = self.peek(key)
                if current is not MISSING and type(current) is not int:
                    no_int(key, current)
                total = by if current is MISSING else current + by
                if self.exchange(key, current, total, True):
                    break
        self.settle()
        return total

    cdef bint exchange(self, object key, object current, object value, bint keep) except -1:
        """Store ``value`` if ``key`` holds ``current`` itself, MISSING for nothing. False: it was changed meanwhile.

        With ``keep`` the entry's expiry, pin and tags stay as they are. The caller settles.
        """
        cdef Write w
        cdef uint32_t hash, ref
        cdef bint alive
        self.prepare(&w, key, value, None, (), False, None)
        try:
            self.refuse(key)
            ref = self.find(key, &hash)     # may run Python code, and is the last that does
            alive = ref and self.live(slab_entry(&self.slab, ref), ref)
            if not (<object>slab_entry(&self.slab, ref).value is current if alive else current is MISSING):
                self.abandon(&w)
                return False
            if alive and keep:
                self.keep(ref, &w)
        except BaseException:
            self.abandon(&w)
            raise
        self.put(key, hash, ref, value, &w)
        self.void_flight_of(key)
        return True

    cdef int keep(self, uint32_t ref, Write* w) except -1:
        """Let a write leave all of entry ``ref`` as it is but the value."""
        w.deadline = self.soft_deadline(slab_entry(&self.slab, ref), ref)
        if self.special:
            w.flags = slab_flags(&self.slab, ref)[0]
        self.abandon(w)
        if self.slab.on[EXTRAS] and slab_extra(&self.slab, ref)[0] != NULL:
            w.extra = self.tags.again(slab_extra(&self.slab, ref)[0])
            w.extra.deadline = w.deadline
        return 0
