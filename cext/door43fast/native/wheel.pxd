"""Expiry by a hierarchical timing wheel (Varghese and Lauck, 1987): four wheels of 256 buckets.

Time is in ticks of 2**23 ns, 8.39 ms, from the store's birth. A bucket is a list through the entries' links. The
wheel may lag behind the clock: reads look at an entry's own deadline, the wheel only finds what to reap. It works
in steps with a budget, so that no operation pays for a crowd that falls due at once.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc

from door43fast.native.slab cimport Link, Slab, slab_link

cdef enum:
    TICK_BITS = 23
    NEVER = 0           # as an entry's deadline
    IN_BUCKET = 0x80000000

cdef extern from *:
    """
    #define D43_LONG 0xFFFFFFFFu
    """
    const uint32_t LONG "D43_LONG"      # as an entry's deadline: look in its Extra

cdef struct Wheel:
    uint32_t bucket[1024]       # wheel << 8 | place
    uint64_t filled[16]         # a bit for each bucket that is not empty
    uint64_t now                # tick whose bucket is being emptied
    uint64_t armed              # entries in all buckets

cdef inline Wheel* wheel_open(uint64_t now) noexcept nogil:
    cdef Wheel* w = <Wheel*>calloc(1, sizeof(Wheel))
    if w != NULL:
        w.now = now
    return w

cdef inline void wheel_arm(Wheel* w, Slab* s, uint32_t ref, uint64_t due) noexcept nogil:
    """Put an entry that is in no bucket into the one where it will be found at tick ``due``."""
    cdef Link* l = slab_link(s, ref)
    cdef uint64_t away
    cdef uint32_t level = 0
    cdef uint32_t place
    if due < w.now:
        due = w.now
    away = due - w.now
    if away >= <uint64_t>1 << 32:
        away = (<uint64_t>1 << 32) - 1      # found before its time, and armed again then
        due = w.now + away
    while away >= 256:
        away >>= 8
        level += 1
    place = level << 8 | <uint32_t>((due >> (8 * level)) & 255)
    l.next = w.bucket[place]
    l.prev = <uint32_t>IN_BUCKET | place
    if l.next:
        slab_link(s, l.next).prev = ref
    w.bucket[place] = ref
    w.filled[place >> 6] |= <uint64_t>1 << (place & 63)
    w.armed += 1

cdef inline bint wheel_holds(Slab* s, uint32_t ref) noexcept nogil:
    return slab_link(s, ref).prev != 0

cdef inline void wheel_disarm(Wheel* w, Slab* s, uint32_t ref) noexcept nogil:
    cdef Link* l = slab_link(s, ref)
    cdef uint32_t place
    if l.prev & <uint32_t>IN_BUCKET:
        place = l.prev & 1023
        w.bucket[place] = l.next
        if not l.next:
            w.filled[place >> 6] &= ~(<uint64_t>1 << (place & 63))
    else:
        slab_link(s, l.prev).next = l.next
    if l.next:
        slab_link(s, l.next).prev = l.prev
    l.next = 0
    l.prev = 0
    w.armed -= 1

cdef inline bint wheel_empty(Wheel* w, uint32_t level) noexcept nogil:
    cdef uint64_t* f = &w.filled[level * 4]
    return not (f[0] | f[1] | f[2] | f[3])

cdef inline uint32_t wheel_turn(Wheel* w, Slab* s, uint64_t to, uint32_t* budget) noexcept nogil:
    """Turn towards tick ``to`` and take out one entry that may be due; 0 when there is none.

    Each entry that comes into the hand, to be given out or to be put into a finer wheel, costs one of ``budget``;
    at 0 the turn rests where it is. What is given out is in no bucket: the caller reaps it, or arms it again if
    its deadline has moved. REQUIRES: the caller lets no Python code run between this call and that.
    """
    cdef uint32_t level, ref, place
    cdef uint64_t step
    while budget[0]:
        # At a tick where a coarser wheel steps on, its bucket goes down first, from the coarsest.
        level = 3
        while level:
            if not w.now & ((<uint64_t>1 << (8 * level)) - 1):
                place = level << 8 | <uint32_t>((w.now >> (8 * level)) & 255)
                ref = w.bucket[place]
                if ref:
                    break
            level -= 1
        if level:
            budget[0] -= 1
            wheel_disarm(w, s, ref)
            return ref
        ref = w.bucket[w.now & 255]
        if ref:
            budget[0] -= 1
            wheel_disarm(w, s, ref)
            return ref
        if w.now >= to:
            return 0
        if not w.armed:
            w.now = to
            return 0
        # Nothing can be due before the next step of the finest wheel that holds anything.
        level = 0
        while level < 3 and wheel_empty(w, level):
            level += 1
        step = <uint64_t>1 << (8 * level)
        w.now = min((w.now | (step - 1)) + 1, to)
    return 0
