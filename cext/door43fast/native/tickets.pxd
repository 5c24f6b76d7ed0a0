"""Tickets: what lets a value go from a slower tier to a faster one only if nobody has written it meanwhile.

A key belongs to one of 4,096 stripes. **A write** begins by raising its stripe, then writes to the slow tier, and
ends by raising the stripe again: if nobody else raised it in between, it publishes its value to the fast tier, else
it takes the key out there. **A promotion** notes the stripe when it misses, reads the slow tier, and puts the value
into the fast tier only if the stripe is still what it was. So of two writes that overlap neither publishes unless
it was alone from its beginning to its end, and no promotion outlives a write that ended after it had begun.
``epoch`` does the same for what concerns all keys at once. All of it happens under the GIL: between a look at a
stripe and the change of the fast tier that follows from it, no Python code may run.
"""

from libc.stdint cimport uint64_t

cdef enum:
    STRIPES = 4096

# A batch that takes some values from the fast tier and others from the slow one is of one instant only if no write
# ended between the two, and none of many keys was under way at any time: the slow tier may have had that already, the
# fast one not.

cdef struct Tickets:
    uint64_t epoch
    uint64_t moves          # writes that have ended, and those of many keys that have begun
    uint64_t wide           # writes of many keys under way,
    uint64_t filling        # and those that change the fast tier just now
    uint64_t stripe[STRIPES]

cdef struct Ticket:
    uint64_t epoch
    uint64_t count
    size_t place

cdef inline Ticket ticket_take(Tickets* t, size_t place) noexcept:
    cdef Ticket k
    k.place = place
    k.epoch = t.epoch
    k.count = t.stripe[place]
    return k

cdef inline Ticket ticket_begin(Tickets* t, size_t place) noexcept:
    t.stripe[place] += 1
    return ticket_take(t, place)

cdef inline bint ticket_good(Tickets* t, Ticket* k) noexcept:
    return t.epoch == k.epoch and t.stripe[k.place] == k.count

cdef inline bint ticket_end(Tickets* t, Ticket* k) noexcept:
    """End a write. True: it may publish; False: it must take the key out."""
    cdef bint alone = ticket_good(t, k)
    t.stripe[k.place] += 1
    t.moves += 1
    return alone

# A write of many keys holds one ticket a stripe, in a row of STRIPES counts: 0 where it holds none. Between the
# beginning and the end of a batch and its look at a stripe the same rule holds as for single writes.

cdef inline void tickets_begin(Tickets* t, uint64_t* held, size_t place) noexcept:
    if not held[place]:
        t.stripe[place] += 1
        held[place] = t.stripe[place]

cdef inline void tickets_end(Tickets* t, uint64_t* held, bint may) noexcept:
    """End a write of many keys. What is held afterwards says where it may still publish: nowhere if not ``may``."""
    cdef size_t place
    cdef bint alone
    for place in range(STRIPES):
        if held[place]:
            alone = may and t.stripe[place] == held[place]
            t.stripe[place] += 1
            held[place] = t.stripe[place] if alone else 0
