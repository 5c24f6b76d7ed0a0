"""A memory store as the slow tier of a cascade, and what is known of a value in one."""

from libc.stdint cimport int64_t

from door43fast.native.memory cimport MemoryEngine
from door43fast.native.tiers cimport Fetched, Tier

cdef class MemoryTier(Tier):
    cdef MemoryEngine memory
    cdef int tell(self, object key, object value, Fetched* fetched) except -1

# What is known of ``value``, which ``store`` has just given for ``key``. Runs no Python code for keys of builtin types.
cdef int told_in_memory(MemoryEngine store, object key, object value, Fetched* fetched) except -1

# The value under ``key`` that is past its time but within its stale window, MISSING if there is none; ``age`` tells how
# long it is past. Leaves no trace, and runs no Python code for keys of builtin types.
cdef object past_in_memory(MemoryEngine store, object key, int64_t* age)
