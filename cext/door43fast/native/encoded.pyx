"""A value that a tier keeps encoded, so that each reader gets an object of its own."""


cdef class Encoded:
    def __cinit__(self, int mark, bytes payload not None):
        self.mark = mark
        self.payload = payload


NOTHING = Encoded(-1, b"")
