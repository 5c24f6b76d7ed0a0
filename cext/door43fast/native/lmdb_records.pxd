"""Single records of a store on disk: how they are found, written, erased and reaped inside a transaction."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from clib.lmdb cimport MDB_cursor, MDB_txn, MDB_val
from clib.xxhash cimport XXH128_canonicalFromHash, XXH128_canonical_t, XXH3_128bits, XXH3_64bits
from door43fast.native.core cimport EventQueue
from door43fast.native.environment cimport d43_line, d43_waiter
from door43fast.native.frame cimport Draft, Frame, Slice
from door43fast.native.journal cimport ORIGIN, Change
from door43fast.native.lmdb_values cimport ValueEngine
from door43fast.native.longrow cimport MAX_KEY, key_free, key_keep
from door43fast.native.marks cimport Mark, Marks, marks_touch
from door43fast.native.told cimport told_free
from door43fast.native.watches cimport News

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)

cdef enum:
    TOKEN = 16
    FEW = 4                 # due records that a write reaps by the way
    HEAP = 256              # due records that one transaction of expire() reaps

cdef enum Verb:
    PUT                     # whatever was there
    PUT_NEW                 # only if nothing is there
    PUT_SAME                # only if what is there has the token
    PUT_FLIGHT              # only if the flight was not voided
    ERASE
    TOUCH                   # a new deadline, all else as it was


# Keys of records that were reaped: copied under the writer lock, told of after it.
cdef struct Reaped:
    Slice* names            # ``limit`` places
    char* keys              # of MAX_KEY bytes each; a long key has memory of its own
    Slice* tags             # ``limit`` places: what each carried, where somebody listens by tag
    int limit
    int count


# One change of one record, and what came of it.
cdef struct Job:
    d43_waiter waiter       # its place in line, and status; first, so that the one is found from the other
    Verb verb
    Slice key
    Draft draft
    const char* token       # TOKEN bytes, or NULL for "nothing is there"
    bint guarded            # PUT_FLIGHT: the token counts too
    const bint* voided
    void* mark              # PUT_FLIGHT: a Mark, or NULL; borrowed
    bint durable
    bint busy               # out: refused only because a change of ours has not voided its flights yet
    bint existed            # out: something was there, and alive
    Slice taken             # out, if ``take``: a copy (malloc) of the whole old frame
    Slice large             # out, if ``take`` and it was chunked: a copy (malloc) of the whole value
    bint take
    Slice tags              # out: what it carries before and after, where somebody listens by tag
    uint64_t seq            # out: number of the first event, 0 for none
    uint64_t events         # out: how many were reserved, the reaped first
    Reaped reaped


# What a read tells beside the value; for layers above.
cdef struct Found:
    int64_t deadline        # Unix ns on the store's clock, 0 for none
    int64_t stale           # ns of stale window behind it
    uint8_t state           # a frame.State: GONE, FRESH, STALE, EXPIRED, INVALID
    uint8_t mark            # contracts.RAW ...
    uint8_t tagged          # carries tags: an invalidation elsewhere may end it
    uint8_t flags


cdef class RecordEngine(ValueEngine):
    # Of transactions. ``pending`` is one that we are about to commit: what readers see under that number is ours, or
    # another process's if our commit has failed, and close_write says which.
    cdef News news
    cdef uint64_t unvoided          # changes of ours that are committed, but whose flights are not voided yet

    cdef char origin[ORIGIN]        # what changes of this store are marked with in a journal
    # The newest changes without a gap that are all of this store: number of the first in the upper 40 bits, how many in
    # the lower 24. Atomic.
    cdef uint64_t own_run

    # Of computations in all processes; None, and NULL, for whoever only reads.
    cdef Marks marks
    cdef uint64_t* mark_words

    cdef uint64_t generation        # number of the fork in which ``unvoided`` was counted and ``line`` was made
    cdef d43_line line              # of jobs under ``commit``

    # Whether somebody listens by tag: then each change notes which tags its record carries.
    cdef inline bint labelled(self) noexcept nogil:
        return self.events is not None and self.events.labelled()

    # REQUIRES: the GIL, entered.
    cdef int announce(self) except -1

    # A number that has changed if any other process, or other store of this process, has committed to the same
    # directory since it was last asked. Needs neither GIL nor gate; a few nanoseconds.
    cdef uint64_t foreign_epoch(self) noexcept nogil
    # Account for all transactions up to ``newest``, which readers see.
    cdef void account(self, uint64_t newest) noexcept nogil
    # The newest transaction that a reader sees, asked of LMDB; UNSURE where that cannot be done without waiting.
    cdef uint64_t seen_by_reader(self) noexcept nogil

    # A key is taken out, or was not there: computations of it in other processes are not to be stored.
    # REQUIRES: the writer lock.
    cdef inline void void_elsewhere(self, Slice key) noexcept nogil:
        if self.mark_words != NULL:
            marks_touch(self.mark_words, XXH3_64bits(key.data, key.size) or 1)

    cdef int find(self, MDB_txn* txn, Slice key, Frame* frame, int64_t now) noexcept nogil
    cdef int generation_of(self, MDB_txn* txn, const char* tag, uint64_t* generation) noexcept nogil
    # Note the tags of what is there, if it can be read, and those of ``draft``. A status.
    cdef int note_tags(self, MDB_txn* txn, Slice key, const Draft* draft, int64_t now, Slice* out) noexcept nogil
    cdef int judge(self, MDB_txn* txn, Frame* frame, int64_t now) noexcept nogil
    # With ``cursor``, one of the data, and ``order`` MDB_APPEND if the key comes after all others.
    cdef int put(self, MDB_txn* txn, MDB_cursor* cursor, unsigned int order, Slice key,
                 const Draft* draft) noexcept nogil
    # ``change`` is what a journal calls it, NO_CHANGE if it is told of otherwise.
    cdef int erase(self, MDB_txn* txn, Slice key, const Frame* old, Change change) noexcept nogil
    cdef uint64_t sum_of(self, const MDB_val* value) noexcept nogil
    cdef void wrote_changes(self, uint64_t first, uint64_t count) noexcept nogil
    cdef int reap(self, MDB_txn* txn, int64_t now, Reaped* reaped) noexcept nogil
    cdef bint expiring(self, MDB_txn* txn) noexcept nogil
    cdef int open_write(self, MDB_txn** txn) noexcept nogil
    cdef int close_write(self, MDB_txn* txn, EventQueue queue, uint64_t events, uint64_t* seq) noexcept nogil


cdef inline void frame_token(const Frame* frame, char* out) noexcept nogil:
    """What tells whether a record changed: a hash over all of its frame."""
    cdef XXH128_canonical_t hash
    XXH128_canonicalFromHash(&hash, XXH3_128bits(frame.whole.data, frame.whole.size))
    memcpy(out, hash.digest, TOKEN)


cdef inline void reaped_clear(Reaped* reaped) noexcept nogil:
    while reaped.count:
        reaped.count -= 1
        key_free(reaped.names[reaped.count])
        told_free(&reaped.tags[reaped.count])
