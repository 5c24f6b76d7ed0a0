"""The tags of a memory table: each has a generation, which its entries remember from when they were set.

Raising the generation makes every entry that carries the tag stale at once, in O(1). A tag that no entry carries
any more is forgotten, so tags do not pile up.
"""

from cpython.object cimport PyObject
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from door43fast.native.labels cimport labels_add, labels_new

cdef extern from "Python.h":
    PyObject* PyList_GET_ITEM(object, Py_ssize_t) noexcept


cdef tuple tag_names(object tags):
    """The tags of a call as exact str, each once; anything else is refused."""
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r} is one str: give a list or tuple of tags, such as tags=({tags!r},)")
    cdef list names = []
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}: {tag!r}")
        tag = str.__str__(tag)
        if tag not in names:
            names.append(tag)
    return tuple(names)


cdef class TagTable:
    def __cinit__(self):
        self.numbers = {}
        self.names = []
        self.free_numbers = []

    def __dealloc__(self):
        free(self.cells)

    cdef Extra* claim(self, tuple tags) except NULL:
        """An Extra that carries ``tags`` at their present generations. The caller owns it; see ``release``."""
        cdef Extra* x = <Extra*>calloc(1, sizeof(Extra) + len(tags) * sizeof(x.tag[0]))
        cdef TagCell* grown
        cdef uint32_t number, size
        if x == NULL:
            raise MemoryError()
        try:
            for tag in tags:
                found = self.numbers.get(tag)
                if found is None:
                    if self.free_numbers:
                        number = self.free_numbers[-1]
                        self.names[number] = tag
                    else:
                        number = <uint32_t>len(self.names)
                        if number == self.capacity:
                            size = max(self.capacity * 2, 16)
                            grown = <TagCell*>realloc(self.cells, size * sizeof(TagCell))
                            if grown == NULL:
                                raise MemoryError()
                            self.cells = grown
                            self.capacity = size
                        self.names.append(tag)
                        self.free_numbers.append(number)
                        self.cells[number].generation = 0
                        self.cells[number].uses = 0
                    self.numbers[tag] = number
                    self.free_numbers.pop()
                else:
                    number = found
                self.cells[number].uses += 1
                x.tag[x.tags].tag = number
                x.tag[x.tags].generation = self.cells[number].generation
                x.tags += 1
        except BaseException:
            self.release(x)
            raise
        return x

    cdef Extra* again(self, const Extra* x) except NULL:
        """Another Extra like ``x``, whose tags it carries at the same generations. The caller owns it."""
        cdef size_t size = sizeof(Extra) + x.tags * sizeof(x.tag[0])
        cdef Extra* copy = <Extra*>malloc(size)
        cdef uint32_t i
        if copy == NULL:
            raise MemoryError()
        memcpy(copy, x, size)
        for i in range(x.tags):
            self.cells[x.tag[i].tag].uses += 1
        return copy

    cdef void release(self, Extra* x) noexcept:
        """Let go of an Extra and of its tags. Touches only our own dict and lists of exact str and int."""
        cdef uint32_t i, number
        for i in range(x.tags):
            number = x.tag[i].tag
            self.cells[number].uses -= 1
            if not self.cells[number].uses:
                # The generation stays with the cell and only rises, so no older entry can match it again.
                del self.numbers[self.names[number]]
                self.names[number] = None
                self.free_numbers.append(number)
        free(x)

    cdef Labels* labels(self, const Extra* x, const Extra* y) noexcept:
        """NULL where there are none, or no memory for them."""
        cdef uint32_t first = 0 if x == NULL else x.tags
        cdef uint32_t second = 0 if y == NULL else y.tags
        cdef uint32_t i
        cdef Labels* labels = labels_new(first + second) if first + second else NULL
        for i in range(first):
            labels_add(labels, PyList_GET_ITEM(self.names, x.tag[i].tag))
        for i in range(second):
            labels_add(labels, PyList_GET_ITEM(self.names, y.tag[i].tag))
        return labels

    cdef bint invalidate(self, str tag) except -1:
        number = self.numbers.get(tag)
        if number is not None:
            self.cells[<uint32_t>number].generation += 1
        return number is not None
