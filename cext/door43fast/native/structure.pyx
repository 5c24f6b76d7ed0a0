"""Whether a file is one that LMDB can read: its head pages, trees and free list, looked at without LMDB.

A page is 16 bytes of header (number 8, pad 2, flags 2, then either the ends of the row of node places and of the free
room, 2 each, or the number of pages of a large value, 4), and then the places of its nodes, 2 bytes each. A node is as
mapped.pxd says; in a branch its first six bytes are the number of the page below, and the key of the first one does
not count. A table is 48 bytes: pad 4, flags 2, depth 2, pages of branches, leaves and large values, entries, root.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from door43fast.native.frame cimport FRAME_CORRUPT, Frame, Slice, TAG_HASH, frame_read, generation_read
from door43fast.native.longrow cimport LongRow, long_read
from door43fast.native.mapped cimport BIG_NODE, LAST_PAGE_AT, NODE_HEAD, PAGE_HEAD

from door43fast.errors import CorruptError

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    void* MAP_FAILED
    int PROT_READ, MAP_SHARED

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef enum:
    BRANCH = 1              # flags of a page
    LEAF = 2
    OVERFLOW = 4
    TABLE_NODE = 2          # flag of a node: its value is a table
    TABLE = 48
    FREE_AT = 40            # in a head page: LMDB's table of free pages, and the table of tables behind it
    MAIN_AT = 88
    ROOT_AT = 40            # in a table
    DEEPEST = 32            # what LMDB's cursors can hold
    LARGEST_KEY = 511
    INTEGER_KEYS = 8        # flag of the table of free pages

cdef uint64_t NO_PAGE = <uint64_t>-1

cdef enum Kind:
    FREE_PAGES
    TABLES
    FRAMES                  # table of records
    LONG_FRAMES             # and of those with long keys
    GENERATIONS             # table of tags
    OTHER


cdef inline uint64_t _u16(const char* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value


cdef inline uint64_t _u64(const char* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef int _damaged(Walk* w, uint64_t page, const char* what) noexcept nogil:
    w.page = page
    w.damage = what
    return -1


cdef inline int _mark(Walk* w, uint64_t page) noexcept nogil:
    """A page has one use."""
    if w.seen == NULL:
        return 0
    if w.seen[page >> 3] >> (page & 7) & 1:
        return _damaged(w, page, "is used twice, or is free and used")
    w.seen[page >> 3] |= <uint8_t>(1 << (page & 7))
    return 0


cdef inline int _take(Walk* w, uint64_t page, uint64_t count) noexcept nogil:
    """``count`` pages from ``page`` on are in the file, and used here alone."""
    cdef uint64_t i
    if page < 2 or count == 0 or page > w.last or count > w.last - page + 1 or \
            (page + count) > w.end // w.page_size:
        return _damaged(w, page, "lies outside the file")
    if w.seen != NULL:
        for i in range(page, page + count):
            if _mark(w, i):
                return -1
    return 0


cdef inline bint _before(Kind kind, Slice a, Slice b) noexcept nogil:
    """Whether key ``a`` comes before ``b``. REQUIRES: 8 bytes each in the table of free pages."""
    cdef size_t n = a.size if a.size < b.size else b.size
    cdef int way
    if kind == FREE_PAGES:
        return _u64(a.data) < _u64(b.data)
    way = memcmp(a.data, b.data, n)
    return way < 0 or (way == 0 and a.size < b.size)


cdef inline const char* _node(const char* page, uint64_t i, Slice* key) noexcept nogil:
    """The node ``i`` of a page whose nodes were found to lie within it."""
    cdef const char* node = page + _u16(page + PAGE_HEAD + 2 * i)
    key.data = node + NODE_HEAD
    key.size = _u16(node + 6)
    return node


cdef int _nodes(Walk* w, uint64_t number, const char* page, uint64_t n, Kind kind, bint leaf, Slice low,
                Slice high) noexcept nogil:
    """The nodes of a page lie in it, and their keys are in order between ``low`` and ``high``."""
    cdef uint64_t upper = _u16(page + 14), at, size, i
    cdef Slice key, before = low
    for i in range(n):
        at = _u16(page + PAGE_HEAD + 2 * i)
        if at < upper or at & 1 or at + NODE_HEAD > w.page_size:
            return _damaged(w, number, "has a node outside its bounds")
        key.size = _u16(page + at + 6)
        key.data = page + at + NODE_HEAD
        if at + NODE_HEAD + key.size > w.page_size:
            return _damaged(w, number, "has a key that is longer than its page")
        if not leaf and i == 0:
            continue
        if key.size == 0 or key.size > LARGEST_KEY or (kind == FREE_PAGES and key.size != 8):
            return _damaged(w, number, "has a key of a size that cannot be")
        if before.data != NULL and not _before(kind, before, key) and (i > (0 if leaf else 1) or
                                                                       _before(kind, key, before)):
            return _damaged(w, number, "has keys out of order")
        before = key
        if leaf:
            size = _u16(page + at) | _u16(page + at + 2) << 16
            at += NODE_HEAD + key.size
            if at + (8 if _u16(key.data - 4) == BIG_NODE else size) > w.page_size:
                return _damaged(w, number, "has a value that is longer than its page")
    if high.data != NULL and before.data != NULL and not _before(kind, before, high):
        return _damaged(w, number, "has a key that belongs to another page")
    return 0


cdef int _large(Walk* w, uint64_t page, uint64_t size) noexcept nogil:
    """A value in pages of its own. They may be more than it needs: LMDB leaves them when a value is made shorter."""
    cdef uint32_t count
    cdef const char* at
    if page < 2 or page > w.last or (page + 1) > w.end // w.page_size:
        return _damaged(w, page, "lies outside the file")
    at = w.base + page * w.page_size
    memcpy(&count, at + 12, 4)
    if _u64(at) != page or _u16(at + 10) != OVERFLOW:
        return _damaged(w, page, "is not the large value that it should be")
    if <uint64_t>count * w.page_size < PAGE_HEAD + size:
        return _damaged(w, page, "begins a value that is longer than its pages")
    w.overflows += count
    return _take(w, page, count)


cdef int _free_pages(Walk* w, uint64_t number, const char* value, uint64_t size) noexcept nogil:
    cdef uint64_t count, page, i
    if size < 8:
        return _damaged(w, number, "has a free list that is too short")
    count = _u64(value)
    if count > size // 8 - 1:
        return _damaged(w, number, "has a free list that is longer than its value")
    for i in range(count):
        page = _u64(value + 8 + 8 * i)
        if page < 2 or page > w.last:
            return _damaged(w, number, "has a page on the free list that is none")
        if _mark(w, page):
            return -1
    return 0


cdef Kind _kind(Slice name) noexcept nogil:
    """What is in the table of that name."""
    if name.size != 4:
        return OTHER
    if memcmp(name.data, b"data", 4) == 0:
        return FRAMES
    if memcmp(name.data, b"long", 4) == 0:
        return LONG_FRAMES
    return GENERATIONS if memcmp(name.data, b"tags", 4) == 0 else OTHER


cdef int _leaf(Walk* w, uint64_t number, const char* page, uint64_t n, Kind kind) noexcept nogil:
    """The values of a leaf."""
    cdef const char* node
    cdef const char* value
    cdef uint64_t flags, size, run, generation, i
    cdef Slice key
    cdef LongRow row
    cdef Frame frame
    for i in range(n):
        node = _node(page, i, &key)
        flags = _u16(node + 4)
        size = _u16(node) | _u16(node + 2) << 16
        value = key.data + key.size
        w.entries += 1
        if flags == BIG_NODE:
            run = _u64(value)
            if _large(w, run, size):
                return -1
            value = w.base + run * w.page_size + PAGE_HEAD
        elif flags and not (kind == TABLES and flags == TABLE_NODE):
            return _damaged(w, number, "has a record of a kind that no table has")
        if kind == FREE_PAGES:
            if _free_pages(w, number, value, size):
                return -1
        elif kind == FRAMES:
            if w.extent == RECORDS and frame_read(key, value, size, &frame) == FRAME_CORRUPT:
                if w.bad == 0:
                    w.first = key
                w.bad += 1
        elif kind == LONG_FRAMES:
            if w.extent == RECORDS and (long_read(key.data, key.size, value, size, &row) or frame_read(
                    row.name, row.frame.data, row.frame.size, &frame) == FRAME_CORRUPT):
                if w.bad == 0:
                    w.first = key
                w.bad += 1
        elif kind == GENERATIONS:
            if key.size != TAG_HASH or generation_read(key.data, value, size, &generation):
                return _damaged(w, number, "has a tag whose generation does not match its checksum")
        elif flags == TABLE_NODE:
            if size != TABLE:
                return _damaged(w, number, "has a table that is none")
            if w.extent != FREE and _table(w, number, value, _kind(key)):
                return -1
    return 0


cdef int _tree(Walk* w, uint64_t number, int depth, Kind kind, Slice low, Slice high) noexcept nogil:
    """The page ``number`` and all below it, with keys from ``low`` up to ``high``; ``depth`` is 1 for a leaf."""
    cdef const char* page
    cdef const char* node
    cdef uint64_t lower, upper, n, i, below, next
    cdef Slice from_here, to_here
    if _take(w, number, 1):
        return -1
    page = w.base + number * w.page_size
    if _u64(page) != number:
        return _damaged(w, number, "bears another number")
    if _u16(page + 10) != <uint64_t>(LEAF if depth == 1 else BRANCH):
        return _damaged(w, number, "is of another kind than its place in the tree says")
    lower = _u16(page + 12)
    upper = _u16(page + 14)
    if lower <= PAGE_HEAD or lower & 1 or upper < lower or upper > w.page_size:
        return _damaged(w, number, "has bounds that cannot be")
    n = (lower - PAGE_HEAD) >> 1
    if _nodes(w, number, page, n, kind, depth == 1, low, high):
        return -1
    if depth == 1:
        w.leaves += 1
        return _leaf(w, number, page, n, kind) if kind == TABLES or w.extent != ROOTS else 0
    w.branches += 1
    if w.extent == ROOTS and kind != TABLES:
        return 0
    node = _node(page, 0, &from_here)
    below = _u16(node) | _u16(node + 2) << 16 | _u16(node + 4) << 32
    from_here = low
    for i in range(n):
        to_here = high
        next = 0
        if i + 1 < n:
            node = _node(page, i + 1, &to_here)
            next = _u16(node) | _u16(node + 2) << 16 | _u16(node + 4) << 32
            if next < w.end // w.page_size:
                d43_prefetch(w.base + next * w.page_size)
        if _tree(w, below, depth - 1, kind, from_here, to_here):
            return -1
        below = next
        from_here = to_here
    return 0


cdef int _table(Walk* w, uint64_t number, const char* at, Kind kind) noexcept nogil:
    """A table, as ``at`` describes it: its pages, and whether they are as many as it says."""
    cdef uint64_t root = _u64(at + ROOT_AT), depth = _u16(at + 6)
    cdef uint64_t kept[4]
    cdef Slice none
    cdef bint all
    if _u16(at + 4) != <uint64_t>(INTEGER_KEYS if kind == FREE_PAGES else 0):
        if w.extent == ROOTS and kind != FREE_PAGES:
            return 0            # perhaps a file of another program, which is refused with another sentence
        return _damaged(w, number, "has a table with flags that no table has")
    none.data = NULL
    none.size = 0
    memcpy(kept, &w.branches, sizeof(kept))
    w.branches = w.leaves = w.overflows = w.entries = 0
    if root != NO_PAGE:
        if depth == 0 or depth > DEEPEST:
            return _damaged(w, number, "has a table of a depth that cannot be")
        if _tree(w, root, <int>depth, kind, none, none):
            return -1
    all = root == NO_PAGE or w.extent >= TREES or kind == (FREE_PAGES if w.extent == FREE else TABLES)
    if all and (w.branches != _u64(at + 8) or w.leaves != _u64(at + 16) or w.overflows != _u64(at + 24) or
                w.entries != _u64(at + 32) or (root == NO_PAGE and depth)):
        return _damaged(w, number, "has a table with other numbers of pages or records than are there")
    memcpy(&w.branches, kept, sizeof(kept))
    return 0


cdef int _walk(Walk* w, const char* head, uint64_t number) noexcept nogil:
    cdef uint64_t page
    if _table(w, number, head + FREE_AT, FREE_PAGES):
        return -1
    if w.extent == FREE:
        for page in range(w.end // w.page_size, w.last + 1):
            if not w.seen[page >> 3] >> (page & 7) & 1:
                return _damaged(w, page, "is missing at the end of the file, and not free")
        return 0
    return _table(w, number, head + MAIN_AT, TABLES)


cdef object walk_file(int fd, uint64_t size, const char* head, uint64_t page_size, Extent extent, str path):
    cdef void* at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0)
    if at == MAP_FAILED:
        raise MemoryError(f"no address space to look at {path}/data.mdb; raise the limit (ulimit -v)")
    try:
        return walk_map(<const char*>at, size, head, page_size, extent, path)
    finally:
        munmap(at, size)


cdef object walk_map(const char* base, uint64_t size, const char* head, uint64_t page_size, Extent extent, str path):
    cdef Walk w
    cdef int rc
    w.base = base
    w.end = size
    w.page_size = page_size
    w.last = _u64(head + LAST_PAGE_AT)
    w.extent = extent
    w.seen = NULL
    w.bad = w.branches = w.leaves = w.overflows = w.entries = 0
    # A page that is missing at the end must be on the free list, which takes 8 bytes for it.
    if w.last < 1 or w.last >= size // page_size + size // 8:
        raise CorruptError(f"{path}/data.mdb is damaged: its head page says that page {w.last} is the last; restore a "
                           "backup")
    try:
        if extent != ROOTS:
            w.seen = <uint8_t*>calloc(w.last // 8 + 1, 1)
            if w.seen == NULL:
                raise MemoryError(f"no memory to look at {path}/data.mdb")
        with nogil:
            rc = _walk(&w, head, _u64(head))
        if rc:
            raise CorruptError(f"{path}/data.mdb is damaged: its page {w.page} {w.damage.decode()}; restore a backup")
        return (w.bad, w.first.data[:w.first.size]) if w.bad else None
    finally:
        free(w.seen)
