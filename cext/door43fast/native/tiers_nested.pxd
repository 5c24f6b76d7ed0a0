"""A cascade as the slow tier of another one."""

from door43fast.native.coherence cimport Coherent
from door43fast.native.tiers cimport Tier

cdef class NestedTier(Tier):
    cdef Coherent cascade

cdef Tier tier_over(object store, bint share)
