"""Pages of a saved state that LMDB is about to use again: they are kept in the marker file first.

A state that was synced must stay on the disk whole until the next one is. A page of it that a later write has freed is
written to the log here, and that is synced, before LMDB may have the page; after a power loss what the log holds is
written back. Each page is kept once, since only what stood there in the saved state counts.

The log has two halves, used in turns like the two places of saved head pages: while the sync of the next state is under
way, what is kept is kept for both states, in the half that begins with the next.
"""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_txn

cdef enum:
    UNDO_NEEDED = -21       # statuses: pages of the state are among the freed, and must be kept first
    UNDO_GAP = -22          # the list of freed pages is not whole
    UNDO_FULL = -23         # no room in the log until the next state is saved


# Which pages a state consists of and are not kept yet: a bit for each page.
cdef struct Pages:
    uint64_t count          # pages from there on are newer than the state
    unsigned char* bits     # NULL for no state


cdef struct Undo:
    int data                # data.mdb
    int marker              # the marker file
    size_t page_size
    size_t start            # of the log in the marker file
    size_t used             # bytes of this half
    int half
    bint begun              # the half of the next state
    Pages held              # the state that is saved
    Pages next              # the state whose sync is under way
    uint64_t live           # pages that it consists of


# The next state is the one of the reader ``txn``, with ``count`` pages. Status.
cdef int undo_begin(Undo* u, MDB_txn* txn, uint64_t count, uint64_t turn) noexcept nogil
# Keep those pages of the next state now that are not of the state that is held, or have died and come back: if they are
# few, they will soon die again. Where that fails they are kept later. REQUIRES: a reader stands at or before ``state``.
cdef void undo_ahead(Undo* u, uint64_t state) noexcept nogil
# The sync of the next state is over: if it was ``saved``, that is the one held from now on.
cdef void undo_end(Undo* u, bint saved) noexcept nogil
# Keep the pages of both states that were freed after the snapshot ``since`` up to ``id``, which is that of ``txn``; if
# not ``keep``, only say whether there are any. REQUIRES: a reader has stood at ``since`` all the while. Status.
cdef int undo_follow(Undo* u, MDB_txn* txn, uint64_t since, uint64_t id, bint keep) noexcept nogil
cdef void undo_free(Undo* u) noexcept nogil

# Page number: content, of what must be written back for ``state``. ``content`` is that of a marker file.
cdef dict undo_pages(bytes content, size_t start, uint64_t state)
