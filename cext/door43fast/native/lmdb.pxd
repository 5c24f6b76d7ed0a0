"""The LMDB engine as other native modules see it.

A layer above (the cascade) uses, all with the GIL held unless said otherwise:

``foreign_epoch()``     nogil, a few ns: changes if another process, or another store of this process, committed.
``fetch(key, &found, stale)``, ``fetch_many(batch, default, found)``, ``batch_of(keys)``
                        values as get() gives them, with deadline, state and whether they carry tags; see Found in
                        lmdb_records.pxd. ``absent`` is what fetch gives for a miss. They count neither hit nor miss.
``store(...)``, ``remove(key, reason)``
                        set() and delete() without the reading of options; see lmdb_records.pxd.
"""

from door43fast.native.lmdb_budget cimport BudgetEngine


cdef class LmdbEngine(BudgetEngine):
    cdef object __weakref__
