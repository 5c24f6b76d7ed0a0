"""The cascade: a memory store over a slower one."""

from cpython.object cimport PyObject

from door43fast.native.stack_writes cimport Publishing

cdef class CascadeEngine(Publishing):
    cdef object __weakref__
    cdef PyObject* get_slowly(self, PyObject** args, Py_ssize_t n, PyObject* names, PyObject* held) except NULL
