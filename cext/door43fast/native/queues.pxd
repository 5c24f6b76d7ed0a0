"""Queues of entries for the eviction policies: up to three rings through the slab, with marks beside the links.

The head of queue q is the slab's entry q, which never holds a key. An entry says in the four high bits of its
``prev`` which queue it stands in (0: none, for pinned entries) and how often it was hit, up to three times, so that a
hit writes to the line of memory that the comparison of keys has just read, and often need not write at all.
"""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.slab cimport WEIGHTS, Entry, Slab, slab_entry, slab_weight

cdef enum:
    QUEUES = 4              # with the place of those that stand in none
    LINK = 0x0FFFFFFF
    ONE_HIT = 0x10000000
    HITS = 0x30000000
    QUEUE_BITS = 30

cdef extern from *:
    """
    #define D43_MARKS 0xF0000000u
    """
    const uint32_t MARKS "D43_MARKS"

cdef struct Queues:
    uint64_t size[QUEUES]       # entries
    uint64_t held[QUEUES]       # bytes, where there is a budget of bytes

cdef inline uint32_t queue_of(Slab* s, uint32_t ref) noexcept nogil:
    return slab_entry(s, ref).prev >> QUEUE_BITS

cdef inline uint32_t queue_hits(Slab* s, uint32_t ref) noexcept nogil:
    return (slab_entry(s, ref).prev & HITS) >> 28

cdef inline void queue_set_hits(Slab* s, uint32_t ref, uint32_t hits) noexcept nogil:
    cdef Entry* e = slab_entry(s, ref)
    e.prev = (e.prev & ~<uint32_t>HITS) | hits << 28

cdef inline void queue_count_hit(Slab* s, uint32_t ref) noexcept nogil:
    cdef Entry* e = slab_entry(s, ref)
    if (e.prev & HITS) != HITS:
        e.prev += ONE_HIT

cdef inline uint32_t queue_newer(Slab* s, uint32_t ref) noexcept nogil:
    return slab_entry(s, ref).prev & LINK

cdef inline uint32_t queue_oldest(Slab* s, uint32_t queue) noexcept nogil:
    """The entry that has stood longest; the head itself where the queue is empty."""
    return slab_entry(s, queue).prev & LINK

cdef inline uint64_t queue_weight(Slab* s, uint32_t ref) noexcept nogil:
    return slab_weight(s, ref)[0] if s.on[WEIGHTS] else 0

cdef inline void queue_link(Slab* s, uint32_t newer, uint32_t older) noexcept nogil:
    cdef Entry* e = slab_entry(s, older)
    slab_entry(s, newer).next = older
    e.prev = (e.prev & MARKS) | newer

cdef inline void queue_add(Queues* q, Slab* s, uint32_t ref, uint32_t queue) noexcept nogil:
    """Put an entry that stands in no queue at the new end of one, with no hits."""
    cdef uint32_t newest = slab_entry(s, queue).next
    slab_entry(s, ref).prev = queue << QUEUE_BITS
    queue_link(s, ref, newest)
    queue_link(s, queue, ref)
    q.size[queue] += 1
    q.held[queue] += queue_weight(s, ref)

cdef inline void queue_take(Queues* q, Slab* s, uint32_t ref) noexcept nogil:
    """Take an entry out of its queue. REQUIRES: its weight is that with which it was added."""
    cdef Entry* e = slab_entry(s, ref)
    cdef uint32_t queue = e.prev >> QUEUE_BITS
    queue_link(s, e.prev & LINK, e.next)
    e.prev = 0
    e.next = 0
    q.size[queue] -= 1
    q.held[queue] -= queue_weight(s, ref)

cdef inline void queue_move(Queues* q, Slab* s, uint32_t ref, uint32_t queue, uint32_t hits) noexcept nogil:
    queue_take(q, s, ref)
    queue_add(q, s, ref, queue)
    queue_set_hits(s, ref, hits)

cdef inline void queue_touch(Slab* s, uint32_t ref, uint32_t queue) noexcept nogil:
    """Make ``ref``, which stands in ``queue``, the newest there."""
    cdef Entry* head = slab_entry(s, queue)
    cdef Entry* e
    if head.next == ref:
        return
    e = slab_entry(s, ref)
    queue_link(s, e.prev & LINK, e.next)
    queue_link(s, ref, head.next)
    e.prev = (e.prev & MARKS) | queue
    head.next = ref

cdef inline void queue_heads(Slab* s) noexcept nogil:
    """Make the heads in a slab that was just opened."""
    cdef uint32_t queue
    for queue in range(1, QUEUES):
        slab_entry(s, queue).next = queue
        slab_entry(s, queue).prev = queue
    s.used = QUEUES
    s.limit = LINK - 0xFFFF
