"""Readers that are kept from call to call, in a ring of their handle: whoever closes its files lets them go first.

The ring is of C memory, so that nothing that walks it runs Python code. All needs the GIL.
"""

from clib.lmdb cimport MDB_txn, mdb_txn_abort


cdef struct Pin:
    MDB_txn* txn            # NULL once it has been let go
    Pin* before             # NULL outside of the ring
    Pin* behind


cdef inline void pins_begin(Pin* ring) noexcept:
    """An empty ring."""
    ring.txn = NULL
    ring.before = ring.behind = ring


cdef inline void pin_add(Pin* ring, Pin* pin) noexcept:
    pin.before = ring
    pin.behind = ring.behind
    ring.behind.before = pin
    ring.behind = pin


cdef inline MDB_txn* pin_take(Pin* pin) noexcept:
    """Out of the ring with it; the reader is the caller's, NULL if it was let go."""
    cdef MDB_txn* txn = pin.txn
    if pin.before != NULL:
        pin.before.behind = pin.behind
        pin.behind.before = pin.before
    pin.txn = NULL
    pin.before = pin.behind = NULL
    return txn


cdef inline void pins_end(Pin* ring, bint own) noexcept:
    """Let all go. Those that are not this process's ``own`` are left as they are: their places are the parent's."""
    cdef MDB_txn* txn
    while ring.behind != ring:
        txn = pin_take(ring.behind)
        if own:
            mdb_txn_abort(txn)
