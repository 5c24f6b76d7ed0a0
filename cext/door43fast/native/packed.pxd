"""Many values in one piece of memory: the packed batch, and what engines build it with."""

from libc.stdint cimport int64_t, uint8_t

cdef class Packed:
    cdef readonly object data       # uint8[n]
    cdef readonly object offsets    # int64[len + 1], read-only
    cdef readonly object found      # bool[len], read-only
    cdef Py_buffer views[3]         # hold the memory of the three for the pointers below
    cdef int viewed
    cdef const char* content
    cdef Py_ssize_t size
    cdef const int64_t* bounds
    cdef const char* has
    cdef Py_ssize_t length

    # 1 and the value's place, 0 if it was not found, -1 if the offsets were spoilt after they were checked.
    # Needs no GIL. REQUIRES: 0 <= i < length.
    cdef inline int item(self, Py_ssize_t i, const char** data, Py_ssize_t* size) noexcept nogil:
        cdef int64_t first = self.bounds[i]
        cdef int64_t beyond = self.bounds[i + 1]
        if not self.has[i]:
            return 0
        if not 0 <= first <= beyond <= self.size:
            return -1
        data[0] = self.content + first
        size[0] = beyond - first
        return 1

    cdef int check(self) except -1
    cdef object _value(self, Py_ssize_t i)


cdef class PackedBuilder:
    cdef char* data
    cdef size_t size
    cdef size_t capacity
    cdef int64_t* offsets           # places + 1 of them
    cdef char* found
    cdef size_t count
    cdef size_t places
    cdef object out
    cdef Py_buffer rows             # of out
    cdef bint fixed
    cdef Py_ssize_t width           # of a row of out

    # There will be about so many bytes in all: where that is known it saves the growing.
    cdef void expect(self, size_t n) noexcept nogil
    # The next value. 0, or 1 if out= holds rows of another size (then raise wrong_size). Needs no GIL.
    cdef int append(self, const void* data, size_t n) except -1 nogil
    # Where to write the next value, of n bytes, at once. NULL and no exception: out= holds rows of another size.
    cdef char* room(self, size_t n) except? NULL nogil
    # The next key has no value. With out= its row is zeroed.
    cdef int missing(self) except -1 nogil
    cdef object wrong_size(self, key, size_t n)
    # REQUIRES: nothing is appended afterwards.
    cdef Packed finish(self)
    cdef int _grow_places(self) except -1 nogil
    cdef int _grow_data(self, size_t n) except -1 nogil
