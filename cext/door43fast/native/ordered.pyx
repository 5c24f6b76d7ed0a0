"""The ordered methods of the memory engine: scans, keys, counts and clearing under a prefix.

The table has no order of its own. The keys are sorted when a range is first asked for, and the sorted list is kept
until the set of keys changes.
"""

from bisect import bisect_left

cimport cython
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_GET_LENGTH, PyUnicode_Tailmatch
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from door43fast.native.conditional cimport Conditional
from door43fast.native.core cimport BY_USER, OP_CLEAR
from door43fast.native.hottest cimport hottest
from door43fast.native.queues cimport QUEUES
from door43fast.native.singles cimport MISSING
from door43fast.native.slab cimport Entry, slab_entry

from door43fast.errors import UnsupportedError

cdef enum:
    LOOK = 8        # entries that are looked at for each that is asked for, since what was hit may stand anywhere,
    LEAST = 65536   # and at least


cdef class Ordered(Conditional):

    cdef list live_keys(self):
        """Every key that is there, in no order. Runs no Python code but the collector's."""
        cdef list keys = []
        cdef uint32_t ref
        cdef Entry* e
        self.need_open()
        for ref in range(1, self.slab.used):
            e = slab_entry(&self.slab, ref)
            if e.key != NULL and self.live(e, ref):
                keys.append(<object>e.key)
        return keys

    def __iter__(self):
        with cython.critical_section(self):
            keys = self.live_keys()
        return iter(keys)

    def _hot(self, Py_ssize_t most):
        """Up to ``most`` keys, the most worth keeping first, as far as the policy knows."""
        with cython.critical_section(self):
            return hot_keys(self, most)

    cdef list ordered(self):
        """All keys held, sorted; kept until the set of keys changes. Not to be changed by the caller."""
        cdef list keys
        cdef uint32_t ref
        cdef uint64_t version
        self.need_open()
        if self.sorted_keys is not None and self.sorted_version == self.keys_version:
            return self.sorted_keys
        version = self.keys_version
        keys = []
        for ref in range(1, self.slab.used):
            if slab_entry(&self.slab, ref).key != NULL:
                key = <object>slab_entry(&self.slab, ref).key
                if not isinstance(key, str):
                    raise UnsupportedError(f"ranges need str keys, and this store holds {type(key).__name__} "
                                           f"{key!r}: iterate over the store instead")
                keys.append(key)
        keys.sort()
        self.sorted_keys = keys
        self.sorted_version = version
        return keys

    cdef tuple bounds(self, object prefix, object start, object stop):
        """The sorted keys, and the places in them between which a range lies."""
        cdef list keys
        with cython.critical_section(self):
            keys = self.ordered()
        return self.within(keys, prefix, start, stop)

    cdef tuple within(self, list keys, object prefix, object start, object stop):
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = len(keys)
        for what in (prefix, start, stop):
            if what is not None and not isinstance(what, str):
                raise UnsupportedError(f"ranges need str keys: {what!r} is {type(what).__name__}")
        if prefix:
            low = bisect_left(keys, prefix)
            after = after_prefix(prefix)
            high = len(keys) if after is None else bisect_left(keys, after)
        if start is not None:
            low = max(low, bisect_left(keys, start))
        if stop is not None:
            high = min(high, bisect_left(keys, stop))
        return keys, low, max(low, high)

    def scan(self, prefix="", *, start=None, stop=None, reverse=False, limit=None):
        """Yield ``(key, value)`` in the order of keys: those under ``prefix``, from ``start`` up to before ``stop``.

        The keys are those that were there when the scan began; each value is read when its turn comes.
        """
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"limit={limit!r} must be a whole number of 0 or more, or None")
        return self.scan_keys(*self.bounds(prefix, start, stop), bool(reverse), -1 if limit is None else limit)

    def scan_keys(self, list keys, Py_ssize_t low, Py_ssize_t high, bint reverse, Py_ssize_t limit):
        cdef Py_ssize_t i
        for i in range(low, high):
            if limit == 0:
                return
            key = keys[low + high - 1 - i if reverse else i]
            with cython.critical_section(self):
                value = self.peek(key)
            if value is not MISSING:
                limit -= 1
                yield key, value

    def keys(self, prefix=""):
        """Yield the keys under ``prefix`` in order; without one, and with keys that are not str, in no order."""
        if prefix == "":
            try:
                keys, low, high = self.bounds("", None, None)
            except UnsupportedError:
                return iter(self)
        else:
            keys, low, high = self.bounds(prefix, None, None)
        return (key for key in keys[low:high] if self.has(key))

    cdef bint has(self, object key) except -1:
        with cython.critical_section(self):
            return self.peek(key) is not MISSING

    def count(self, prefix=""):
        """How many keys there are under ``prefix``."""
        cdef Py_ssize_t n = 0
        if prefix == "":
            with cython.critical_section(self):
                return len(self.live_keys())
        keys, low, high = self.bounds(prefix, None, None)
        for i in range(low, high):
            n += self.has(keys[i])
        return n

    def clear(self, prefix=""):
        """Take out everything, or what is under ``prefix``."""
        with cython.critical_section(self):
            self.clear_in(prefix)
        self.settle()

    cdef int clear_in(self, object prefix) except -1:
        self.need_open()
        if not isinstance(prefix, str):
            raise UnsupportedError(f"a prefix is a str, not {type(prefix).__name__}")
        self.void_begin()
        try:
            self.clear_out(prefix)
        finally:
            self.void_end()
        return 0

    cdef int clear_out(self, object prefix) except -1:
        cdef uint32_t ref
        cdef Entry* e
        if self.events is not None and self.events.heard():
            self.events.push(OP_CLEAR, BY_USER, <PyObject*>prefix, NULL, NULL)
        if prefix == "":
            self.empty()
        else:
            for ref in range(1, self.slab.used):
                e = slab_entry(&self.slab, ref)
                if e.key != NULL and isinstance(<object>e.key, str) and PyUnicode_Tailmatch(
                        <object>e.key, prefix, 0, PyUnicode_GET_LENGTH(<object>e.key), -1):
                    self.remove(ref, BY_USER, False)
        return 0


cdef list hot_keys(Ordered self, Py_ssize_t most):
    cdef list keys = []
    cdef size_t n, i, count = <size_t>max(min(most, <Py_ssize_t>self.slab.used), 0)
    cdef size_t look = min(max(count * LOOK, <size_t>LEAST), <size_t>self.slab.used)
    cdef Entry* e
    cdef uint32_t* refs = <uint32_t*>calloc(count + 1, sizeof(uint32_t))
    cdef uint64_t* room = <uint64_t*>calloc((QUEUES - 1) * look + 1, sizeof(uint64_t))
    try:
        self.need_open()
        if refs == NULL or room == NULL:
            raise MemoryError()
        n = hottest(&self.policy, &self.slab, refs, count, room, look)
        for i in range(n):      # the collector may run and change the table: each entry is looked at anew
            if refs[i] < self.slab.used:
                e = slab_entry(&self.slab, refs[i])
                if e.key != NULL and self.live(e, refs[i]):
                    keys.append(<object>e.key)
    finally:
        free(refs)
        free(room)
    return keys


def after_prefix(str prefix):
    """The least str that sorts after everything that begins with ``prefix``; None if there is none."""
    cdef long last
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None
