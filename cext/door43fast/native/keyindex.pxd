"""The key index: where in the map the record of a key lies, found by the key's hash. See docs/lmdb-reads.md.

The index stands for one snapshot of LMDB, ``txn``. A way in its table says that in this snapshot the node of some key
with this hash begins at this place; whoever finds one compares the key in full. It is a cache: any way may be missing.

Ways that single reads found are kept once more in a small table, the near one: what is read again and again then lies
close together, however large the store is.

A gap says that some key is not there. It is known by 64 bits and 15 more of a hash of 128 that nobody outside can
foretell, beside those that choose its bucket; and it names the leaf in which the key would stand. As long as that leaf
lives the key was not added: a leaf's range ends where it ends until the leaf is written to, and it begins at or before
its first key. It may come to begin just there, though, when branch pages above are merged; then a lesser key goes to
the leaf on the left. So a key before the first of its leaf has two gaps, one with each of the two leaves, and is absent
only while both live.

When the snapshot moves on from S to T, the pages that died in between are those in the records S+1 to T of LMDB's list
of free pages, because a write never changes a page of a snapshot but frees it and takes another. Each page has a stamp,
which is raised when the page dies; a way carries the stamp that its page had, and counts only while both are equal.
LMDB takes a page out of the list only once no snapshot that may be read needs it: the record of transaction F can be
taken apart by transaction F + 2 at the earliest, and by none while a reader stands before F. So the list is whole if
T <= S + 2, or if a reader stood at S until the reader at T was open. Else the whole index is forgotten.

Readers take no lock. Between a read of ``txn`` that gave their snapshot and another that still does, all that they saw
was good: ``txn`` is 0 while anything but a single way changes, ways are filled only while ``txn`` is what the filler
read in, and ``txn`` never returns to an older snapshot. Who changes something holds ``busy``; nobody waits for it.
"""

from libc.stdint cimport uint16_t, uint64_t

from clib.lmdb cimport MDB_dbi, MDB_txn

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)
    void d43_store(uint64_t*, uint64_t)
    void* d43_peek(void**)
    void d43_fence_reads()

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef enum:
    LINE = 64               # bytes of a line of the processor's cache
    WAYS = 8                # of a bucket: one line of the processor's cache
    STAMPS = 4095           # stamps lie below; a way holds 12 bits of them
    STAMP_AT = 40           # a way: 40 bits of place / 2, 12 of stamp, 12 of hash
    TAG_AT = 52
    LEAST_READS = 256       # before a table is made
    WINDOW = 64             # commits between two decisions whether the index pays
    WORTH = 8               # reads a commit from which it does
    NEAR_WAYS = 4           # of a set of the near table
    NEAR_SETS = 8192
    NEAR_FROM = 1 << 20     # bytes of a table that gets a near one
    GAP_WAYS = 4            # of a bucket of gaps, each 8 bytes in the first half of a line and 8 in the second
    GAP_STAMP_AT = 16       # a gap: 1 bit for two leaves, 15 of hash, 12 of stamp, 36 of page; and 64 of hash
    GAP_PAGE_AT = 28
    LEAST_GAPS = 256        # keys that were not there before gaps are kept


# The head of a table, in the line before its first bucket.
cdef struct KeyTable:
    uint64_t buckets
    uint64_t bytes
    KeyTable* older         # still read by calls that began before it was replaced
    uint64_t* near          # NULL for none; behind the buckets
    uint64_t slots          # ways, near ones among them


cdef struct GapTable:
    uint64_t buckets
    uint64_t bytes
    GapTable* older         # of those that were given up


cdef struct KeyIndex:
    uint64_t txn            # the snapshot that the index stands for, 0 for none
    KeyTable* table
    uint16_t* stamps        # by page
    uint64_t pages
    uint64_t salt           # added to all stamps: to raise it is to forget all
    int shift               # log2 of the page size
    uint64_t limit          # bytes that a table may take, 0 for no index
    uint64_t entries        # for which the table was made
    uint64_t seen           # newest snapshot that was looked at
    GapTable* gaps          # NULL until there is need
    GapTable* retired       # still read by calls that began before it was given up
    uint64_t secret
    bint paused
    char apart[LINE]        # what every read writes to lies in another line than what every read needs
    uint64_t reads          # and commits since the last decision whether the index pays
    uint64_t commits
    uint64_t absences       # keys that were looked for in vain
    uint64_t busy
    char beyond[LINE]


cdef inline const GapTable* index_gaps(const KeyIndex* x) noexcept nogil:
    """The table of gaps, NULL for none. Another thread may give it up at any time, so it is asked for once."""
    return <const GapTable*>d43_peek(<void**>&x.gaps)


cdef inline uint64_t index_bytes(const KeyIndex* x) noexcept nogil:
    """What the table takes; the stamps take two bytes a page of the file beside."""
    cdef const GapTable* g = index_gaps(x)
    return (0 if x.table == NULL else x.table.bytes) + (0 if g == NULL else g.bytes)


cdef inline bint index_untidy(const KeyIndex* x) noexcept nogil:
    return (x.table != NULL and x.table.older != NULL) or x.retired != NULL


cdef inline const uint64_t* index_bucket(const KeyTable* t, uint64_t hash) noexcept nogil:
    return <const uint64_t*>t + WAYS + WAYS * ((hash >> 32) * t.buckets >> 32)


cdef inline uint64_t index_next(const KeyIndex* x, const uint64_t* bucket, uint64_t hash, int* way) noexcept nogil:
    """The place of the next node, from ``way`` on, that may be the key's; 0 for none."""
    cdef uint64_t held, at
    while way[0] < WAYS:
        held = (<const volatile uint64_t*>bucket)[way[0]]
        way[0] += 1
        if held and held >> TAG_AT == (hash & 0xFFF):
            at = (held & ((<uint64_t>1 << STAMP_AT) - 1)) << 1
            if (held >> STAMP_AT & 0xFFF) == (<const volatile uint16_t*>x.stamps)[at >> x.shift] + x.salt:
                return at
    return 0


cdef inline uint64_t index_guess(const uint64_t* bucket, uint64_t hash) noexcept nogil:
    """Where the node of the key may begin, be the way good or not: to be asked for ahead; 0 if nowhere."""
    cdef uint64_t held
    cdef int way
    for way in range(WAYS):
        held = (<const volatile uint64_t*>bucket)[way]
        if held >> TAG_AT == (hash & 0xFFF):
            return (held & ((<uint64_t>1 << STAMP_AT) - 1)) << 1
    return 0


cdef inline uint64_t* index_set(const KeyTable* t, uint64_t hash) noexcept nogil:
    return t.near + NEAR_WAYS * (hash >> 12 & (NEAR_SETS - 1))


cdef inline uint64_t index_near(const KeyIndex* x, const KeyTable* t, uint64_t hash) noexcept nogil:
    """The place of the key's node if the near table has it. REQUIRES: the table has a near one."""
    cdef const uint64_t* ways = index_set(t, hash)
    cdef uint64_t held, at = 0, found = 0
    cdef int way
    for way in range(NEAR_WAYS):        # without a jump: which way it is cannot be foretold
        held = (<const volatile uint64_t*>ways)[way]
        found = held if held >> TAG_AT == (hash & 0xFFF) else found
    at = (found & ((<uint64_t>1 << STAMP_AT) - 1)) << 1
    if found and (found >> STAMP_AT & 0xFFF) == (<const volatile uint16_t*>x.stamps)[at >> x.shift] + x.salt:
        return at
    return 0


cdef inline uint64_t* index_gap(const GapTable* g, uint64_t low) noexcept nogil:
    return <uint64_t*>g + WAYS + WAYS * ((low >> 32) * g.buckets >> 32)


cdef inline uint64_t gap_beside(uint64_t half) noexcept nogil:
    """Of the hash under which a key's second gap stands."""
    return half ^ <uint64_t>0x9E3779B97F4A7C15


cdef inline uint64_t gap_held(const KeyIndex* x, const GapTable* g, uint64_t low, uint64_t high) noexcept nogil:
    """The gap with this hash if its leaf lives, else 0."""
    cdef uint64_t* bucket = index_gap(g, low)
    cdef uint64_t held
    cdef int way
    for way in range(GAP_WAYS):
        held = d43_load(&bucket[way])
        # Whoever changes a gap empties its first half before and fills it after, so both halves are of one key.
        if held and (held ^ low) & 0xFFFE == 0 and d43_load(&bucket[GAP_WAYS + way]) == high and \
                d43_load(&bucket[way]) == held and (held >> GAP_STAMP_AT & 0xFFF) == \
                (<const volatile uint16_t*>x.stamps)[held >> GAP_PAGE_AT] + x.salt:
            return held
    return 0


cdef inline bint index_gone(const KeyIndex* x, uint64_t low, uint64_t high) noexcept nogil:
    """Whether it is known that no key with this hash is there."""
    cdef const GapTable* g = index_gaps(x)
    cdef uint64_t held
    if g == NULL:
        return False
    held = gap_held(x, g, low, high)
    return held and (held & 1 == 0 or gap_held(x, g, gap_beside(low), gap_beside(high)))


cdef inline bint index_still(KeyIndex* x, uint64_t txn) noexcept nogil:
    """Whether all that was read from the index since it was ready for ``txn`` was good."""
    d43_fence_reads()
    return d43_load(&x.txn) == txn


cdef inline bint index_ready(KeyIndex* x, MDB_txn* txn, uint64_t id, MDB_dbi data, uint64_t reads) noexcept nogil:
    """Whether the index may be asked for the snapshot of ``txn``, a live reader with this ``id``."""
    if x.limit == 0:
        return False
    x.reads += reads        # lost updates do no harm
    if d43_load(&x.txn) == id:
        return True
    if x.paused and id - x.seen < WINDOW and x.reads < WINDOW * WORTH:
        return False
    return (x.table != NULL or x.reads >= LEAST_READS) and index_renew(x, txn, id, data, False)


# Bring the index to the snapshot of ``txn``. ``kept``: a reader at the index's own snapshot is open still.
cdef bint index_renew(KeyIndex* x, MDB_txn* txn, uint64_t id, MDB_dbi data, bint kept) noexcept nogil
# Note where the nodes of ``n`` keys begin in the snapshot ``id``; a place of 0 is passed over.
cdef void index_fill(KeyIndex* x, uint64_t id, const uint64_t* hashes, const uint64_t* places, int n) noexcept nogil

# Note in the near table where the node of a key begins that was found at ``at`` in the snapshot ``id``.
cdef void index_bring(KeyIndex* x, uint64_t id, uint64_t hash, uint64_t at) noexcept nogil
# Note that keys with these hashes are not there in the snapshot ``id``: the leaf in which each would stand, 0 to pass
# it over, and the leaf on the left of that, if it would stand first and there is one, else 0.
cdef void index_miss(KeyIndex* x, uint64_t id, const uint64_t* lows, const uint64_t* highs, const uint64_t* leaves,
                     const uint64_t* lefts, int n) noexcept nogil

cdef void index_open(KeyIndex* x, uint64_t limit, size_t map_bytes, size_t page_size) noexcept nogil
# Give all memory back. REQUIRES: nobody else uses the index.
cdef void index_close(KeyIndex* x) noexcept nogil
# Free tables that were replaced. REQUIRES: the caller is the only one who is inside the gate, and holds the GIL.
cdef void index_tidy(KeyIndex* x) noexcept nogil
