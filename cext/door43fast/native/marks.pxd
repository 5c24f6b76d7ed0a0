"""Marks: how a process tells others, in shared memory, that a key was deleted which they compute.

A small file beside the store is mapped by all who have it open. A bucket, by the key's hash, has places for four
flights: the hash, and a number that is drawn anew for each flight. Who takes a key out adds to the numbers of its hash,
within the writer lock and before the end of its transaction. Who stores what was computed looks, within the same lock,
whether the number is still its own. ``era``, the first word, grows with whatever concerns all keys. A set needs none of
this: a record that was not there before is seen for itself.
"""

from libc.stdint cimport uint64_t

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)
    uint64_t d43_add(uint64_t*, uint64_t)

cdef enum:
    HEAD_WORDS = 8
    BUCKETS = 1024
    PLACES = 4
    MARK_WORDS = HEAD_WORDS + BUCKETS * PLACES * 2


cdef inline uint64_t* marks_bucket(uint64_t* words, uint64_t hash) noexcept nogil:
    return words + HEAD_WORDS + (hash % BUCKETS) * PLACES * 2


# Both take NULL, where there is nobody to tell.
cdef inline void marks_touch(uint64_t* words, uint64_t hash) noexcept nogil:
    cdef uint64_t* place
    cdef int i
    if words != NULL:
        place = marks_bucket(words, hash)
        for i in range(PLACES):
            if d43_load(place + 2 * i) == hash:
                d43_add(place + 2 * i + 1, 1)


cdef inline void marks_touch_all(uint64_t* words) noexcept nogil:
    if words != NULL:
        d43_add(words, 1)


cdef class Marks:
    cdef uint64_t* words
    cdef readonly str path


cdef class Mark:
    cdef Marks marks
    cdef uint64_t* place
    cdef uint64_t hash
    cdef uint64_t number
    cdef uint64_t era

    cdef inline bint holds(self) noexcept nogil:
        return (d43_load(self.place) == self.hash and d43_load(self.place + 1) == self.number
                and d43_load(self.marks.words) == self.era)
