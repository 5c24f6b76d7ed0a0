"""The clocks that stores read, in nanoseconds, and the reading of time spans given by a caller."""

from datetime import timedelta

cdef extern from *:
    """
    #define d43_clock_add(cell, span) ((void)__atomic_add_fetch(cell, span, __ATOMIC_RELAXED))
    """
    void clock_add "d43_clock_add"(int64_t* cell, int64_t span) noexcept nogil

cdef double LONGEST = 3e9  # seconds: below 2**63 nanoseconds when added to the wall clock of this century


cdef class Clock:
    """A source of time: ``Clock("monotonic")``, ``Clock("wall")``, or :class:`ManualClock`."""

    def __cinit__(self, str kind="monotonic"):
        if kind == "monotonic":
            self.kind = MONOTONIC
        elif kind == "wall":
            self.kind = WALL
        elif kind == "manual":
            self.kind = MANUAL
        else:
            raise ValueError(f"a clock is 'monotonic', 'wall' or 'manual', not {kind!r}")

    @property
    def seconds(self):
        """The time now, in seconds."""
        return self.now() / 1e9


cdef class ManualClock(Clock):
    """A clock that stands still until :meth:`advance` is called: for tests, in place of sleeping."""

    def __cinit__(self, kind="manual"):
        self.kind = MANUAL
        self.cell = 1_000_000_000_000_000_000

    def advance(self, double seconds):
        """Move the clock by ``seconds``, which may be negative (a wall clock that is set back)."""
        clock_add(&self.cell, <int64_t>(seconds * 1e9))


cdef int64_t span_ns(object seconds, str what) except -1:
    """Nanoseconds of a span given as seconds or a timedelta; negative, NaN and endless ones are refused."""
    cdef double value
    if isinstance(seconds, timedelta):
        value = seconds.total_seconds()
    elif isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        value = seconds
    else:
        raise TypeError(f"{what} is seconds (a number) or a timedelta, not {type(seconds).__name__}")
    if not 0 <= value <= LONGEST:
        raise ValueError(f"{what}={seconds!r} is out of range: give seconds from 0 to {LONGEST:.0f}, "
                         "or None for no expiry")
    return <int64_t>(value * 1e9)
