"""The clock of a store: monotonic, wall, or a cell that a test sets. Reading it never runs Python code."""

from libc.stdint cimport int64_t

cdef extern from "d43_clock.h" nogil:
    int64_t d43_monotonic_ns() noexcept
    int64_t d43_wall_ns() noexcept

cdef extern from "d43_section.h" nogil:
    int64_t clock_cell "D43_NOW"(int64_t place) noexcept

cdef enum ClockKind:
    MONOTONIC
    WALL
    MANUAL

cdef class Clock:
    cdef ClockKind kind
    cdef int64_t cell

    cdef inline int64_t now(self) noexcept nogil:
        if self.kind == MONOTONIC:
            return d43_monotonic_ns()
        if self.kind == WALL:
            return d43_wall_ns()
        return clock_cell(self.cell)

cdef int64_t span_ns(object seconds, str what) except -1
