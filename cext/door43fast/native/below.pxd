"""What a cascade answers from its slow tier alone."""

from door43fast.native.core cimport Core
from door43fast.native.memory cimport MemoryEngine

cdef class Below(Core):
    cdef readonly MemoryEngine fast
    cdef readonly object slow

    cdef object below(self)
