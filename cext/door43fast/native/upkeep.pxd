"""What is done to the directory of a store as a whole: readers listed, a file written anew, a damaged one set aside."""

from clib.lmdb cimport MDB_env

# The table of readers of an open environment, as a list of contracts.Reader. ``newest`` is the last transaction.
cdef list list_readers(MDB_env* env, size_t newest)
# ``copy()``, while ``progress(done, total, name)`` is told how far ``file`` has grown; at once where it is None.
cdef object watched(object copy, str file, size_t total, object progress)
# Move the files of a damaged store into a directory beside it, whose name is returned. REQUIRES: not open here.
cdef str set_aside(str path)
