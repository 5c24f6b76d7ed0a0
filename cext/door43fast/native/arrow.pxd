"""The Arrow C data interface: a packed batch as a ``large_binary`` array."""

from libc.stdint cimport int64_t

cdef object schema_capsule()
# Without a copy of data and offsets: ``owner`` is kept until the consumer releases the array.
cdef object array_capsule(owner, Py_ssize_t count, const char* data, const int64_t* offsets, const char* found)
