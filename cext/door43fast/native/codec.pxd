"""The codec "auto": each value under the mark that says how its bytes are read."""

cdef class AutoCodec:
    cdef readonly str name

    cpdef tuple encode(self, value)
    cpdef object decode(self, int mark, payload)
