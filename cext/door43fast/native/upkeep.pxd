"""What is done to the directory of a store as a whole: readers listed, a file written anew, a damaged one set aside."""

from clib.lmdb cimport MDB_env

# The table of readers of an open environment, as LMDB writes it, into a list of the caller's. Makes text only, so no
# Python code runs here. A status.
cdef int reader_lines(MDB_env* env, list lines) noexcept
# The same, read with status ``rc``, taken apart: a list of contracts.Reader. ``newest`` is the last transaction.
# REQUIRES: not entered.
cdef list list_readers(list lines, int rc, size_t newest)
# ``copy()``, while ``progress(done, total, name)`` is told how far ``file`` has grown; at once where it is None.
cdef object watched(object copy, str file, size_t total, object progress)
# Move the files of a damaged store into a directory beside it, whose name is returned. REQUIRES: not open here.
cdef str set_aside(str path)
