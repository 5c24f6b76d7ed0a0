"""The hashed key index: open addressing over 8-byte slots of (hash, reference), grown in steps.

A slot is ``hash << 32 | reference``; 0 is an empty one. Eight slots share a cache line and are probed in order. A
deletion shifts the rest of its run back, so no tombstones exist and an empty slot always ends a search: at most
three quarters are ever in use. When that is reached a table of twice the size is put in front, and each later
insertion moves a few entries over, so that no single one pays for all. Until then a search that misses in ``now``
goes on in ``old``. Comparing keys is the caller's: these functions know only hashes and references.
"""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.slab cimport d43_pages_alloc, d43_pages_free, d43_prefetch

cdef enum:
    FIRST_BITS = 4
    MOVES = 8           # entries moved over by one insertion while two tables stand

cdef struct Slots:
    uint64_t* slot
    uint32_t mask
    uint32_t shift
    uint32_t count

cdef struct Index:
    Slots now
    Slots old           # its ``slot`` is NULL but while growing
    uint32_t cursor     # slots of ``old`` below this one are empty

cdef inline bint slots_open(Slots* t, uint32_t bits) noexcept nogil:
    t.slot = <uint64_t*>d43_pages_alloc((<size_t>1 << bits) * 8)
    t.mask = <uint32_t>((<uint64_t>1 << bits) - 1)
    t.shift = 32 - bits
    t.count = 0
    return t.slot != NULL

cdef inline void slots_close(Slots* t) noexcept nogil:
    d43_pages_free(t.slot, (<size_t>t.mask + 1) * 8)
    t.slot = NULL
    t.count = 0

cdef inline uint32_t slots_home(Slots* t, uint32_t hash) noexcept nogil:
    return hash >> t.shift

cdef inline void slots_put(Slots* t, uint32_t hash, uint32_t ref) noexcept nogil:
    cdef uint32_t p = slots_home(t, hash)
    while t.slot[p]:
        p = (p + 1) & t.mask
    t.slot[p] = <uint64_t>hash << 32 | ref
    t.count += 1

cdef inline void slots_remove_at(Slots* t, uint32_t p) noexcept nogil:
    """Empty slot ``p`` and shift back what would no longer be found."""
    cdef uint32_t q = p
    cdef uint32_t home
    while True:
        q = (q + 1) & t.mask
        if not t.slot[q]:
            break
        home = slots_home(t, <uint32_t>(t.slot[q] >> 32))
        # May the one at q move to p? Only if its home does not lie cyclically within (p, q].
        if ((q - home) & t.mask) >= ((q - p) & t.mask):
            t.slot[p] = t.slot[q]
            p = q
    t.slot[p] = 0
    t.count -= 1

cdef inline bint slots_remove(Slots* t, uint32_t hash, uint32_t ref) noexcept nogil:
    cdef uint32_t p = slots_home(t, hash)
    cdef uint64_t wanted = <uint64_t>hash << 32 | ref
    while t.slot[p]:
        if t.slot[p] == wanted:
            slots_remove_at(t, p)
            return True
        p = (p + 1) & t.mask
    return False

cdef inline bint index_open(Index* x) noexcept nogil:
    x.old.slot = NULL
    x.old.count = 0
    x.cursor = 0
    return slots_open(&x.now, FIRST_BITS)

cdef inline void index_close(Index* x) noexcept nogil:
    if x.now.slot != NULL:
        slots_close(&x.now)
    if x.old.slot != NULL:
        slots_close(&x.old)

cdef inline void index_move(Index* x, uint32_t entries) noexcept nogil:
    """Move up to ``entries`` of them from the old table to the new one."""
    cdef uint64_t s
    cdef uint32_t seen = 0
    while x.old.count and entries:
        s = x.old.slot[x.cursor]
        if s:
            slots_remove_at(&x.old, x.cursor)   # may shift another one here: look again
            slots_put(&x.now, <uint32_t>(s >> 32), <uint32_t>s)
            entries -= 1
        else:
            x.cursor = (x.cursor + 1) & x.old.mask
            seen += 1
            if seen == 64:                      # a bound also where the old table is nearly empty
                break
    if not x.old.count:
        slots_close(&x.old)

cdef inline bint index_room(Index* x) noexcept nogil:
    """Make sure that one more fits. False: no memory, nothing changed."""
    cdef Slots bigger
    cdef uint32_t bits
    if x.old.slot != NULL:
        index_move(x, MOVES)
    if <uint64_t>(x.now.count + x.old.count + 1) * 4 <= (<uint64_t>x.now.mask + 1) * 3:
        return True
    while x.old.slot != NULL:                   # not reached by growth alone; deletions in between can lead here
        index_move(x, x.old.count)
    bits = 32 - x.now.shift + 1
    if bits > 31 or not slots_open(&bigger, bits):
        return False
    x.old = x.now
    x.now = bigger
    x.cursor = 0
    return True

cdef inline void index_remove(Index* x, uint32_t hash, uint32_t ref) noexcept nogil:
    if slots_remove(&x.now, hash, ref):
        return
    if x.old.slot != NULL:
        slots_remove(&x.old, hash, ref)
        if not x.old.count:
            slots_close(&x.old)

cdef inline size_t index_bytes(Index* x) noexcept nogil:
    cdef size_t n = (<size_t>x.now.mask + 1) * 8
    if x.old.slot != NULL:
        n += (<size_t>x.old.mask + 1) * 8
    return n
