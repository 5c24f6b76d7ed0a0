"""Strict least-recently-used order: a ring through the entries, headed by reference 0."""

from libc.stdint cimport uint32_t

from door43fast.native.slab cimport COLUMNS, Entry, Slab, slab_entry

cdef inline void recency_remove(Slab* s, uint32_t ref) noexcept nogil:
    cdef Entry* e = slab_entry(s, ref)
    slab_entry(s, e.prev).next = e.next
    slab_entry(s, e.next).prev = e.prev
    e.prev = 0
    e.next = 0

cdef inline void recency_add(Slab* s, uint32_t ref) noexcept nogil:
    """Make ``ref`` the most recent."""
    cdef Entry* head = slab_entry(s, 0)
    cdef Entry* e = slab_entry(s, ref)
    e.prev = 0
    e.next = head.next
    slab_entry(s, head.next).prev = ref
    head.next = ref

cdef inline void recency_link(Entry* head, Entry* e, Entry* before, Entry* after, Entry* second,
                              uint32_t ref) noexcept nogil:
    before.next = e.next
    after.prev = e.prev
    e.prev = 0
    e.next = head.next
    second.prev = ref
    head.next = ref

cdef inline void recency_touch(Slab* s, uint32_t ref) noexcept nogil:
    """Make ``ref`` the most recent. Every place is looked up before any is written, so that none is looked up twice."""
    cdef Entry* first = <Entry*>s.chunks[COLUMNS][0]     # whose entry 0 is the head
    cdef uint32_t newest = first.next
    cdef Entry* e
    if newest == ref:
        return
    if s.count_chunks == 1:
        e = &first[ref]
        recency_link(first, e, &first[e.prev], &first[e.next], &first[newest], ref)
    else:
        e = slab_entry(s, ref)
        recency_link(first, e, slab_entry(s, e.prev), slab_entry(s, e.next), slab_entry(s, newest), ref)

cdef inline uint32_t recency_oldest(Slab* s) noexcept nogil:
    """The least recent, 0 if there is none."""
    return slab_entry(s, 0).prev
