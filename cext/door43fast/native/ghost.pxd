"""Hashes of keys that were evicted not long ago, the oldest forgotten first: a ring, and a set over its places.

Two keys whose 32-bit hashes are equal are taken for one, which costs a hit at the most. What is taken out leaves an
empty place (0) in the ring. Places are filled again only as the ring comes round, so there are more of them than
hashes: twice as many in a small ring, a quarter more in a large one.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef struct Ghost:
    uint32_t* ring          # hashes, 0 for an empty place
    uint32_t* slot          # a place plus one, 0 for none
    uint32_t places         # of the ring
    uint32_t mask           # of the slots
    uint32_t shift
    uint32_t newest         # place that is filled next
    uint32_t oldest
    uint32_t span           # places from oldest to newest
    uint32_t count          # hashes held

cdef inline uint64_t ghost_places(uint64_t room) noexcept nogil:
    return room + max(room // 4, min(room, 16384))

cdef inline uint32_t ghost_name(uint32_t hash) noexcept nogil:
    return hash if hash else 1

cdef inline void ghost_close(Ghost* g) noexcept nogil:
    free(g.ring)
    free(g.slot)
    memset(g, 0, sizeof(Ghost))

cdef inline size_t ghost_bytes(Ghost* g) noexcept nogil:
    return 0 if g.ring == NULL else <size_t>g.places * 4 + (<size_t>g.mask + 1) * 4

cdef inline void ghost_place(Ghost* g, uint32_t name) noexcept nogil:
    cdef uint32_t p = name >> g.shift
    while g.slot[p]:
        p = (p + 1) & g.mask
    g.slot[p] = g.newest + 1
    g.ring[g.newest] = name
    g.newest = 0 if g.newest + 1 == g.places else g.newest + 1
    g.span += 1
    g.count += 1

cdef inline void ghost_empty_slot(Ghost* g, uint32_t p) noexcept nogil:
    """Empty slot ``p`` and shift back what would no longer be found."""
    cdef uint32_t q = p
    cdef uint32_t home
    while True:
        q = (q + 1) & g.mask
        if not g.slot[q]:
            break
        home = g.ring[g.slot[q] - 1] >> g.shift
        if ((q - home) & g.mask) >= ((q - p) & g.mask):
            g.slot[p] = g.slot[q]
            p = q
    g.slot[p] = 0

cdef inline void ghost_forget_oldest(Ghost* g) noexcept nogil:
    """Let the ring's oldest place go, and the hash in it if there is one."""
    cdef uint32_t name = g.ring[g.oldest]
    cdef uint32_t p
    if name:
        p = name >> g.shift
        while g.slot[p] != g.oldest + 1:
            p = (p + 1) & g.mask
        ghost_empty_slot(g, p)
        g.ring[g.oldest] = 0
        g.count -= 1
    g.oldest = 0 if g.oldest + 1 == g.places else g.oldest + 1
    g.span -= 1

cdef inline bint ghost_remove(Ghost* g, uint32_t hash) noexcept nogil:
    """Whether ``hash`` was there; it is no longer."""
    cdef uint32_t name = ghost_name(hash)
    cdef uint32_t p, place
    if g.ring == NULL:
        return False
    p = name >> g.shift
    while g.slot[p]:
        place = g.slot[p] - 1
        if g.ring[place] == name:
            ghost_empty_slot(g, p)
            g.ring[place] = 0
            g.count -= 1
            return True
        p = (p + 1) & g.mask
    return False

cdef inline bint ghost_grow(Ghost* g, uint64_t room) noexcept nogil:
    """Make room for ``room`` hashes, those that are held among them. False: no memory, nothing changed."""
    cdef Ghost bigger
    cdef uint32_t bits = 4
    cdef uint32_t i, place
    memset(&bigger, 0, sizeof(Ghost))
    room = max(room, 8)
    if room > <uint64_t>1 << 29:
        return False
    bigger.places = <uint32_t>ghost_places(room)
    while (<uint64_t>1 << bits) * 3 < room * 4:
        bits += 1
    bigger.mask = (<uint32_t>1 << bits) - 1
    bigger.shift = 32 - bits
    bigger.ring = <uint32_t*>calloc(bigger.places, 4)
    bigger.slot = <uint32_t*>calloc(<size_t>bigger.mask + 1, 4)
    if bigger.ring == NULL or bigger.slot == NULL:
        ghost_close(&bigger)
        return False
    place = g.oldest
    for i in range(g.span):
        if g.ring[place]:
            ghost_place(&bigger, g.ring[place])
        place = 0 if place + 1 == g.places else place + 1
    ghost_close(g)
    g[0] = bigger
    return True

cdef inline void ghost_add(Ghost* g, uint32_t hash, uint64_t room) noexcept nogil:
    """Remember ``hash`` as one of at most ``room``. Where there is no memory it is not remembered."""
    if room == 0:
        return
    ghost_remove(g, hash)
    while g.count and g.count >= room:
        ghost_forget_oldest(g)
    if ghost_places(room) > g.places and not ghost_grow(g, max(room, <uint64_t>g.count * 2)) and g.ring == NULL:
        return
    while g.span >= g.places or (g.count + 1) * <uint64_t>4 > (<uint64_t>g.mask + 1) * 3:
        ghost_forget_oldest(g)
    ghost_place(g, ghost_name(hash))
