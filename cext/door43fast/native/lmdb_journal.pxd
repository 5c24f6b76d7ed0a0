"""The journal of a store on disk, as Python sees it, and what of it a tier above must know."""

from libc.stdint cimport uint64_t

from door43fast.native.lmdb_transactions cimport TransactionEngine


cdef class JournalEngine(TransactionEngine):
    # Whether the store has a journal; one that another process has made meanwhile is found.
    cdef bint journalled(self) except -1
    # Append rows (number of the first change, bytes) that follow change ``since``, until they hold ``limit`` changes;
    # with ``foreign`` only those of others. Returns the last change that was passed; ``oldest`` is the first that is
    # kept. REQUIRES: the store has a journal.
    cdef uint64_t rows_after(self, uint64_t since, Py_ssize_t limit, bint foreign, list rows,
                             uint64_t* oldest) except? 0
    cdef uint64_t last_change(self, uint64_t* oldest) except? 0
    cdef object key_of_change(self, int op, const char* data, size_t size)


# Refuse what the option ``journal=`` does not take.
cdef int check_journal(object wanted) except -1
