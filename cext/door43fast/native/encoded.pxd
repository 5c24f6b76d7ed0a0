"""A value that a tier keeps encoded, so that each reader gets an object of its own."""

cdef class Encoded:
    cdef int mark
    cdef bytes payload

cdef Encoded NOTHING        # stands for no value at all: the slow tier was asked, and had none
