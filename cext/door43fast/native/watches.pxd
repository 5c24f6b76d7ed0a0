"""What others may have changed below: a row of numbers, each of which changes when they have, looked at in C.

The row is made once, when a stack is made, and its numbers only grow: so their sum is the same as before only if each
of them is.
"""

from libc.stdint cimport uint64_t

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)

ctypedef uint64_t (*Look)(void* of) noexcept

cdef struct Watch:
    Look look               # NULL: ``of`` is the address of the number itself
    void* of                # borrowed: whoever makes the row keeps it alive

cdef struct Watches:
    Watch* watch            # owned
    Py_ssize_t count

cdef class EpochCell:
    cdef uint64_t number

cdef int watches_add(Watches* w, Look look, void* of) except -1
cdef void watches_close(Watches* w) noexcept

# hot
cdef inline uint64_t watches_sum(Watches* w) noexcept:
    cdef Py_ssize_t i
    cdef uint64_t total = 0
    for i in range(w.count):
        total += d43_load(<uint64_t*>w.watch[i].of) if w.watch[i].look == NULL else w.watch[i].look(w.watch[i].of)
    return total
