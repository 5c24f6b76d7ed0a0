"""The order of eviction against the records of a store with a budget."""

from clib.lmdb cimport MDB_txn
from door43fast.native.handle cimport Handle

# One stretch of the walk. ``place`` is where to begin, empty at first; returns where to go on, or None at
# the end. ``waiting`` holds births and keys of records whose row has not been seen yet: the caller keeps it between
# two calls, empty at first. Appends to ``errors``. REQUIRES: entered; ``txn`` is a live reader.
cdef bytes audit_order(Handle home, MDB_txn* txn, bytes place, dict waiting, list errors)
