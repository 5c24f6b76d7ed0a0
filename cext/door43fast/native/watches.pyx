"""What others may have changed below, as a row of numbers, and the cell by which a store in Python takes part in it."""

from libc.stdlib cimport free, realloc

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef News NOTHING
cdef uint64_t BEYOND = 1


cdef class EpochCell:
    """A number that a store raises when others have changed what it holds; tiers above look at it without Python.

    A store offers it among what ``_watched()`` gives, and raises it from any thread. Whoever has read the number before
    it was raised lets go of what is kept in memory before the next read is answered.
    """

    def bump(self):
        """Others have changed something: what tiers above hold in memory is not to be believed any more."""
        d43_add(&self.news.epoch, 1)

    @property
    def number(self):
        """How often it was raised."""
        return d43_load(&self.news.epoch)


cdef int watches_add(Watches* w, const uint64_t* shown, const News* news, Look look, void* of) except -1:
    cdef Watch* grown = <Watch*>realloc(w.watch, (w.count + 1) * sizeof(Watch))
    if grown == NULL:
        raise MemoryError()
    w.watch = grown
    w.watch[w.count].shown = shown
    w.watch[w.count].news = news
    w.watch[w.count].look = look
    w.watch[w.count].of = of
    w.count += 1
    return 0


cdef void watches_close(Watches* w) noexcept:
    free(w.watch)
    w.watch = NULL
    w.count = 0


cdef uint64_t watches_ask(Watches* w) noexcept:
    cdef Py_ssize_t i
    cdef uint64_t total = 0, epoch
    for i in range(w.count):
        epoch = 0
        if not watch_still(&w.watch[i], &epoch):
            epoch = w.watch[i].look(w.watch[i].of)
        total += epoch
    return total


cdef void watch_nothing(Watch* w) noexcept:
    w.shown = &NOTHING.known
    w.news = &NOTHING
    w.look = NULL
    w.of = NULL


cdef void watch_always(Watch* w) noexcept:
    watch_nothing(w)
    w.shown = &BEYOND
