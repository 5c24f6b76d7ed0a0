"""What others may have changed below, as a row of numbers, and the cell by which a store in Python takes part in it."""

from libc.stdlib cimport free, realloc

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)


cdef class EpochCell:
    """A number that a store raises when others have changed what it holds; tiers above look at it without Python.

    A store offers it among what ``_watched()`` gives, and raises it from any thread. Whoever has read the number before
    it was raised lets go of what is kept in memory before the next read is answered.
    """

    def bump(self):
        """Others have changed something: what tiers above hold in memory is not to be believed any more."""
        d43_add(&self.number, 1)

    @property
    def number(self):
        """How often it was raised."""
        return d43_load(&self.number)


cdef int watches_add(Watches* w, Look look, void* of) except -1:
    cdef Watch* grown = <Watch*>realloc(w.watch, (w.count + 1) * sizeof(Watch))
    if grown == NULL:
        raise MemoryError()
    w.watch = grown
    w.watch[w.count].look = look
    w.watch[w.count].of = of
    w.count += 1
    return 0


cdef void watches_close(Watches* w) noexcept:
    free(w.watch)
    w.watch = NULL
    w.count = 0
