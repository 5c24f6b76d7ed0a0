"""The directory of a store: what may be opened, what must be refused, and what is synced there."""

cdef object inspect(str path)
# Take away what creating a store has left that the system went down under. REQUIRES: alone, ``inspect`` found none.
cdef int clear(str path) except -1
cdef int prepare(str path) except -1
cdef int sync_directory(str path) except -1
cdef list stale_markers(str path)
cdef object place_marker(str path)
cdef int sweep(str path) except -1
cdef int remove_marker(object marker, str path) except -1
cdef object alone(str path)
# Whether the store in ``path``, which this process has open with the options ``mine``, may be opened with others.
cdef int agree(str path, dict mine, dict theirs) except -1
cdef object claim(str path, str durability)
