"""The budget of a store on disk, as Python sees it."""

from door43fast.native.lmdb_streams cimport StreamEngine


cdef class BudgetEngine(StreamEngine):
    pass


# Refuse what the options max_bytes= and policy= do not take.
cdef int check_budget(dict plan) except -1
