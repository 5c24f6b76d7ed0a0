"""Keys and values of a store on disk: to bytes and back."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.clock cimport Clock
from door43fast.native.compression cimport Compression
from door43fast.native.core cimport Core
from door43fast.native.environment cimport Environment
from door43fast.native.frame cimport Draft, Frame, Slice
from door43fast.native.keys cimport KeyCodec, KeyMode
from door43fast.native.longrow cimport LONGEST_KEY
from door43fast.native.recording cimport Recording

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object)
    bint PyBytes_CheckExact(object)

cdef enum:
    MARK_RAW = 0
    MARK_STR = 1


cdef class ValueEngine(Core):
    cdef Environment home
    cdef readonly dict plan
    cdef KeyCodec key_codec
    cdef KeyMode mode
    cdef object codec
    cdef object absent              # what fetch and fetch_many give for a key without a value
    cdef bint native_values         # bytes and str need no codec
    cdef Compression compression
    cdef bint readonly
    cdef int64_t default_ttl        # nanoseconds, -1 for none
    cdef Clock clock
    cdef Recording recording        # of reads, the last one; None until the first
    cdef uint64_t hits
    cdef uint64_t misses
    cdef uint64_t sets
    cdef uint64_t deletes
    cdef uint64_t expirations

    # ClosedError or ReadOnlyError, if this call may not go on.
    cdef int begin(self, bint writing) except -1
    # Point ``out`` to the bytes of ``key``; they live as long as the object that is returned.
    cdef object slice_key(self, object key, Slice* out)
    # Record a read of ``key``. REQUIRES: there is a recording.
    cdef int note(self, object key) except -1
    cdef object key_of(self, const char* data, size_t size)
    cdef object name_of(self, const char* data, size_t size)
    # Fill payload and mark; they live as long as the object that is returned. May run Python code.
    cdef object draft_value(self, object value, Draft* draft)
    # The same, compressed if the store compresses and it pays.
    cdef object draft_packed(self, object value, Slice key, Draft* draft)
    # The payload as bytes or str, out of the map. No object is made that the collector looks after, and nothing is
    # raised but MemoryError: so no Python code runs here, not even a finalizer. Text of which it is not sure that it is
    # UTF-8 stays bytes, and a fault is a number: ``settle`` makes text and exception of them. ``txn`` is the snapshot
    # that the frame lies in; NULL where it is known not to be chunked. REQUIRES: entered, or a copy of the frame.
    cdef object lift(self, const Frame* frame, MDB_txn* txn)
    # What was lifted as the value it stands for. May run Python code. REQUIRES: not entered.
    cdef object settle(self, uint8_t mark, object lifted)
    # The exception for a fault that was lifted in place of a payload.
    cdef int refuse_fault(self, object lifted) except -1

    # Whether what was lifted is the value already.
    cdef inline bint settled(self, uint8_t mark, object lifted) noexcept:
        return self.native_values and (PyUnicode_CheckExact(lifted) if mark == MARK_STR else
                                       mark == MARK_RAW and PyBytes_CheckExact(lifted))

    # Nanoseconds of the store's clock; 0 for no expiry, -1 for expired at once.
    cdef int64_t deadline_of(self, object ttl) except -2
    # 16 bytes for each tag, None for no tags.
    cdef bytes tag_hashes(self, object tags)
    # What a draft carries of tags, for ``draft_carry``: 16 bytes for each, then their names, then how many.
    cdef bytes tags_whole(self, object tags)
    # The exception for a status of a read.
    cdef int fault(self, int rc, object key) except -1
    cdef int64_t now(self) noexcept nogil
