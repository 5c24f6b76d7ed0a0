"""The keys of one call as places in memory, and their order.

Keys of one batch often begin alike. So what all have in common is passed over, and the eight bytes that follow are
sorted as numbers, byte by byte (radix sort from the least byte on, without those that are the same in all); only keys
that are equal so far are compared in full.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp, memcpy, memset

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef enum:
    FEW = 64                # places from which the numbers pay
    HEAD = 8
    DIGITS = 256
    AHEAD = 8


cdef struct Head:
    uint64_t number         # the bytes behind what all have in common, the first on top, zeroes behind the end
    Py_ssize_t at


cdef int _compare(const void* a, const void* b) noexcept nogil:
    cdef const Place* x = <const Place*>a
    cdef const Place* y = <const Place*>b
    cdef int order = memcmp(x.key.data, y.key.data, min(x.key.size, y.key.size))
    if order == 0:
        if x.key.size != y.key.size:
            return -1 if x.key.size < y.key.size else 1
        return -1 if x.index < y.index else 1
    return order


cdef inline bint _same(const Place* x, const Place* y) noexcept nogil:
    return x.key.size == y.key.size and memcmp(x.key.data, y.key.data, x.key.size) == 0


cdef size_t _common(const Place* places, Py_ssize_t n) noexcept nogil:
    """How many bytes all keys begin with alike."""
    cdef const char* first = places[0].key.data
    cdef size_t shared = places[0].key.size, k
    cdef Py_ssize_t i
    for i in range(1, n):
        if i + AHEAD < n:
            d43_prefetch(places[i + AHEAD].key.data)
        shared = min(shared, places[i].key.size)
        if memcmp(first, places[i].key.data, shared):
            k = 0
            while first[k] == places[i].key.data[k]:
                k += 1
            shared = k
    return shared


cdef void _read_heads(const Place* places, Py_ssize_t n, size_t skip, Head* heads, uint64_t* counts) noexcept nogil:
    cdef Py_ssize_t i
    cdef size_t k
    cdef uint64_t number
    for i in range(n):
        number = 0
        for k in range(HEAD):
            number <<= 8
            if skip + k < places[i].key.size:
                number |= <uint8_t>places[i].key.data[skip + k]
        heads[i].number = number
        heads[i].at = i
        for k in range(HEAD):
            counts[k * DIGITS + (number >> (8 * k) & 0xFF)] += 1


cdef bint _sort_numbers(Place* places, Py_ssize_t n) noexcept nogil:
    """Order by the heads; False if there is no memory."""
    cdef Head* heads = <Head*>malloc(2 * n * sizeof(Head))
    cdef Place* sorted = <Place*>malloc(n * sizeof(Place))
    cdef Head* spare = heads + n
    cdef Head* source = heads
    cdef uint64_t counts[HEAD * DIGITS]
    cdef uint64_t at, count
    cdef uint64_t* digit
    cdef Py_ssize_t i, start
    cdef int k, d
    if heads == NULL or sorted == NULL:
        free(heads)
        free(sorted)
        return False
    memset(counts, 0, sizeof(counts))
    _read_heads(places, n, _common(places, n), heads, counts)
    for k in range(HEAD):
        digit = counts + k * DIGITS
        if digit[source[0].number >> (8 * k) & 0xFF] == <uint64_t>n:
            continue
        at = 0
        for d in range(DIGITS):
            count = digit[d]
            digit[d] = at
            at += count
        for i in range(n):
            d = <int>(source[i].number >> (8 * k) & 0xFF)
            spare[digit[d]] = source[i]
            digit[d] += 1
        source, spare = spare, source
    for i in range(n):
        sorted[i] = places[source[i].at]
    start = 0
    for i in range(1, n + 1):
        if i == n or source[i].number != source[start].number:
            if i - start > 1:
                qsort(sorted + start, i - start, sizeof(Place), &_compare)
            start = i
    memcpy(places, sorted, n * sizeof(Place))
    free(heads)
    free(sorted)
    return True


cdef Py_ssize_t order_places(Place* places, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    for i in range(1, n):
        if _compare(&places[i - 1], &places[i]) >= 0:
            if n < FEW:
                qsort(places, n, sizeof(Place), &_compare)
            elif not _sort_numbers(places, n):
                return -1
            break
    for i in range(n):
        if i + 1 < n and _same(&places[i], &places[i + 1]):
            continue
        places[kept] = places[i]
        kept += 1
    return kept
