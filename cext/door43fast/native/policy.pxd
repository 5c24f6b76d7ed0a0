"""Eviction: who makes room. One interface over the policies, switched by a number, so that a hit makes no call.

What a policy is told: ``policy_add`` (an entry is new), ``policy_hit`` (it was read or rewritten), ``policy_remove``
(it goes, for whatever reason), ``policy_reweigh``; what it is asked: ``policy_victim``, an entry to be removed now.
Pinned entries are never added. None of these runs Python code, and none fails: where there is no memory for a
history, the policy does without it.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from door43fast.native.ghost cimport Ghost, ghost_add, ghost_bytes, ghost_close, ghost_remove
from door43fast.native.queues cimport (
    LINK, QUEUES, Queues, queue_add, queue_count_hit, queue_heads, queue_hits, queue_move, queue_newer, queue_of,
    queue_oldest, queue_set_hits, queue_take, queue_touch, queue_weight)
from door43fast.native.recency cimport recency_add, recency_oldest, recency_remove, recency_touch
from door43fast.native.shadow cimport (
    MARGIN, MOST, Shadows, shadow_share, shadows_bytes, shadows_close, shadows_sample, shadows_see)
from door43fast.native.sketch cimport Sketch, sketch_bytes, sketch_close, sketch_count, sketch_estimate
from door43fast.native.slab cimport Slab, slab_entry

cdef enum Kind:
    NONE
    LRU
    SIEVE
    S3FIFO
    WTINYLFU
    ADAPTIVE

cdef enum:              # the queues, by their numbers in the marks of an entry
    SMALL = 1           # s3fifo: new entries. wtinylfu, adaptive: the window. sieve: all
    MAIN = 2            # s3fifo: entries that proved themselves. wtinylfu, adaptive: those on probation
    PROTECTED = 3       # wtinylfu, adaptive: hit while on probation
    CREDIT = 1024       # adaptive: most hits that are counted between two new entries
    STEPS = 8           # adaptive: most entries that one call moves to where they belong by a new window

cdef struct Policy:
    Queues queues
    Ghost ghost
    Sketch sketch
    Shadows shadows
    Kind kind
    bint evicted            # anything ever was
    bint awake              # adaptive: it counts what is used
    uint32_t credit         # adaptive: hits that are still counted before the next entry comes
    uint32_t hand           # sieve: the entry that is looked at next, 0 for the oldest
    uint64_t expected       # adaptive: entries that the store will hold when it is full, before it is
    uint64_t max_entries    # of the store, 0 for any number
    uint64_t max_bytes
    uint64_t entries[4]     # most entries of each queue
    uint64_t bytes[4]       # most bytes of each queue

cdef inline uint64_t share(uint64_t whole, uint64_t parts, uint64_t of) noexcept nogil:
    """``parts / of`` of a budget, at least 1; no bound where there is no budget."""
    if whole == 0:
        return <uint64_t>1 << 62
    return max(whole // of * parts + whole % of * parts // of, 1)

cdef inline void window_set(Policy* p, uint64_t parts) noexcept nogil:
    """Give the window so many hundredths of the budget, and the protected four fifths of the rest."""
    p.entries[SMALL] = share(p.max_entries, parts, 100)
    p.bytes[SMALL] = share(p.max_bytes, parts, 100)
    p.entries[PROTECTED] = share(max(p.max_entries - p.entries[SMALL], 1) if p.max_entries else 0, 4, 5)
    p.bytes[PROTECTED] = share(max(p.max_bytes - p.bytes[SMALL], 1) if p.max_bytes else 0, 4, 5)

cdef inline void policy_open(Policy* p, Kind kind, uint64_t max_entries, uint64_t max_bytes) noexcept nogil:
    p.kind = kind
    p.max_entries = max_entries
    p.max_bytes = max_bytes
    p.sketch.careful = kind == ADAPTIVE
    if kind == S3FIFO:
        p.entries[SMALL] = share(max_entries, 1, 10)
        p.bytes[SMALL] = share(max_bytes, 1, 10)
    elif kind >= WTINYLFU:
        window_set(p, 1)

cdef inline void policy_begin(Policy* p, Slab* s) noexcept nogil:
    """The slab is new and empty: forget everything."""
    memset(&p.queues, 0, sizeof(Queues))
    ghost_close(&p.ghost)
    sketch_close(&p.sketch)
    shadows_close(&p.shadows)
    if p.kind == ADAPTIVE:
        window_set(p, shadow_share(0))
    p.awake = False
    p.credit = 0
    p.evicted = False
    p.hand = 0
    if p.kind > LRU:
        queue_heads(s)

cdef inline void policy_close(Policy* p) noexcept nogil:
    ghost_close(&p.ghost)
    sketch_close(&p.sketch)
    shadows_close(&p.shadows)

cdef inline size_t policy_bytes(Policy* p) noexcept nogil:
    return ghost_bytes(&p.ghost) + sketch_bytes(&p.sketch) + shadows_bytes(&p.shadows)

cdef inline bint full(Policy* p, uint32_t queue) noexcept nogil:
    return p.queues.size[queue] >= p.entries[queue] or p.queues.held[queue] >= p.bytes[queue]

cdef inline bint over(Policy* p, uint32_t queue) noexcept nogil:
    return p.queues.size[queue] > p.entries[queue] or p.queues.held[queue] > p.bytes[queue]

cdef inline uint64_t queued(Policy* p) noexcept nogil:
    return p.queues.size[SMALL] + p.queues.size[MAIN] + p.queues.size[PROTECTED]

# -- sieve (Zhang and others, NSDI 2024) -------------------------------------------------------------------------

cdef inline uint32_t sieve_victim(Policy* p, Slab* s) noexcept nogil:
    cdef uint32_t ref = p.hand if p.hand else queue_oldest(s, SMALL)
    while queue_hits(s, ref):
        queue_set_hits(s, ref, 0)
        ref = queue_newer(s, ref)
        if ref == SMALL:
            ref = queue_oldest(s, SMALL)
    p.hand = ref
    return ref

cdef inline void sieve_pass(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    """``ref`` goes: the hand moves on to the next newer one."""
    if p.hand == ref:
        p.hand = queue_newer(s, ref)
        if p.hand == SMALL:
            p.hand = 0

# -- s3fifo (Yang and others, SOSP 2023), with a small queue of a tenth and two hits to leave it for the main one --

cdef inline uint32_t s3fifo_victim(Policy* p, Slab* s) noexcept nogil:
    cdef uint32_t ref, hits
    p.evicted = True
    while True:
        if p.queues.size[MAIN] and (not full(p, SMALL) or not p.queues.size[SMALL]):
            ref = queue_oldest(s, MAIN)
            hits = queue_hits(s, ref)
            if hits == 0:
                return ref
            queue_move(&p.queues, s, ref, MAIN, hits - 1)
        else:
            ref = queue_oldest(s, SMALL)
            if queue_hits(s, ref) < 2:
                ghost_add(&p.ghost, slab_entry(s, ref).hash, (queued(p) * 9) // 10)
                return ref
            queue_move(&p.queues, s, ref, MAIN, 0)

cdef inline void s3fifo_add(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    if ghost_remove(&p.ghost, slab_entry(s, ref).hash) or (not p.evicted and full(p, SMALL)):
        queue_add(&p.queues, s, ref, MAIN)
    else:
        queue_add(&p.queues, s, ref, SMALL)

# -- wtinylfu (Einziger, Friedman and Manes, 2017): a window of a hundredth, then a segmented LRU behind a filter ---

cdef inline uint32_t wtinylfu_victim(Policy* p, Slab* s) noexcept nogil:
    cdef uint32_t candidate
    cdef uint32_t victim = 0
    if p.queues.size[MAIN]:
        victim = queue_oldest(s, MAIN)
    elif p.queues.size[PROTECTED]:
        victim = queue_oldest(s, PROTECTED)
    if victim and not full(p, SMALL):
        return victim
    candidate = queue_oldest(s, SMALL)
    if victim and sketch_estimate(&p.sketch, slab_entry(s, candidate).hash) > sketch_estimate(
            &p.sketch, slab_entry(s, victim).hash):
        queue_move(&p.queues, s, candidate, MAIN, 0)
        return victim
    return candidate

cdef inline void wtinylfu_add(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    queue_add(&p.queues, s, ref, SMALL)
    sketch_count(&p.sketch, slab_entry(s, ref).hash, queued(p))
    while over(p, SMALL) and p.queues.size[SMALL] > 1:
        queue_move(&p.queues, s, queue_oldest(s, SMALL), MAIN, 0)

cdef inline void wtinylfu_hit(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    sketch_count(&p.sketch, slab_entry(s, ref).hash, queued(p))
    if queue_of(s, ref) == SMALL:
        queue_move(&p.queues, s, ref, SMALL, 0)
        return
    queue_move(&p.queues, s, ref, PROTECTED, 0)
    while over(p, PROTECTED) and p.queues.size[PROTECTED] > 1:
        queue_move(&p.queues, s, queue_oldest(s, PROTECTED), MAIN, 0)

# -- adaptive: W-TinyLFU whose window is that of the best of three shadows -----------------------------------------
#
# It differs from wtinylfu in three more ways. A newcomer needs a count of two more than what it would replace, for in
# a loop all counts are as good as equal. What stays against a newcomer goes to the new end, so that no key that is
# counted for more than it was used, since others share its counters, bars the way for long. And when the window
# changes, each later call moves a few entries only. Nothing is counted before the store is a quarter full, nor more
# than 1024 hits between two new entries: where next to everything hits there is little to choose, and a hit costs less.

cdef inline uint32_t adaptive_victim(Policy* p, Slab* s) noexcept nogil:
    cdef uint32_t candidate
    cdef uint32_t victim = 0
    p.evicted = True
    if p.queues.size[MAIN]:
        victim = queue_oldest(s, MAIN)
    elif p.queues.size[PROTECTED]:
        victim = queue_oldest(s, PROTECTED)
    if victim and not full(p, SMALL):
        return victim
    candidate = queue_oldest(s, SMALL)
    if not victim:
        return candidate
    if sketch_estimate(&p.sketch, slab_entry(s, candidate).hash) > sketch_estimate(
            &p.sketch, slab_entry(s, victim).hash) + MARGIN:
        queue_move(&p.queues, s, candidate, MAIN, 0)
        return victim
    queue_move(&p.queues, s, victim, MAIN, 0)
    return candidate

cdef inline void adaptive_learn(Policy* p, uint32_t hash) noexcept nogil:
    """One use of a key."""
    cdef uint64_t entries = queued(p)
    sketch_count(&p.sketch, hash, entries)
    if shadows_sample(&p.shadows, hash) and shadows_see(
            &p.shadows, &p.sketch, hash, entries if p.evicted else max(entries, p.expected)):
        window_set(p, shadow_share(p.shadows.chosen))

cdef inline void adaptive_wake(Policy* p) noexcept nogil:
    """Begin to count where the store is a quarter full by either budget."""
    cdef uint64_t held = p.queues.held[SMALL] + p.queues.held[MAIN] + p.queues.held[PROTECTED]
    if queued(p) * 4 >= p.max_entries > 0 or held * 4 >= p.max_bytes > 0:
        p.awake = True
        p.expected = queued(p) * 4
        while p.expected >> p.shadows.shift > MOST:
            p.shadows.shift += 1

cdef inline void adaptive_add(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    cdef uint32_t step
    queue_add(&p.queues, s, ref, SMALL)
    if not p.awake:
        adaptive_wake(p)
    if p.awake:
        p.credit = CREDIT
        adaptive_learn(p, slab_entry(s, ref).hash)
    for step in range(STEPS):
        if p.queues.size[SMALL] <= 1 or not over(p, SMALL):
            break
        queue_move(&p.queues, s, queue_oldest(s, SMALL), MAIN, 0)

cdef inline void adaptive_hit(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    cdef uint32_t queue = queue_of(s, ref)
    cdef uint32_t step
    if p.credit:
        p.credit -= 1
        adaptive_learn(p, slab_entry(s, ref).hash)
    if queue == SMALL:
        queue_touch(s, ref, SMALL)
        return
    if queue == PROTECTED:
        queue_touch(s, ref, PROTECTED)
    else:
        queue_move(&p.queues, s, ref, PROTECTED, 0)
    for step in range(STEPS):
        if p.queues.size[PROTECTED] <= 1 or not over(p, PROTECTED):
            break
        queue_move(&p.queues, s, queue_oldest(s, PROTECTED), MAIN, 0)

# -- the interface -----------------------------------------------------------------------------------------------

cdef inline void policy_hit(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    if p.kind == LRU:
        recency_touch(s, ref)
    elif p.kind == ADAPTIVE:
        adaptive_hit(p, s, ref)
    elif p.kind == WTINYLFU:
        wtinylfu_hit(p, s, ref)
    else:
        queue_count_hit(s, ref)

cdef inline void policy_add(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    """REQUIRES: the entry's hash is set, and its weight where there is a budget of bytes."""
    if p.kind == LRU:
        recency_add(s, ref)
    elif p.kind == S3FIFO:
        s3fifo_add(p, s, ref)
    elif p.kind == WTINYLFU:
        wtinylfu_add(p, s, ref)
    elif p.kind == ADAPTIVE:
        adaptive_add(p, s, ref)
    else:
        queue_add(&p.queues, s, ref, SMALL)

cdef inline void policy_remove(Policy* p, Slab* s, uint32_t ref) noexcept nogil:
    """REQUIRES: the entry's weight is that with which it was added."""
    if p.kind == LRU:
        recency_remove(s, ref)
        return
    if p.kind == SIEVE:
        sieve_pass(p, s, ref)
    queue_take(&p.queues, s, ref)

cdef inline void policy_reweigh(Policy* p, Slab* s, uint32_t ref, uint64_t old) noexcept nogil:
    """The entry's weight has changed from ``old`` to what its column says."""
    if p.kind > LRU:
        p.queues.held[queue_of(s, ref)] += queue_weight(s, ref) - old

cdef inline uint32_t policy_victim(Policy* p, Slab* s) noexcept nogil:
    """The entry that makes room. REQUIRES: there is one that is not pinned; the caller removes it at once."""
    if p.kind == LRU:
        return recency_oldest(s)
    if p.kind == S3FIFO:
        return s3fifo_victim(p, s)
    if p.kind == WTINYLFU:
        return wtinylfu_victim(p, s)
    if p.kind == ADAPTIVE:
        return adaptive_victim(p, s)
    return sieve_victim(p, s)

cdef inline uint32_t policy_next(Policy* p, Slab* s) noexcept nogil:
    """The entry that will probably make room next, for its memory to be asked for in time; 0 if nobody knows."""
    if p.kind == LRU:
        return recency_oldest(s)
    return p.hand if p.kind == SIEVE else queue_oldest(s, SMALL)

cdef inline const char* policy_fault(Policy* p, Slab* s, uint64_t unpinned) noexcept nogil:
    """What is wrong with the queues, which must hold ``unpinned`` entries between them; NULL if nothing is."""
    cdef uint32_t queue, ref, newer
    cdef uint32_t first = 0 if p.kind == LRU else SMALL
    cdef uint64_t n, held, total = 0
    for queue in range(first, first + 1 if p.kind == LRU else QUEUES):
        n = 0
        held = 0
        newer = queue
        ref = slab_entry(s, queue).next
        while ref != queue:
            if slab_entry(s, ref).key == NULL:
                return "a queue holds an entry that is not there"
            if p.kind != LRU and queue_of(s, ref) != queue:
                return "an entry stands in another queue than its marks say"
            if (slab_entry(s, ref).prev & (<uint32_t>0xFFFFFFFF if p.kind == LRU else LINK)) != newer:
                return "a queue does not lead back the way it came"
            n += 1
            if n > unpinned:
                return "a queue holds more entries than there are"
            held += queue_weight(s, ref)
            newer = ref
            ref = slab_entry(s, ref).next
        if p.kind != LRU and (n != p.queues.size[queue] or held != p.queues.held[queue]):
            return "a queue holds more or less than it was counted to hold"
        total += n
    if total != unpinned:
        return "an entry that is not pinned stands in no queue"
    return NULL
