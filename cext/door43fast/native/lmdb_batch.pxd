"""The keys and values of one call on a store on disk, in C memory that code without the GIL may walk."""

from door43fast.native.compression cimport Compression
from door43fast.native.frame cimport Draft, Slice
from door43fast.native.labels cimport Labels
from door43fast.native.lmdb_reads cimport Place


cdef class Batch:
    """Keys of one call, encoded; with values to write, drafted. Memory of its own, so that nogil code may walk it."""
    cdef Py_ssize_t count
    cdef Place* places
    cdef Draft* drafts      # NULL where nothing is written
    cdef list names         # the keys as given
    cdef list owners        # what keeps the bytes of keys and values alive
    cdef char* numbers      # the bytes of keys that came as an int64 array
    cdef char** packed      # compressed payloads, NULL where none is; ``held`` places
    cdef Py_ssize_t held
    cdef Slice* told        # by place: which tags its record carries before and after; NULL where nobody listens by tag
    cdef Py_ssize_t ears    # how many ``told`` has

    cdef int reserve(self, Py_ssize_t count) except -1
    cdef bint plain(self) noexcept
    cdef int draft(self) except -1      # room for a draft for each key
    # Room for what is told of tags, if somebody listens; a second call is as good as one.
    cdef int listen(self, bint heard) except -1
    cdef Labels* labels(self, Py_ssize_t place) except? NULL
    # Sort the places by the bytes of the keys and keep the last of equal ones: pages are then written side by side.
    cdef int arrange(self) except -1
    # Compress what is drafted, if the store compresses, without the GIL. REQUIRES: not yet arranged.
    cdef int pack(self, Compression compression) except -1
