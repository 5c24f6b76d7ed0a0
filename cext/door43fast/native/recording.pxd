"""A recording of the keys that a store is asked for: their hashes, on their way to a file."""

from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.core cimport spin_lock, spin_unlock

cdef extern from "d43_tape.h" nogil:
    ctypedef struct Tape "d43_tape":
        uint64_t* at
        uint64_t* end
        int error
        uint64_t asked
        uint64_t kept

cdef class Recording:
    cdef object __weakref__
    cdef uint32_t lock          # guards ``tape`` and ``begun``, where there is no GIL
    cdef Tape tape
    cdef bint begun
    cdef bint told              # its error was raised, or warned of
    cdef int fault              # errno with which it ended
    cdef readonly str path
    cdef readonly double sample

    # Make room for one more hash. False: it records no more. Runs no Python code.
    cdef bint turn(self) noexcept
    cdef int end(self) except -1

    # Record one read, by the hash of its key. False: it records no more. Runs no Python code. The lock is held even
    # where the file has to be waited for, in which everybody else who records would only join.
    cdef inline bint put(self, Py_hash_t h) noexcept:
        cdef bint room
        spin_lock(&self.lock)
        room = self.tape.at != self.tape.end or self.turn()
        if room:
            self.tape.at[0] = <uint64_t>h
            self.tape.at += 1
        spin_unlock(&self.lock)
        return room

# A new recording of a store whose last one, or None, was ``last``.
cdef Recording recording_begin(Recording last, object path, object sample)
