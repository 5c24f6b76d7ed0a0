"""A native store on disk as the slow tier of a cascade."""

from door43fast.native.lmdb_records cimport Found
from door43fast.native.tiers cimport Fetched, Tier

cdef class LmdbTier(Tier):
    cdef int tell(self, Found* found, Fetched* fetched) except -1
