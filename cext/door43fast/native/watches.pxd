"""What others may have changed below: a row of numbers, each of which changes when they have, looked at in C.

The row is made once, when a stack is made. Each store in it has two numbers: the newest change that there is, and the
newest that is accounted for, with an epoch that is raised before a change of others counts as that. So there is no news
while the first is not beyond the second, and the epoch is what it was. Epochs only grow: so the sum of a row's is the
same as before only if each of them is.
"""

from libc.stdint cimport uint64_t

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)

# What a store knows of changes; all are atomic.
cdef struct News:
    uint64_t known          # the newest that is accounted for
    uint64_t epoch          # how often there was one of others
    uint64_t pending        # one of ours that is not known to be made yet, and may become another's; 0 for none

ctypedef uint64_t (*Look)(void* of) noexcept

cdef struct Watch:
    const uint64_t* shown   # the newest change that there is
    const News* news        # borrowed, as the others: whoever makes the row keeps them alive
    Look look               # accounts for what is new, and gives the epoch; NULL where all always is accounted for
    void* of

cdef struct Watches:
    Watch* watch            # owned
    Py_ssize_t count

cdef class EpochCell:
    cdef News news          # nothing but the epoch

cdef int watches_add(Watches* w, const uint64_t* shown, const News* news, Look look, void* of) except -1
cdef void watches_close(Watches* w) noexcept
# The sum of the epochs, after each store was asked.
cdef uint64_t watches_ask(Watches* w) noexcept
# One that never has news, or that always may have.
cdef void watch_nothing(Watch* w) noexcept
cdef void watch_always(Watch* w) noexcept

# hot
cdef inline bint watch_still(const Watch* w, uint64_t* epochs) noexcept:
    """Whether all that there is is accounted for; adds the epoch to ``epochs``."""
    cdef bint still = d43_load(w.shown) <= d43_load(&w.news.known)
    epochs[0] += d43_load(&w.news.epoch)
    return still
