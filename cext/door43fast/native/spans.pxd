"""The memory of large results, which serves one after another. The rules are in cext/include/d43_spans.h."""

cdef class Span:
    cdef char* data
    cdef Py_ssize_t size
    cdef size_t held        # bytes of the memory, at least ``size``

cdef void span_free(void* p, size_t size) noexcept nogil
cdef void* span_grow(void* p, size_t had, size_t used, size_t* size) noexcept nogil
cdef void* span_fit(void* p, size_t had, size_t* size) noexcept nogil
# The memory of ``held`` bytes at ``data`` as an array of ``count`` that owns it; the pointer there becomes NULL.
cdef object span_array(char** data, size_t held, Py_ssize_t count, dtype)
