"""A recording of the keys that a store is asked for: their hashes, on their way to a file.

The store puts the hash of each key that is read, found or not, where ``tape.at`` points, under the GIL; see
``d43_tape.h`` for how they get from there to the file, and ``docs/format.md`` for what is in it. A store keeps its last
recording alive and notices that it has ended when it next wants to record.
"""

import atexit
import os
import warnings
import weakref

from cython cimport critical_section
from libc.stdint cimport uint64_t

from door43fast import recordings
from door43fast.errors import ConfigError

cdef extern from "d43_tape.h" nogil:
    ctypedef struct Block "d43_tape_block":
        pass
    bint d43_tape_turn(Tape* t)
    bint d43_tape_is_ours(const Tape* t)
    int d43_tape_begin(Tape* t, int fd, uint64_t bytes, uint64_t limit)
    Block* d43_tape_off(Tape* t)
    int d43_tape_end(Tape* t, Block* filling)
    int d43_tape_fault(const Tape* t)

cdef extern from "d43_fork.h" nogil:
    int d43_fork_watch()

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)

if d43_fork_watch():
    raise MemoryError("door43fast cannot watch for forks: pthread_atfork failed")

cdef object UNDER_WAY = weakref.WeakSet()


def _end_all():
    """At the end of the process: what was read is written, and errors are told."""
    for recording in list(UNDER_WAY):
        recording._close()


atexit.register(_end_all)


cdef int _warn(str path, int fault) except -1:
    warnings.warn(f"the recording of reads into {path!r} ended early, and holds what came before: "
                  f"{os.strerror(fault)}", RuntimeWarning, stacklevel=2)
    return 0


cdef class Recording:
    """The recording of a store's reads into a file, begun by ``store.record_trace(path)``. Also a context manager.

    It ends with :meth:`stop`, with its context, with the store's ``close``, and with the process.
    """

    def __init__(self, path, sample=1.0):
        cdef int rc, fd
        if self.begun or self.path is not None:
            raise TypeError("a recording is begun once")
        self.sample = recordings.checked_sample(sample)
        name = os.fspath(path)
        self.path = os.fsdecode(name)
        fd = recordings.create(name, self.sample)
        rc = d43_tape_begin(&self.tape, fd, recordings.HEAD.size, recordings.limit(self.sample))
        if rc:
            os.close(fd)
            raise OSError(rc, os.strerror(rc), self.path)
        self.begun = True
        UNDER_WAY.add(self)

    def __dealloc__(self):
        cdef Block* filling
        cdef int fault
        if self.begun:
            filling = d43_tape_off(&self.tape)
            with nogil:
                fault = d43_tape_end(&self.tape, filling)
            if fault:
                _warn(self.path, fault)

    cdef bint turn(self) noexcept:
        return d43_tape_turn(&self.tape)

    @property
    def active(self):
        """Whether reads are being recorded: it was not ended, no write failed, and this is no child of a fork."""
        cdef bint yes
        spin_lock(&self.lock)
        yes = self.begun and self.tape.at != NULL and d43_tape_is_ours(&self.tape) and not d43_tape_fault(&self.tape)
        spin_unlock(&self.lock)
        return yes

    @property
    def asked(self):
        """Reads of the store that have reached the file, those that the sample leaves out included."""
        return d43_load(&self.tape.asked)

    @property
    def recorded(self):
        """Reads that were written to the file so far; all of them after :meth:`stop`."""
        return d43_load(&self.tape.kept)

    cdef int end(self) except -1:
        """Write what there is and close the file. Waits for the disk, without the GIL."""
        cdef Block* filling
        cdef bint mine
        spin_lock(&self.lock)
        mine = self.begun
        self.begun = False          # for others, while the GIL is let go of
        if mine:
            filling = d43_tape_off(&self.tape)
        spin_unlock(&self.lock)
        if mine:
            with nogil:
                self.fault = d43_tape_end(&self.tape, filling)
        return 0

    def stop(self):
        """End it, and return when the file is complete. A second call does nothing.

        Raises
        ------
        OSError
            Something could not be written: the file holds what came before. The store has lost nothing.
        """
        self.end()
        cdef bint tell
        with critical_section(self):
            tell = self.fault and not self.told
            if tell:
                self.told = True
        if tell:
            raise OSError(self.fault, f"the recording ended early: {os.strerror(self.fault)}", self.path)

    def _close(self):
        """``stop`` for those who must go on: an error is told as a warning."""
        try:
            self.stop()
        except OSError as error:
            _warn(self.path, error.errno)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __repr__(self):
        return (f"<Recording into {self.path!r}, {'active' if self.active else 'ended'}, "
                f"{self.recorded} of {self.asked} reads written>")


cdef Recording recording_begin(Recording last, object path, object sample):
    if last is not None and last.active:
        raise ConfigError(f"the reads of this store are being recorded into {last.path!r}: call stop() of that "
                          "recording first")
    return Recording(path, sample)
