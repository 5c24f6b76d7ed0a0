"""The way down a tree of LMDB 0.9, page by page, as its own search goes: for many keys side by side.

A page is 8 bytes of its own number, 2 unused, 2 of flags, 2 of the begin and 2 of the end of its free space, then the
places of its nodes in the order of their keys, 2 bytes each. A node of a branch page is 6 bytes of the number of the
page below, 2 of the key's size, and the key, which is the least one below it; that of the first node is not given.

Nothing on a page is believed: what does not fit is LOST, and whoever asked goes down by LMDB's own search.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport MDB_txn, MDB_val, mdb_get
from door43fast.native.frame cimport Slice
from door43fast.native.mapped cimport NODE_HEAD, PAGE_HEAD, View

cdef enum:
    BRANCH_PAGE = 1
    LEAF_PAGE = 2
    MAIN_TABLE = 1          # LMDB's own table of tables
    TABLE_RECORD = 48       # what it says of a table: flags at 4, depth at 6, root at 40
    DEEPEST = 32

cdef enum Step:
    LOST
    DOWN                    # to the page that ``next`` is the number of
    HERE                    # the node of the key begins at ``next`` in the map
    NOT_HERE                # the key would stand in this page; ``next`` is its position there


cdef inline int descent_root(MDB_txn* txn, uint64_t* root) noexcept nogil:
    """The depth of the table of records, and its root; 0 if it is empty or not laid out as this code knows."""
    cdef MDB_val name, value
    cdef uint16_t depth, flags
    name.mv_data = <char*>b"data"
    name.mv_size = 4
    if mdb_get(txn, MAIN_TABLE, &name, &value) or value.mv_size != TABLE_RECORD:
        return 0
    memcpy(&flags, <const char*>value.mv_data + 4, 2)
    memcpy(&depth, <const char*>value.mv_data + 6, 2)
    memcpy(root, <const char*>value.mv_data + 40, 8)
    return depth if flags == 0 and depth <= DEEPEST else 0


cdef inline int _order(const char* page, uint64_t size, uint64_t nodes, uint64_t i, Slice key) noexcept nogil:
    """How ``key`` stands to the key of node ``i``: below 0, 0, above 0; 2 if there is no sound node."""
    cdef uint16_t at, length
    cdef int order
    memcpy(&at, page + PAGE_HEAD + 2 * i, 2)
    if at < PAGE_HEAD + 2 * nodes or at + <uint64_t>NODE_HEAD > size:
        return 2
    memcpy(&length, page + at + 6, 2)
    if at + <uint64_t>NODE_HEAD + length > size:
        return 2
    order = memcmp(key.data, page + at + NODE_HEAD, min(key.size, <size_t>length))
    if order == 0:
        return (key.size > length) - (key.size < length)
    return 1 if order > 0 else -1


cdef inline Step descend(const View* v, uint64_t number, Slice key, uint64_t* next) noexcept nogil:
    """Look for ``key`` in one page."""
    cdef const char* page = v.base + (number << v.shift)
    cdef uint64_t own, low, high, middle, nodes
    cdef uint32_t below
    cdef uint16_t flags, end, at
    cdef int order
    if number >= v.end >> v.shift:
        return LOST
    memcpy(&own, page, 8)
    memcpy(&flags, page + 10, 2)
    memcpy(&end, page + 12, 2)
    if own != number or (flags != BRANCH_PAGE and flags != LEAF_PAGE) or end <= PAGE_HEAD or end > v.page_size:
        return LOST
    nodes = (end - PAGE_HEAD) >> 1
    low = 1 if flags == BRANCH_PAGE else 0      # the key of a branch's first node is less than every other
    high = nodes
    while low < high:                           # nodes below low have lesser keys, from high on greater ones
        middle = (low + high) >> 1
        order = _order(page, v.page_size, nodes, middle, key)
        if order == 2:
            return LOST
        if order == 0 and flags == LEAF_PAGE:
            memcpy(&at, page + PAGE_HEAD + 2 * middle, 2)
            next[0] = (number << v.shift) + at
            return HERE
        if order < 0:
            high = middle
        else:
            low = middle + 1
    if flags == LEAF_PAGE:
        next[0] = low
        return NOT_HERE
    memcpy(&at, page + PAGE_HEAD + 2 * (low - 1), 2)
    if at < PAGE_HEAD + 2 * nodes or at + <uint64_t>NODE_HEAD > v.page_size:
        return LOST
    memcpy(&below, page + at, 4)
    memcpy(&flags, page + at + 4, 2)
    next[0] = below | <uint64_t>flags << 32
    return DOWN
