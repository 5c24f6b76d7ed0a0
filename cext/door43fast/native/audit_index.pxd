"""The key index against the tree."""

from clib.lmdb cimport MDB_txn
from door43fast.native.handle cimport Handle

# One stretch of the walk: what the index says of the records from ``resume`` on must be what the tree says. Appends to
# ``errors``; returns where to go on, or None at the end. REQUIRES: entered; ``txn`` is a live reader.
cdef object audit_index(Handle home, MDB_txn* txn, bytes resume, list errors)
