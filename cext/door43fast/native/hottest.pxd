"""Which entries are most worth keeping, as far as the policy knows: those that it would evict last.

By the hits that are counted for an entry, then by its queue, then from the newest to the oldest. A policy that moves
what is hit counts none, so there the queues alone decide. Nothing is known of pinned entries, which stand in no queue.
"""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.policy cimport LRU, NONE, Policy
from door43fast.native.queues cimport QUEUES, queue_hits
from door43fast.native.slab cimport Slab, slab_entry

cdef enum:
    RANKS = 16      # hits from 3 to 0, and of each the queues from the last to the first

cdef inline size_t hottest(Policy* p, Slab* s, uint32_t* refs, size_t most, uint64_t* room,
                          size_t look) noexcept nogil:
    """Put up to ``most`` references into ``refs``, and give how many.

    Of each queue the newest ``look`` are looked at. REQUIRES: ``room`` for so many of each.
    """
    cdef size_t seen = 0, n = 0, i, before
    cdef uint32_t queue, ref
    cdef uint64_t rank
    if p.kind == NONE:
        ref = s.used
        while n < most and ref > 1:
            ref -= 1
            if slab_entry(s, ref).key != NULL:
                refs[n] = ref
                n += 1
        return n
    if p.kind == LRU:
        ref = slab_entry(s, 0).next
        while n < most and ref != 0:
            refs[n] = ref
            n += 1
            ref = slab_entry(s, ref).next
        return n
    for queue in range(1, QUEUES):
        before = seen
        ref = slab_entry(s, queue).next
        while ref != queue and seen - before < look:
            rank = (3 - queue_hits(s, ref)) * QUEUES + QUEUES - 1 - queue
            room[seen] = rank << 32 | ref
            seen += 1
            ref = slab_entry(s, ref).next
    for rank in range(RANKS):
        for i in range(seen):
            if room[i] >> 32 == rank:
                if n == most:
                    return n
                refs[n] = <uint32_t>room[i]
                n += 1
    return n
