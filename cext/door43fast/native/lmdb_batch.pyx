"""The keys and values of one call on a store on disk, in C memory that code without the GIL may walk."""

from cpython.object cimport PyObject
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from door43fast.native.compression cimport Rules, room_for
from door43fast.native.lmdb_order cimport order_places
from door43fast.native.longrow cimport LONGEST_KEY
from door43fast.native.told cimport told_free, told_labels

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef extern from "d43_str.h" nogil:
    bint d43_str_plain(PyObject*, const char**, size_t*)

cdef extern from "Python.h":
    PyObject** PySequence_Fast_ITEMS(object) noexcept

cdef enum:
    KEYS_AHEAD = 16


cdef class Batch:

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.packed != NULL:
            for i in range(self.held):
                free(self.packed[i])
        for i in range(self.ears):
            told_free(&self.told[i])
        free(self.told)
        free(self.packed)
        free(self.places)
        free(self.drafts)
        free(self.numbers)

    cdef int reserve(self, Py_ssize_t count) except -1:
        self.places = <Place*>malloc(max(count, 1) * sizeof(Place))
        if self.places == NULL:
            raise MemoryError(f"no memory for a batch of {count} keys")
        self.owners = []
        self.count = count
        return 0

    cdef bint plain(self) noexcept:
        """Point the places to the bytes of the names, without the GIL, if all are ASCII and of a good length."""
        cdef PyObject** names = PySequence_Fast_ITEMS(self.names)
        cdef Place* place = self.places
        cdef Py_ssize_t i, n = self.count
        with nogil:
            for i in range(n):
                if i + KEYS_AHEAD < n:
                    d43_prefetch(names[i + KEYS_AHEAD])
                if not d43_str_plain(names[i], &place[i].key.data, &place[i].key.size) or \
                        place[i].key.size - 1 >= LONGEST_KEY:
                    return False
                place[i].index = i
        return True

    cdef int draft(self) except -1:
        self.drafts = <Draft*>calloc(self.count or 1, sizeof(Draft))
        if self.drafts == NULL:
            raise MemoryError(f"no memory for a batch of {self.count} values")
        return 0

    cdef int listen(self, bint heard) except -1:
        if heard and self.told == NULL:
            self.told = <Slice*>calloc(self.count or 1, sizeof(Slice))
            if self.told == NULL:
                raise MemoryError(f"no memory for the tags of {self.count} records")
            self.ears = self.count
        return 0

    cdef Labels* labels(self, Py_ssize_t place) except? NULL:
        return told_labels(&self.told[place]) if self.told != NULL else NULL

    cdef int arrange(self) except -1:
        cdef Py_ssize_t kept
        with nogil:
            kept = order_places(self.places, self.count)
        if kept < 0:
            raise MemoryError(f"no memory to sort {self.count} keys")
        self.count = kept
        return 0

    cdef int pack(self, Compression compression) except -1:
        cdef Rules rules
        cdef Draft* draft
        cdef char* room = NULL
        cdef size_t largest = 0
        cdef Py_ssize_t i
        cdef int rc = 0
        for i in range(self.count):
            largest = max(largest, room_for(self.drafts[i].payload.size))
        if not compression.writes or largest == 0:
            return 0
        rules = compression.current()
        self.packed = <char**>calloc(self.count, sizeof(char*))
        self.held = self.count
        room = <char*>malloc(largest)
        if self.packed != NULL and room != NULL:
            with nogil:
                for i in range(self.count):
                    draft = &self.drafts[i]
                    if room_for(draft.payload.size) == 0:
                        continue
                    rc = compression.pack(rules, self.places[i].key, draft, room, largest)
                    if rc < 0:
                        break
                    if rc:
                        self.packed[i] = <char*>malloc(draft.payload.size)
                        if self.packed[i] == NULL:
                            rc = -1
                            break
                        memcpy(self.packed[i], room, draft.payload.size)
                        draft.payload.data = self.packed[i]
        free(room)
        if self.packed == NULL or room == NULL or rc < 0:
            raise MemoryError(f"no memory to compress a batch of {self.count} values")
        return 0
