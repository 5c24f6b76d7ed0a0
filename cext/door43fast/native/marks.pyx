"""Marks: how a process tells others, in shared memory, that a key was deleted which they compute."""

import errno
import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from clib.xxhash cimport XXH3_64bits

cdef extern from "d43_atomic.h" nogil:
    void d43_store(uint64_t*, uint64_t)
    bint d43_put_if(uint64_t*, uint64_t, uint64_t)

cdef size_t SIZE = MARK_WORDS * sizeof(uint64_t)


def hash_of(bytes name):
    """The hash of a key's bytes, never 0."""
    return XXH3_64bits(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)) or 1


cdef class Marks:
    """The marks of all flights over one store, in the file at ``path``, which is made where there is none."""

    def __cinit__(self, str path):
        cdef void* at
        cdef int descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            # Written, not a hole, which may have no room when it is written to. And at the end, wherever that is by
            # now: another process may have given the file its room meanwhile, and have marks in it.
            if size < <long long>SIZE:
                if os.write(descriptor, bytes(SIZE - size)) != <long long>SIZE - size:
                    raise OSError(errno.ENOSPC, "no room for the marks of flights", path)
                os.ftruncate(descriptor, SIZE)      # what two have given it is too much
            at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        finally:
            os.close(descriptor)
        if at == MAP_FAILED:
            raise MemoryError(f"no address space to map {path}")
        self.words = <uint64_t*>at
        self.path = path

    def __dealloc__(self):
        if self.words != NULL:
            munmap(self.words, SIZE)

    def begin(self, uint64_t hash, dead):
        """The mark of a flight that begins. ``dead(hash)`` says of another whether nobody flies it any more.

        Where all places are taken by living ones, the first loses its mark, and so will not be stored.
        """
        cdef uint64_t* bucket = marks_bucket(self.words, hash)
        cdef uint64_t* place = NULL
        cdef uint64_t other
        cdef Mark mark = Mark.__new__(Mark, self)
        cdef int i
        for i in range(PLACES):
            if d43_load(bucket + 2 * i) == hash:
                place = bucket + 2 * i
        for i in range(PLACES):
            if place == NULL and d43_put_if(bucket + 2 * i, 0, hash):
                place = bucket + 2 * i
        for i in range(PLACES):
            if place == NULL:
                other = d43_load(bucket + 2 * i)
                if dead(other) and d43_put_if(bucket + 2 * i, other, hash):
                    place = bucket + 2 * i
        mark.place = bucket if place == NULL else place
        mark.hash = hash
        mark.number = int.from_bytes(os.urandom(8), "little")
        mark.era = d43_load(self.words)
        d43_store(mark.place, hash)
        d43_store(mark.place + 1, mark.number)
        return mark

    def touch(self, uint64_t hash):
        """A key with this hash is taken out: whoever computes it stores nothing. REQUIRES: within the writer lock."""
        marks_touch(self.words, hash)

    def touch_all(self):
        """As ``touch``, of all keys."""
        marks_touch_all(self.words)


cdef class Mark:
    """The mark of one flight."""

    def __cinit__(self, Marks marks not None):
        self.marks = marks
        self.place = marks.words + HEAD_WORDS       # any, for now

    def good(self):
        """Whether the key has not been taken out since, and nobody else has begun to compute it."""
        return self.holds()

    def end(self):
        """Leave the place to others, unless somebody has it already."""
        if d43_load(self.place) == self.hash and d43_load(self.place + 1) == self.number:
            d43_store(self.place, 0)
