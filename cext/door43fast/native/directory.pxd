"""The directory of a store: what may be opened, what must be refused, and what is synced there."""

cdef object inspect(str path)
cdef int prepare(str path) except -1
cdef int sync_directory(str path) except -1
cdef list stale_markers(str path)
cdef object place_marker(str path)
cdef int remove_marker(object marker, str path) except -1
cdef object alone(str path)
cdef object claim(str path, str durability)
