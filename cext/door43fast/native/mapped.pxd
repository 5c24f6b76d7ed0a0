"""Records as LMDB 0.9 lays them into its map: a node in a leaf page, and a large value in pages of its own.

A node is 2 + 2 bytes of the value's size (low half first), 2 of flags, 2 of the key's size, the key, then the value or
the number of the page in which it begins. Nodes start at even places and never cross a page.

Every place and size is compared with the end of the file before it is used, so that damaged bytes can lead nowhere.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from door43fast.native.frame cimport Slice

cdef extern from "d43_str.h" nogil:
    bint d43_same(const char*, const char*, size_t)

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef enum:
    NODE_HEAD = 8
    PAGE_HEAD = 16
    BIG_NODE = 1            # flag: the value stands in pages of its own
    MAGIC_AT = 16           # of LMDB's magic number in a head page, and of the version of its format behind it
    LAST_PAGE_AT = 136      # of the number of the last page in use in a head page

cdef struct View:
    const char* base
    size_t end              # bytes of the file, as far as known; it never gets shorter
    size_t reach            # bytes of the map; 0 if it is not known where it begins
    size_t page_size
    int shift               # log2 of it


cdef inline bint view_holds(const View* v, const void* at, size_t size) noexcept nogil:
    """Whether bytes that LMDB points to lie in the file. Beyond its end a read of the map kills the process.

    A writer's own pages lie in other memory than the map until it commits, and are not asked about.
    """
    cdef uint64_t start = <const char*>at - v.base
    return start >= v.reach or (start <= v.end and size <= v.end - start)


cdef inline bint node_value(const View* v, uint64_t at, Slice key, Slice* value) noexcept nogil:
    """Whether a node with this key begins at ``at``; then ``value`` is its value."""
    cdef uint16_t head[4]
    cdef uint64_t page, size
    if at + NODE_HEAD + key.size > v.end:
        return False
    memcpy(head, v.base + at, NODE_HEAD)
    if head[3] != key.size or not d43_same(v.base + at + NODE_HEAD, key.data, key.size):
        return False
    size = head[0] | <uint64_t>head[1] << 16
    at += NODE_HEAD + key.size
    if head[2] == BIG_NODE:
        if at + 8 > v.end:
            return False
        memcpy(&page, v.base + at, 8)
        if page >= v.end >> v.shift:
            return False
        at = (page << v.shift) + PAGE_HEAD
    elif head[2]:
        return False
    if at + size > v.end:
        return False
    value.data = v.base + at
    value.size = size
    return True


cdef inline uint64_t node_of(const View* v, Slice key, const char* value, size_t size) noexcept nogil:
    """Where the node begins whose value LMDB found at ``value``; 0 if that stands in pages of its own."""
    cdef uint64_t at = value - v.base - key.size - NODE_HEAD
    cdef Slice seen
    if <uint64_t>(value - v.base) & (v.page_size - 1) == PAGE_HEAD:
        return 0
    return at if node_value(v, at, key, &seen) and seen.data == value and seen.size == size else 0


# The page that a walk along the leaves is in.
cdef struct Stroll:
    size_t page
    bint straight           # the page before lay just before it, so that the next one may lie just behind


cdef inline void stroll(Stroll* s, const View* v, const void* at) noexcept nogil:
    """Ask for the lines of a page when the walk enters it, and for those of the next one where pages lie in a row."""
    cdef size_t page = <size_t>at & ~(v.page_size - 1)
    cdef size_t i
    if page == s.page or not v.page_size:
        return
    if not s.straight:
        for i in range(0, v.page_size, 64):
            d43_prefetch(<const char*>page + i)
    s.straight = page == s.page + v.page_size
    s.page = page
    if s.straight and page + 2 * v.page_size <= <size_t>v.base + v.end:
        for i in range(v.page_size, 2 * v.page_size, 64):
            d43_prefetch(<const char*>page + i)
