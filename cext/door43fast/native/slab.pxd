"""Entries in chunks of 65,536, addressed by 32-bit references, with columns that exist only when they are used.

A chunk of entries is 2 MiB, one huge page. Chunks never move, but for the first, which grows by doubling: an
``Entry*`` is good until the next ``slab_take``. Reference 0 is never given out: it is the end of every list and the
head of the recency ring; policies with queues keep the next three for heads.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cdef extern from "d43_pages.h" nogil:
    void* d43_pages_alloc(size_t size) noexcept
    void d43_pages_free(void* p, size_t size) noexcept
    void d43_pages_trim() noexcept
    void d43_prefetch(const void* p) noexcept

cdef enum:
    CHUNK_BITS = 16
    CHUNK = 1 << CHUNK_BITS
    CHUNK_MASK = CHUNK - 1
    FIRST = 64

cdef struct Entry:
    PyObject* key       # owned
    PyObject* value     # owned
    uint32_t prev       # recency ring, whose head is 0; or a queue of the policy, with its marks
    uint32_t next       # the same, or the free list
    uint32_t hash
    uint32_t deadline   # tick at which it expires; NEVER, or LONG: see the entry's Extra

cdef struct Link:       # place of an entry in the timing wheel
    uint32_t next
    uint32_t prev

cdef struct TagRef:
    uint32_t tag
    uint64_t generation

cdef struct Extra:      # what few entries have
    uint64_t deadline   # the tick, where it does not fit in the entry
    uint64_t until      # tick up to which it may be served stale
    uint32_t tags
    TagRef tag[1]       # ``tags`` of them

cdef enum:           # the columns
    LINKS               # 8 bytes, from the first entry that expires
    WEIGHTS             # 8 bytes, where there is a budget in bytes
    FLAGS               # 1 byte, from the first entry that has one
    EXTRAS              # 8 bytes, from the first entry that has one
    COLUMNS

cdef struct Slab:
    void** chunks[COLUMNS + 1]      # [COLUMNS]: the entries themselves
    bint on[COLUMNS]
    uint32_t count_chunks
    uint32_t directory              # chunks that the directories have room for
    uint32_t first                  # capacity of the first chunk
    uint32_t used                   # references below this one have been given out
    uint32_t freed                  # head of the free list
    uint32_t limit                  # references from this one on are not given out

cdef inline size_t slab_width(int column) noexcept nogil:
    if column == COLUMNS:
        return sizeof(Entry)
    return 1 if column == FLAGS else 8

cdef inline Entry* slab_entry(Slab* s, uint32_t ref) noexcept nogil:
    return &(<Entry*>s.chunks[COLUMNS][ref >> CHUNK_BITS])[ref & CHUNK_MASK]

cdef inline Link* slab_link(Slab* s, uint32_t ref) noexcept nogil:
    return &(<Link*>s.chunks[LINKS][ref >> CHUNK_BITS])[ref & CHUNK_MASK]

cdef inline uint64_t* slab_weight(Slab* s, uint32_t ref) noexcept nogil:
    return &(<uint64_t*>s.chunks[WEIGHTS][ref >> CHUNK_BITS])[ref & CHUNK_MASK]

cdef inline uint8_t* slab_flags(Slab* s, uint32_t ref) noexcept nogil:
    return &(<uint8_t*>s.chunks[FLAGS][ref >> CHUNK_BITS])[ref & CHUNK_MASK]

cdef inline Extra** slab_extra(Slab* s, uint32_t ref) noexcept nogil:
    return &(<Extra**>s.chunks[EXTRAS][ref >> CHUNK_BITS])[ref & CHUNK_MASK]

cdef inline size_t slab_capacity(Slab* s, uint32_t chunk) noexcept nogil:
    return s.first if chunk == 0 else CHUNK

cdef inline bint slab_turn_on(Slab* s, int column) noexcept nogil:
    """Give every chunk its part of a column. False: no memory, nothing changed that matters."""
    cdef uint32_t c
    if s.on[column]:
        return True
    for c in range(s.count_chunks):
        if s.chunks[column][c] == NULL:
            s.chunks[column][c] = d43_pages_alloc(slab_capacity(s, c) * slab_width(column))
            if s.chunks[column][c] == NULL:
                return False
    s.on[column] = True
    return True

cdef inline bint slab_grow_first(Slab* s) noexcept nogil:
    """False: no memory, nothing changed."""
    cdef int column
    cdef size_t size = s.first * 2
    cdef bint room = True
    cdef void* grown[COLUMNS + 1]
    for column in range(COLUMNS + 1):
        grown[column] = NULL
        if room and (column == COLUMNS or s.on[column]):
            grown[column] = d43_pages_alloc(size * slab_width(column))
            room = grown[column] != NULL
    for column in range(COLUMNS + 1):
        if grown[column] == NULL:
            continue
        if room:
            memcpy(grown[column], s.chunks[column][0], s.first * slab_width(column))
            d43_pages_free(s.chunks[column][0], s.first * slab_width(column))
            s.chunks[column][0] = grown[column]
        else:
            d43_pages_free(grown[column], size * slab_width(column))
    if room:
        s.first = <uint32_t>size
    return room

cdef inline bint slab_add_chunk(Slab* s) noexcept nogil:
    cdef int column
    cdef void** grown
    cdef void* block
    cdef uint32_t c = s.count_chunks
    if c == s.directory:
        for column in range(COLUMNS + 1):
            grown = <void**>realloc(s.chunks[column], (s.directory * 2 + 4) * sizeof(void*))
            if grown == NULL:
                return False
            memset(grown + s.directory, 0, (s.directory + 4) * sizeof(void*))
            s.chunks[column] = grown
        s.directory = s.directory * 2 + 4
    if c == 0:
        s.first = FIRST
    for column in range(COLUMNS + 1):
        if (column == COLUMNS or s.on[column]) and s.chunks[column][c] == NULL:
            block = d43_pages_alloc(slab_capacity(s, c) * slab_width(column))
            if block == NULL:
                return False
            s.chunks[column][c] = block
    s.count_chunks = c + 1
    return True

cdef inline bint slab_open(Slab* s) noexcept nogil:
    memset(s, 0, sizeof(Slab))
    if not slab_add_chunk(s):
        return False
    s.used = 1
    s.limit = <uint32_t>0x7FFF0000
    return True

cdef inline uint32_t slab_take(Slab* s) noexcept nogil:
    """A reference to an entry, all zero in every column; 0 where there is no memory."""
    cdef uint32_t ref = s.freed
    if ref:
        s.freed = slab_entry(s, ref).next
        slab_entry(s, ref).next = 0
        return ref
    ref = s.used
    if ref < CHUNK:
        if ref == s.first and not slab_grow_first(s):
            return 0
    elif ref >> CHUNK_BITS == s.count_chunks:
        if ref >= s.limit or not slab_add_chunk(s):
            return 0
    s.used = ref + 1
    return ref

cdef inline void slab_give(Slab* s, uint32_t ref) noexcept nogil:
    """Take an entry back. The caller has let go of what it owned."""
    cdef Entry* e = slab_entry(s, ref)
    memset(e, 0, sizeof(Entry))
    if s.on[FLAGS]:
        slab_flags(s, ref)[0] = 0
    e.next = s.freed
    s.freed = ref

cdef inline size_t slab_bytes(Slab* s) noexcept nogil:
    cdef size_t n = 0
    cdef uint32_t c
    cdef int column
    for c in range(s.count_chunks):
        for column in range(COLUMNS + 1):
            if s.chunks[column][c] != NULL:
                n += slab_capacity(s, c) * slab_width(column)
    return n

cdef inline void slab_close(Slab* s) noexcept nogil:
    cdef uint32_t c
    cdef int column
    for column in range(COLUMNS + 1):
        if s.chunks[column] == NULL:
            continue
        for c in range(s.directory):
            d43_pages_free(s.chunks[column][c], slab_capacity(s, c) * slab_width(column))
        free(s.chunks[column])
    memset(s, 0, sizeof(Slab))
