"""The tags that an entry carries before or after its change, by what they are called where it is kept."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc


cdef struct Labels:
    size_t count
    PyObject* label[1]      # owned; ``count`` of them


cdef inline Labels* labels_new(size_t room) noexcept nogil:
    """Room for so many; NULL where there is no memory."""
    cdef Labels* labels = <Labels*>malloc(sizeof(Labels) + room * sizeof(PyObject*))
    if labels != NULL:
        labels.count = 0
    return labels


cdef inline void labels_add(Labels* labels, PyObject* label) noexcept:
    """Runs no Python code. To NULL nothing is added."""
    if labels != NULL:
        Py_INCREF(<object>label)
        labels.label[labels.count] = label
        labels.count += 1


cdef inline void labels_free(Labels* labels) noexcept:
    cdef size_t i
    if labels != NULL:
        for i in range(labels.count):
            Py_DECREF(<object>labels.label[i])
        free(labels)


cdef inline tuple labels_tuple(const Labels* labels):
    cdef size_t i
    return () if labels == NULL else tuple([<object>labels.label[i] for i in range(labels.count)])
