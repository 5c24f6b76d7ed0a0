"""The key index: where in the map the record of a key lies, found by the key's hash. See keyindex.pxd."""

from libc.string cimport memcpy, memset

from clib.lmdb cimport *

cdef extern from "d43_atomic.h" nogil:
    bint d43_try_lock(uint64_t*)
    void d43_fence()

cdef extern from "d43_pages.h" nogil:
    void* d43_pages_alloc(size_t)
    void d43_pages_free(void*, size_t)

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE

cdef extern from "<sys/random.h>" nogil:
    int getentropy(void*, size_t)

cdef enum:
    FREE_LIST = 0           # LMDB's own table of free pages: transaction, then the number of pages and the pages
    SAFE_STEP = 2           # transactions whose free pages are surely all listed still
    LONGEST_STEP = 100000


cdef void index_open(KeyIndex* x, uint64_t limit, size_t map_bytes, size_t page_size) noexcept nogil:
    """An empty index over a map of this size. Without memory for the stamps there is none."""
    memset(x, 0, sizeof(KeyIndex))
    while <size_t>1 << x.shift < page_size:
        x.shift += 1
    x.pages = map_bytes >> x.shift
    if limit:
        # Address space only: the system hands out memory for those pages that the file has.
        x.stamps = <uint16_t*>mmap(NULL, x.pages * sizeof(uint16_t), PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if <void*>x.stamps == MAP_FAILED:
            x.stamps = NULL
        elif getentropy(&x.secret, sizeof(x.secret)) == 0:
            x.limit = limit


cdef void index_close(KeyIndex* x) noexcept nogil:
    _retire_gaps(x)
    index_tidy(x)
    if x.table != NULL:
        d43_pages_free(x.table, x.table.bytes)
    if x.stamps != NULL:
        munmap(x.stamps, x.pages * sizeof(uint16_t))
    memset(x, 0, sizeof(KeyIndex))


cdef void index_tidy(KeyIndex* x) noexcept nogil:
    cdef KeyTable* t
    cdef GapTable* g
    while x.retired != NULL:
        g = x.retired
        x.retired = g.older
        d43_pages_free(g, g.bytes)
    while x.table != NULL and x.table.older != NULL:
        t = x.table.older
        x.table.older = t.older
        d43_pages_free(t, t.bytes)


cdef void _retire_gaps(KeyIndex* x) noexcept nogil:
    cdef GapTable* g = x.gaps
    if g != NULL:
        x.gaps = NULL
        g.older = x.retired
        x.retired = g


cdef inline uint64_t* _ways(KeyTable* t) noexcept nogil:
    return <uint64_t*>t + WAYS


cdef void _clear_stamps(KeyIndex* x) noexcept nogil:
    """All stamps to 0, and the memory back to the system."""
    mmap_again(x.stamps, x.pages * sizeof(uint16_t))
    x.salt = 0


cdef extern from *:
    """
    #include <sys/mman.h>
    static inline void mmap_again(void *at, size_t size) {
        mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
    """
    void mmap_again(void*, size_t) noexcept nogil


cdef void _forget(KeyIndex* x) noexcept nogil:
    """Every way is void. REQUIRES: busy, txn is 0."""
    x.salt += 1
    if x.salt >= STAMPS:
        memset(_ways(x.table), 0, x.table.slots * 8)
        if x.gaps != NULL:
            memset(<char*>x.gaps + LINE, 0, x.gaps.buckets * LINE)
        _clear_stamps(x)


cdef void _sweep(KeyIndex* x) noexcept nogil:
    """Begin to count stamps from 0 again; the ways that hold are kept. REQUIRES: busy, txn is 0."""
    cdef uint64_t* way = _ways(x.table)
    cdef uint64_t i, at
    for i in range(x.table.slots):
        if way[i]:
            at = (way[i] & ((<uint64_t>1 << STAMP_AT) - 1)) << 1
            if (way[i] >> STAMP_AT & 0xFFF) == x.stamps[at >> x.shift] + x.salt:
                way[i] &= ~(<uint64_t>0xFFF << STAMP_AT)
            else:
                way[i] = 0
    if x.gaps != NULL:
        way = <uint64_t*>x.gaps + WAYS
        for i in range(x.gaps.buckets * WAYS):
            if i & GAP_WAYS or way[i] == 0:
                continue
            if (way[i] >> GAP_STAMP_AT & 0xFFF) == x.stamps[way[i] >> GAP_PAGE_AT] + x.salt:
                way[i] &= ~(<uint64_t>0xFFF << GAP_STAMP_AT)
            else:
                way[i] = 0
    _clear_stamps(x)


cdef bint _follow(KeyIndex* x, MDB_txn* txn, uint64_t since, uint64_t id) noexcept nogil:
    """Raise the stamps of the pages that died after the snapshot ``since`` up to ``id``; False if not all are told."""
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef uint64_t wanted = since + 1, found, count, page, i
    cdef const char* pages
    cdef bint full = False
    cdef int rc = mdb_cursor_open(txn, FREE_LIST, &cursor)
    if rc:
        return False
    key.mv_data = &wanted
    key.mv_size = 8
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
    while rc == 0:
        memcpy(&found, key.mv_data, 8)
        if found != wanted or key.mv_size != 8 or value.mv_size < 8:
            break
        memcpy(&count, value.mv_data, 8)
        if count >= value.mv_size // 8:
            break
        pages = <const char*>value.mv_data + 8
        for i in range(count):
            memcpy(&page, pages + 8 * i, 8)
            if page < x.pages:
                x.stamps[page] += 1
                full |= x.stamps[page] + x.salt >= STAMPS
        wanted += 1
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
    mdb_cursor_close(cursor)
    if rc != MDB_NOTFOUND or wanted != id + 1:
        return False
    if full:
        _sweep(x)
    return True


cdef bint _make_table(KeyIndex* x, MDB_txn* txn, MDB_dbi data) noexcept nogil:
    """A table for the records that there are, if there is none or it has become too small. REQUIRES: busy."""
    cdef MDB_stat stat
    cdef KeyTable* t
    cdef uint64_t buckets, size
    cdef bint near
    if mdb_stat(txn, data, &stat):
        return x.table != NULL
    if x.table != NULL and (stat.ms_entries <= x.entries + x.entries // 2 or x.table.bytes + LINE >= x.limit):
        return True
    buckets = stat.ms_entries * 2 // 9 + 64         # four and a half to a bucket, so that few find theirs full
    if x.limit < 2 * LINE:
        return False
    buckets = min(buckets, x.limit // LINE - 1, <uint64_t>0xFFFFFFFF)
    size = (buckets + 1) * LINE
    near = size >= NEAR_FROM and size + NEAR_SETS * NEAR_WAYS * 8 <= x.limit
    t = <KeyTable*>d43_pages_alloc(size + near * NEAR_SETS * NEAR_WAYS * 8)
    if t == NULL:
        return x.table != NULL
    t.buckets = buckets
    t.slots = buckets * WAYS + near * NEAR_SETS * NEAR_WAYS
    t.bytes = LINE + t.slots * 8
    if near:
        t.near = _ways(t) + buckets * WAYS
    t.older = x.table
    x.entries = stat.ms_entries
    _retire_gaps(x)         # they are made anew, for as many keys as there are
    d43_fence()
    x.table = t
    return True


cdef bint index_renew(KeyIndex* x, MDB_txn* txn, uint64_t id, MDB_dbi data, bint kept) noexcept nogil:
    cdef uint64_t since
    cdef KeyTable* table
    if not d43_try_lock(&x.busy):
        return False
    since = x.txn
    if since == id or id < x.seen:
        d43_store(&x.busy, 0)
        return since == id
    if x.seen:
        x.commits += id - x.seen
    x.seen = id
    if x.commits >= WINDOW or (x.paused and x.reads >= WINDOW * WORTH):
        x.paused = x.reads < x.commits * WORTH
        x.reads = x.commits = 0
    d43_store(&x.txn, 0)
    d43_fence()
    table = x.table
    if x.paused or not _make_table(x, txn, data):
        id = 0
    elif x.table == table and (since == 0 or id - since > (LONGEST_STEP if kept else SAFE_STEP)
                               or not _follow(x, txn, since, id)):
        _forget(x)
    elif x.table != table:
        _clear_stamps(x)
    if id:
        d43_store(&x.txn, id)
    d43_store(&x.busy, 0)
    return id != 0


cdef inline uint64_t _way(const KeyIndex* x, uint64_t hash, uint64_t place) noexcept nogil:
    """The way that says that a node is at ``place``; 0 if none can say so."""
    cdef uint64_t stamp
    if place == 0 or place >> (STAMP_AT + 1) or place >> x.shift >= x.pages:
        return 0
    stamp = x.stamps[place >> x.shift] + x.salt
    return 0 if stamp > STAMPS else place >> 1 | stamp << STAMP_AT | (hash & 0xFFF) << TAG_AT


cdef void _set_way(const KeyIndex* x, uint64_t* ways, int count, int free, uint64_t way) noexcept nogil:
    """Put ``way`` where it is already, where nothing is that counts, or else to ``free``."""
    cdef uint64_t held, at
    cdef int w
    for w in range(count):
        held = ways[w]
        if held == way:
            return
        at = (held & ((<uint64_t>1 << STAMP_AT) - 1)) << 1
        if held == 0 or (held >> STAMP_AT & 0xFFF) != x.stamps[at >> x.shift] + x.salt:
            free = w
    (<volatile uint64_t*>ways)[free] = way


cdef void index_fill(KeyIndex* x, uint64_t id, const uint64_t* hashes, const uint64_t* places, int n) noexcept nogil:
    cdef uint64_t way
    cdef int i
    if not d43_try_lock(&x.busy):
        return
    if x.txn == id:
        for i in range(n):
            way = _way(x, hashes[i], places[i])
            if way:
                _set_way(x, <uint64_t*>index_bucket(x.table, hashes[i]), WAYS, <int>(hashes[i] >> 12 & (WAYS - 1)),
                         way)
    d43_store(&x.busy, 0)


cdef void index_bring(KeyIndex* x, uint64_t id, uint64_t hash, uint64_t at) noexcept nogil:
    cdef uint64_t way
    if not d43_try_lock(&x.busy):
        return
    if x.txn == id and x.table.near != NULL:
        way = _way(x, hash, at)
        if way:
            _set_way(x, index_set(x.table, hash), NEAR_WAYS, <int>(hash >> 25 & (NEAR_WAYS - 1)), way)
    d43_store(&x.busy, 0)


cdef void _make_gaps(KeyIndex* x) noexcept nogil:
    """Room for as many gaps as there are records, and for half as many beside. REQUIRES: busy."""
    cdef uint64_t buckets = min(x.entries * 3 // 8 + 64, (x.limit - x.table.bytes) // LINE)
    cdef GapTable* g
    if buckets < 2:
        return
    g = <GapTable*>d43_pages_alloc(buckets * LINE)
    if g == NULL:
        return
    g.bytes = buckets * LINE
    g.buckets = min(buckets - 1, <uint64_t>0xFFFFFFFF)
    d43_fence()
    x.gaps = g


cdef void _set_gap(const KeyIndex* x, uint64_t low, uint64_t high, uint64_t leaf, uint64_t edge) noexcept nogil:
    cdef uint64_t* bucket = index_gap(x.gaps, low)
    cdef uint64_t held, stamp = x.stamps[leaf] + x.salt
    cdef int w, free = <int>(high & (GAP_WAYS - 1))
    if stamp > STAMPS:
        return
    for w in range(GAP_WAYS):
        held = bucket[w]
        if held and (held ^ low) & 0xFFFE == 0 and bucket[GAP_WAYS + w] == high:
            free = w
            break
        if held == 0 or (held >> GAP_STAMP_AT & 0xFFF) != x.stamps[held >> GAP_PAGE_AT] + x.salt:
            free = w
    d43_store(&bucket[free], 0)
    d43_store(&bucket[GAP_WAYS + free], high)
    d43_store(&bucket[free], (low & 0xFFFE) | edge | stamp << GAP_STAMP_AT | leaf << GAP_PAGE_AT)


cdef void index_miss(KeyIndex* x, uint64_t id, const uint64_t* lows, const uint64_t* highs, const uint64_t* leaves,
                     const uint64_t* lefts, int n) noexcept nogil:
    cdef int i
    if not d43_try_lock(&x.busy):
        return
    x.absences += n
    if x.txn == id:
        if x.gaps == NULL and x.absences >= LEAST_GAPS:
            _make_gaps(x)
        if x.gaps != NULL:
            for i in range(n):
                if leaves[i] == 0 or leaves[i] >= x.pages or leaves[i] >> 36 or lefts[i] >= x.pages or lefts[i] >> 36:
                    continue
                if lefts[i]:
                    _set_gap(x, gap_beside(lows[i]), gap_beside(highs[i]), lefts[i], 0)
                _set_gap(x, lows[i], highs[i], leaves[i], lefts[i] != 0)
    d43_store(&x.busy, 0)
