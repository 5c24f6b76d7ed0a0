"""How long the calls of a store take, one in so many: in a subclass that only measured stores have."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "d43_meter.h" nogil:
    ctypedef struct Gauge "d43_gauge":
        uint32_t left
        uint32_t every
        void* base
        uint64_t errors
        uint64_t sum
        uint64_t least
        uint64_t most
        uint64_t bucket[1]
    int64_t precise_ns "d43_precise_ns"()
    void gauge_add "d43_gauge_add"(Gauge* g, int64_t ns) noexcept

cdef enum Op:
    GET
    SET
    DELETE
    INCR
    GET_MANY
    SET_MANY
    DELETE_MANY
    GET_PACKED
    SET_PACKED
    FETCH               # of a cascade: one read of the slow tier
    OPS

cdef struct Gauges:
    bint on
    Gauge gauge[<int>OPS]

ctypedef PyObject* (*Counted)(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept

# Count one call down, and make it. A TypeError where there is no gauge: the store was given its class by hand.
cdef PyObject* counted(Gauge* g, PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept
# The hottest method, and what does all that a measured one does in its place, without a call of it. Set once.
cdef void* hottest
cdef Counted hottest_counted

# The time, if reads of the slow tier are measured; else 0.
cdef inline int64_t fetch_begin(void* gauges) noexcept:
    return precise_ns() if gauges != NULL and (<Gauges*>gauges).on else 0

cdef inline void fetch_end(void* gauges, int64_t begun) noexcept:
    if begun:
        gauge_add(&(<Gauges*>gauges).gauge[<int>FETCH], precise_ns() - begun)
