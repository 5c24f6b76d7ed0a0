"""The hashed key index: groups of twelve places, a byte of the hash for each, grown in steps.

A place is a one-byte tag and a 4-byte reference; the twelve of a group share a cache line, and their tags are
compared at once, so that neither a search nor an insertion branches on where in the group it ends (the idea is that
of SwissTable, and of Facebook's F14). The high bits of the hash choose an entry's home; where that is full the entry
goes to the next group with room, and each group counts those that passed over it. A search ends at the first group
whose count is 0; a deletion takes its own passings back, so nothing is left behind and nothing moves. At most three
quarters are in use. When that is reached a table of twice the size is put in front, and each later insertion moves
a few groups over, so that no single one pays for all. Until then a search that misses in ``now`` goes on in ``old``.
Comparing keys is the caller's: these functions know hashes and references, and the hash of an entry where it is.

The high bit of a reference in a group says that the key is an exact str of ASCII characters: its type, which often lies
in another cache line than its text, need not be looked at.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from door43fast.native.slab cimport Slab, d43_pages_alloc, d43_pages_free, d43_prefetch, slab_entry

cdef extern from "d43_group.h" nogil:
    ctypedef struct Group "d43_group":
        uint8_t tag[12]
        uint32_t over
        uint32_t ref[12]
    uint32_t d43_tag(uint32_t hash) noexcept
    uint32_t d43_match(const Group* g, uint32_t tag) noexcept
    uint32_t d43_first(uint32_t bits) noexcept

cdef enum:
    PLACES = 12         # of a group
    FULL = 9            # places in use of each group, on average, when the table doubles
    FIRST_BITS = 1
    MOVES = 4           # groups moved over by one insertion while two tables stand

cdef extern from *:
    """
    #define D43_ASCII 0x80000000u
    #define D43_REFERENCE 0x7FFFFFFFu
    """
    const uint32_t ASCII "D43_ASCII"
    const uint32_t REFERENCE "D43_REFERENCE"

cdef struct Groups:
    Group* group
    uint32_t mask       # groups less one
    uint32_t shift
    uint32_t count

cdef struct Index:
    Groups now
    Groups old          # its ``group`` is NULL but while growing
    uint32_t cursor     # the groups of ``old`` below this one are empty

cdef inline bint groups_open(Groups* t, uint32_t bits) noexcept nogil:
    t.group = <Group*>d43_pages_alloc((<size_t>1 << bits) * sizeof(Group))
    t.mask = (<uint32_t>1 << bits) - 1
    t.shift = 32 - bits
    t.count = 0
    return t.group != NULL

cdef inline void groups_close(Groups* t) noexcept nogil:
    d43_pages_free(t.group, (<size_t>t.mask + 1) * sizeof(Group))
    t.group = NULL
    t.count = 0

cdef inline Group* groups_home(Groups* t, uint32_t hash) noexcept nogil:
    return &t.group[hash >> t.shift]

cdef inline void groups_put(Groups* t, uint32_t hash, uint32_t ref) noexcept nogil:
    """``ref`` with its mark. REQUIRES: there is an empty place."""
    cdef uint32_t p = hash >> t.shift
    cdef Group* g = &t.group[p]
    cdef uint32_t room = d43_match(g, 0)
    cdef uint32_t i
    while room == 0:
        g.over += 1
        p = (p + 1) & t.mask
        g = &t.group[p]
        room = d43_match(g, 0)
    i = d43_first(room)
    g.tag[i] = <uint8_t>d43_tag(hash)
    g.ref[i] = ref
    t.count += 1

cdef inline bint groups_remove(Groups* t, uint32_t hash, uint32_t ref) noexcept nogil:
    cdef uint32_t home = hash >> t.shift
    cdef uint32_t p = home
    cdef uint32_t tag = d43_tag(hash)
    cdef uint32_t found, i
    while True:
        found = d43_match(&t.group[p], tag)
        while found:
            i = d43_first(found)
            if t.group[p].ref[i] & REFERENCE == ref:
                t.group[p].tag[i] = 0
                t.count -= 1
                while home != p:
                    t.group[home].over -= 1
                    home = (home + 1) & t.mask
                return True
            found &= found - 1
        if not t.group[p].over:
            return False
        p = (p + 1) & t.mask
        if p == home:
            return False

cdef struct Walk:               # a search, for callers that must look at each entry themselves
    Groups* t
    uint32_t home
    uint32_t p
    uint32_t tag
    uint32_t found

cdef inline void walk_begin(Walk* w, Groups* t, uint32_t hash) noexcept nogil:
    w.t = t
    w.home = w.p = hash >> t.shift
    w.tag = d43_tag(hash)
    w.found = d43_match(&t.group[w.p], w.tag)

cdef inline uint32_t walk_next(Walk* w) noexcept nogil:
    """The next reference that may be the one; 0 when there is none left. REQUIRES: the table is as it was."""
    cdef uint32_t i
    while w.found == 0:
        if not w.t.group[w.p].over:
            return 0
        w.p = (w.p + 1) & w.t.mask
        if w.p == w.home:
            return 0
        w.found = d43_match(&w.t.group[w.p], w.tag)
    i = d43_first(w.found)
    w.found &= w.found - 1
    return w.t.group[w.p].ref[i] & REFERENCE

cdef inline bint index_open(Index* x) noexcept nogil:
    x.old.group = NULL
    x.old.count = 0
    x.cursor = 0
    return groups_open(&x.now, FIRST_BITS)

cdef inline void index_close(Index* x) noexcept nogil:
    if x.now.group != NULL:
        groups_close(&x.now)
    if x.old.group != NULL:
        groups_close(&x.old)

cdef inline void index_ask(Group* g, Slab* slab) noexcept nogil:
    """Ask for the entries of a group."""
    cdef uint32_t i
    for i in range(PLACES):
        if g.tag[i]:
            d43_prefetch(slab_entry(slab, g.ref[i] & REFERENCE))

cdef inline void index_move(Index* x, Slab* slab) noexcept nogil:
    """Move the next groups from the old table to the new one.

    Their passings over other groups stay counted in the old table: they make a search there longer, never shorter.
    The entries of the groups after them are asked for, since their hashes are wanted at the next insertion.
    """
    cdef Group* g
    cdef uint32_t i, turn
    for turn in range(MOVES):
        g = &x.old.group[x.cursor]
        for i in range(PLACES):
            if g.tag[i]:
                groups_put(&x.now, slab_entry(slab, g.ref[i] & REFERENCE).hash, g.ref[i])
                x.old.count -= 1
        memset(g.tag, 0, PLACES)
        x.cursor += 1
        if x.old.count == 0 or x.cursor > x.old.mask:
            groups_close(&x.old)
            return
    for turn in range(min(<uint32_t>MOVES, x.old.mask + 1 - x.cursor)):
        index_ask(&x.old.group[x.cursor + turn], slab)

cdef inline bint index_room(Index* x, Slab* slab) noexcept nogil:
    """Make sure that one more fits. False: no memory, nothing changed."""
    cdef Groups bigger
    cdef uint32_t bits
    if x.old.group != NULL:
        index_move(x, slab)
    if <uint64_t>x.now.count + x.old.count < (<uint64_t>x.now.mask + 1) * FULL:
        return True
    while x.old.group != NULL:                  # a table is moved long before that of twice its size is full
        index_move(x, slab)
    bits = 32 - x.now.shift + 1
    if bits > 28 or not groups_open(&bigger, bits):
        return False
    x.old = x.now
    x.now = bigger
    x.cursor = 0
    return True

cdef inline void index_remove(Index* x, uint32_t hash, uint32_t ref) noexcept nogil:
    if groups_remove(&x.now, hash, ref):
        return
    if x.old.group != NULL:
        groups_remove(&x.old, hash, ref)
        if not x.old.count:
            groups_close(&x.old)

cdef inline size_t index_bytes(Index* x) noexcept nogil:
    cdef size_t n = (<size_t>x.now.mask + 1) * sizeof(Group)
    if x.old.group != NULL:
        n += (<size_t>x.old.mask + 1) * sizeof(Group)
    return n
