"""Batches over pages that are not in memory: these are asked for ahead and in order of place.

A batch is watched by the clock, which costs nothing. If a few keys take much longer than memory does, the thread's own
count of page faults says whether it waited for the disk. If so, the pages of the keys that follow are asked for,
thousands at once, sorted and where they lie side by side in one piece: first level by level down the tree for keys
that the index does not have, then the leaves of the others, then the pages of large values. That goes on for as long as
the disk is read at all. A batch in memory makes no such call.
"""

from libc.stdint cimport int64_t, uint16_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from clib.xxhash cimport XXH3_64bits
from door43fast.native.clock cimport d43_monotonic_ns
from door43fast.native.descent cimport DOWN, HERE, LOST, Step, descend, descent_root
from door43fast.native.keyindex cimport KeyIndex, KeyTable, d43_prefetch, index_bucket, index_next
from door43fast.native.mapped cimport BIG_NODE, NODE_HEAD, PAGE_HEAD, View

cdef extern from "d43_cold.h" nogil:
    void d43_cold_counts(int64_t*, int64_t*)
    void d43_cold_ask(const void*, size_t)

cdef enum:
    FEW = 2                 # keys of a batch before the first look at the clock
    WATCHED = 64            # keys from which on a batch is watched
    AHEAD = 32768           # keys whose pages are asked for together
    BEHIND = 512            # more than a disk has in hand at once
    APART = 3               # pages that are rather read along than make two requests
    SLOW = 20000            # ns, and so many more a key, in which no page was waited for
    SLOW_KEY = 2000


# A key and where its search stands: in a page of the tree, or at its node.
cdef struct Track:
    uint64_t page
    uint64_t pages          # of a large value, from ``page`` on
    uint64_t node           # 0 until it is found
    const Place* place
    Step step


cdef int _by_page(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<const Track*>a).page, y = (<const Track*>b).page
    return (x > y) - (x < y)


cdef void _down(const View* v, Track* t) noexcept nogil:
    """One level down the tree."""
    cdef uint64_t next = 0
    if t.step == DOWN:
        t.step = descend(v, t.page, t.place.key, &next)
        if t.step == DOWN:
            t.page = next
        elif t.step == HERE:
            t.node = next


cdef void _ask(const View* v, Track* tracks, Py_ssize_t n, bint down) noexcept nogil:
    """Sort the tracks by their pages, ask for these, and if ``down`` go on to the next level.

    What was asked for ``BEHIND`` tracks ago has come by now: to search it while the disk reads costs no time.
    """
    cdef uint64_t start = 0, stop = 0, end = v.end >> v.shift
    cdef Py_ssize_t i, gone = 0
    qsort(tracks, n, sizeof(Track), &_by_page)
    for i in range(n):
        if tracks[i].pages == 0 or tracks[i].page >= end:
            continue
        if tracks[i].page > stop + APART or stop == 0:
            if stop:
                d43_cold_ask(v.base + (start << v.shift), (stop - start) << v.shift)
            while down and gone + BEHIND < i:
                _down(v, &tracks[gone])
                gone += 1
            start = tracks[i].page
        stop = max(stop, min(tracks[i].page + tracks[i].pages, end))
    if stop:
        d43_cold_ask(v.base + (start << v.shift), (stop - start) << v.shift)
    while down and gone < n:
        _down(v, &tracks[gone])
        gone += 1


cdef void _values(const View* v, Track* tracks, Py_ssize_t n) noexcept nogil:
    """From each node to the pages of its value, where that is large."""
    cdef uint16_t head[4]
    cdef uint64_t size, at
    cdef Py_ssize_t i
    for i in range(n):
        at = tracks[i].node
        tracks[i].pages = 0
        if at == 0 or at + NODE_HEAD > v.end:
            continue
        memcpy(head, v.base + at, NODE_HEAD)
        size = head[0] | <uint64_t>head[1] << 16
        at += NODE_HEAD + head[3]
        if head[2] == BIG_NODE and at + 8 <= v.end:
            memcpy(&tracks[i].page, v.base + at, 8)
            tracks[i].pages = (PAGE_HEAD + size + v.page_size - 1) >> v.shift


cdef void _ask_ahead(Handle home, MDB_txn* txn, const Place* places, Py_ssize_t n, bint indexed) noexcept nogil:
    cdef const View* v = &home.view
    cdef KeyIndex* x = &home.index
    cdef const KeyTable* t = x.table
    cdef Track* tracks = <Track*>malloc(n * sizeof(Track))
    cdef uint64_t root = 0, hash
    cdef Py_ssize_t i
    cdef int depth, way
    if tracks == NULL or v.reach == 0:
        free(tracks)
        return
    home.widen()
    depth = descent_root(txn, &root)
    for i in range(n):
        tracks[i].place = &places[i]
        tracks[i].pages = 1
        tracks[i].node = 0
        way = 0
        if indexed and t != NULL:
            hash = XXH3_64bits(places[i].key.data, places[i].key.size)
            tracks[i].node = index_next(x, index_bucket(t, hash), hash, &way)
        tracks[i].step = HERE if tracks[i].node else (DOWN if depth else LOST)
        tracks[i].page = tracks[i].node >> v.shift if tracks[i].node else root
    for i in range(depth):
        _ask(v, tracks, n, True)
    if depth == 0:
        _ask(v, tracks, n, False)
    _values(v, tracks, n)
    _ask(v, tracks, n, False)
    free(tracks)


cdef void course_begin(Course* c, const Place* places, const Place* stop) noexcept nogil:
    c.stop = stop
    c.asked = NULL
    c.since = 0
    c.cold = False
    c.watched = stop - places >= WATCHED
    if c.watched:
        d43_cold_counts(&c.faults, &c.blocks)


cdef int course_step(Course* c, Handle home, MDB_txn* txn, const Place* places, int n, bint indexed) noexcept nogil:
    cdef int64_t now, faults, blocks
    cdef Py_ssize_t ahead
    if not c.watched:
        return n
    if c.cold and places < c.asked:         # not one key further: that would be waited for by itself
        return <int>min(<Py_ssize_t>n, c.asked - places)
    if not c.cold:
        now = d43_monotonic_ns()
        if c.since == 0:
            c.since = now
            c.last = places
            return min(n, FEW)
        if now - c.since < SLOW + SLOW_KEY * (places - c.last):
            c.since = now
            c.last = places
            return n
    d43_cold_counts(&faults, &blocks)
    c.cold = blocks > c.blocks or (faults > c.faults and not c.cold)
    c.faults, c.blocks = faults, blocks
    if c.cold:
        ahead = min(<Py_ssize_t>AHEAD, c.stop - places)
        _ask_ahead(home, txn, places, ahead, indexed)
        c.asked = places + ahead
    c.since = d43_monotonic_ns()
    c.last = places
    return n
