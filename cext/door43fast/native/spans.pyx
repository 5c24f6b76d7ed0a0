"""The memory of large results, which serves one after another. The rules are in cext/include/d43_spans.h."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo

cdef extern from "d43_spans.h" nogil:
    int d43_spans_start()
    size_t d43_spans_kept()
    void d43_span_free(void*, size_t)
    void* d43_span_grow(void*, size_t, size_t, size_t*)
    void* d43_span_fit(void*, size_t, size_t*)

if d43_spans_start():
    raise MemoryError("door43fast cannot watch for forks: pthread_atfork failed")


def kept():
    """Bytes of memory of former results that are kept for the next ones; none a second or two after the last."""
    return d43_spans_kept()


@cython.auto_pickle(False)      # it would read the memory as text
cdef class Span:
    """A piece of C memory that NumPy arrays share; given back with the last of them."""

    def __dealloc__(self):
        d43_span_free(self.data, self.held)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 0, flags)


cdef void span_free(void* p, size_t size) noexcept nogil:
    d43_span_free(p, size)


cdef void* span_grow(void* p, size_t had, size_t used, size_t* size) noexcept nogil:
    return d43_span_grow(p, had, used, size)


cdef void* span_fit(void* p, size_t had, size_t* size) noexcept nogil:
    return d43_span_fit(p, had, size)


cdef object span_array(char** data, size_t held, Py_ssize_t count, dtype):
    import numpy
    cdef Span span = Span.__new__(Span)
    span.data = data[0]
    span.held = held
    data[0] = NULL
    kind = numpy.dtype(dtype)
    span.size = count * <Py_ssize_t>kind.itemsize
    return numpy.ndarray((count,), kind, span)
