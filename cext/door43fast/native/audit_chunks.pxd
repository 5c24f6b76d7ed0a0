"""The chunks of large values against the records."""

from libc.stdint cimport uint32_t

from clib.lmdb cimport MDB_txn
from door43fast.native.compression cimport Compression
from door43fast.native.handle cimport Handle

# One stretch of the walk over values in chunks, from the row ``resume`` on: each belongs to a record, is whole and
# sound. Appends to ``errors``; returns where to go on, or None at the end. REQUIRES: entered; ``txn`` is a live reader.
cdef object audit_chunks(Handle home, Compression compression, MDB_txn* txn, bytes resume, list errors)
# The other way, over records from the key ``resume`` on: each that says so has its value.
cdef object audit_heads(Handle home, MDB_txn* txn, bint longs, bytes resume, list errors)
# All of both, of a store that nobody may use yet; raises if anything is wrong.
cdef int audit_large(Handle home) except -1
