"""How often keys were used of late: a count-min sketch of 4-bit counters (Cormode and Muthukrishnan, 2005), aged by
halving (Einziger, Friedman and Manes, "TinyLFU", 2017).

A block of 64 bytes holds 128 counters; a key has four of them, one in each quarter of one block, so that looking it
up costs one line of memory. There is a block for every 16 entries. When there are more entries the sketch is doubled
by writing it twice: each key finds its old counts in whichever half it now falls.

A careful sketch has a block for every 8 entries, and raises only those of a key's counters that are the least
(conservative update: Estan and Varghese, 2002), so that keys which share a counter are taken for less often used.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from door43fast.native.slab cimport d43_pages_alloc, d43_pages_free

cdef enum:
    FIRST_BLOCKS = 8
    ENTRIES_A_BLOCK = 16
    CAREFUL_BLOCKS = 64
    CAREFUL_ENTRIES = 8
    CAREFUL_LEAST = 256     # entries as of which a careful sketch counts its time

cdef struct Sketch:
    uint64_t* word          # 8 of them are a block
    uint64_t mask           # blocks less one
    uint64_t added          # counts since the last halving, which itself halves them
    bint careful

cdef inline void sketch_close(Sketch* k) noexcept nogil:
    if k.word != NULL:
        d43_pages_free(k.word, (k.mask + 1) * 64)
    k.word = NULL
    k.added = 0

cdef inline size_t sketch_bytes(Sketch* k) noexcept nogil:
    return 0 if k.word == NULL else <size_t>(k.mask + 1) * 64

cdef inline uint64_t sketch_spread(uint32_t hash) noexcept nogil:
    return <uint64_t>hash * <uint64_t>0x9E3779B97F4A7C15

cdef inline uint64_t* sketch_block(Sketch* k, uint64_t v) noexcept nogil:
    return &k.word[((v >> 12) & k.mask) * 8]

cdef inline uint32_t sketch_estimate(Sketch* k, uint32_t hash) noexcept nogil:
    cdef uint64_t v = sketch_spread(hash)
    cdef uint64_t* b
    cdef uint32_t row, place, count, least = 15
    if k.word == NULL:
        return 0
    b = sketch_block(k, v)
    for row in range(4):
        place = <uint32_t>(v >> (44 + 5 * row)) & 31
        count = <uint32_t>(b[row * 2 + (place >> 4)] >> ((place & 15) * 4)) & 15
        least = min(least, count)
    return least

cdef inline bint sketch_grow(Sketch* k) noexcept nogil:
    """Open the sketch, or double it. False: no memory, nothing changed."""
    cdef uint64_t first = CAREFUL_BLOCKS if k.careful else FIRST_BLOCKS
    cdef uint64_t blocks = first if k.word == NULL else (k.mask + 1) * 2
    cdef uint64_t* grown = <uint64_t*>d43_pages_alloc(blocks * 64)
    if grown == NULL:
        return False
    if k.word != NULL:
        memcpy(grown, k.word, blocks * 32)
        memcpy(grown + blocks * 4, k.word, blocks * 32)
        d43_pages_free(k.word, blocks * 32)
    k.word = grown
    k.mask = blocks - 1
    return True

cdef inline void sketch_halve(Sketch* k) noexcept nogil:
    cdef uint64_t i
    for i in range((k.mask + 1) * 8):
        k.word[i] = (k.word[i] >> 1) & <uint64_t>0x7777777777777777
    k.added >>= 1

cdef inline void sketch_count(Sketch* k, uint32_t hash, uint64_t entries) noexcept nogil:
    """Count one use of a key, in a store of ``entries``. Where there is no memory nothing is counted."""
    cdef uint64_t v = sketch_spread(hash)
    cdef uint64_t* b
    cdef uint64_t* w
    cdef uint32_t row, place, at
    cdef uint32_t least = 16        # no counter is
    cdef uint32_t count
    cdef bint changed = False
    while k.word == NULL or entries > (k.mask + 1) * (CAREFUL_ENTRIES if k.careful else ENTRIES_A_BLOCK):
        if not sketch_grow(k):
            if k.word == NULL:
                return
            break
    if k.careful:
        least = sketch_estimate(k, hash)
    b = sketch_block(k, v)
    for row in range(4):
        place = <uint32_t>(v >> (44 + 5 * row)) & 31
        w = &b[row * 2 + (place >> 4)]
        at = (place & 15) * 4
        count = <uint32_t>(w[0] >> at) & 15
        if count != 15 and (count == least or least == 16):
            w[0] += <uint64_t>1 << at
            changed = True
    if changed:
        k.added += 1
        if k.added >= 10 * max(entries, CAREFUL_LEAST if k.careful else 16):
            sketch_halve(k)
