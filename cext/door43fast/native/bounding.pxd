"""Giving a budget to a store on disk, and taking part in one that another process has given it."""

from libc.stdint cimport int64_t, uint64_t

from clib.lmdb cimport MDB_dbi, MDB_txn
from door43fast.native.environment cimport Environment

# Give the store a budget, another one if ``limit`` differs, or another policy. REQUIRES: not entered.
cdef int keep_budget(Environment home, uint64_t limit, uint64_t policy) except -1
# Open the table of a budget that another process has given the store. REQUIRES: not entered.
cdef int join_budget(Environment home) except -1
# What may bring freed pages back: dead readers are cleared, and a state that waits for its sync is synced.
cdef int relieve(Environment home) except -1
# BUDGET_FOUND if the store has a budget.
cdef int budget_look(MDB_txn* txn, MDB_dbi meta) noexcept nogil
# How many pages a transaction after ``txn`` may take, and which process reads the oldest state, 0 for none.
cdef int free_pages(Environment home, MDB_txn* txn, uint64_t limit, uint64_t* free, int64_t* holder) noexcept nogil
# How many pages the tables take.
cdef uint64_t used_pages(Environment home, MDB_txn* txn) noexcept nogil
