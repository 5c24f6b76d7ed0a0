"""The tags of a memory table: each has a generation, which its entries remember from when they were set."""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.labels cimport Labels
from door43fast.native.slab cimport Extra

cdef struct TagCell:
    uint64_t generation
    uint64_t uses

cdef class TagTable:
    cdef dict numbers           # exact str -> number of its cell
    cdef list names             # number -> exact str, None where free
    cdef list free_numbers
    cdef TagCell* cells
    cdef uint32_t capacity

    cdef Extra* claim(self, tuple tags) except NULL
    cdef Extra* again(self, const Extra* x) except NULL
    cdef void release(self, Extra* x) noexcept
    # The names of the tags of one or two Extras, NULL for none, as a queue of events takes them. Runs no Python code.
    cdef Labels* labels(self, const Extra* x, const Extra* y) noexcept
    cdef bint invalidate(self, str tag) except -1

    cdef inline bint stale(self, Extra* x) noexcept nogil:
        cdef uint32_t i
        for i in range(x.tags):
            if self.cells[x.tag[i].tag].generation != x.tag[i].generation:
                return True
        return False

cdef tuple tag_names(object tags)
