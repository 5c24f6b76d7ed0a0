"""Zstandard in front of the disk: contexts, and the dictionaries that a store was trained with."""

from libc.stdint cimport uint32_t

from clib.lmdb cimport MDB_dbi, MDB_env, MDB_txn
from clib.zstd cimport ZSTD_CDict, ZSTD_DDict
from door43fast.native.frame cimport Draft, Frame, Slice
from door43fast.native.handle cimport Handle

cdef enum:
    # The longest value that is taken at its word about its size when it is decompressed; those of more than LARGE are
    # compressed in chunks.
    LARGEST_PACKED = 1 << 30
    LEAST_PACKED = 64           # bytes below which compression never pays for its size field
    MOST_DICTIONARIES = 1023    # of one store, numbered from 1 without a gap
    IDLE = 8                    # contexts of each kind that are kept: as many threads work without making one


cdef struct Rule:
    Slice prefix
    uint32_t id
    const ZSTD_CDict* table


cdef class Rules:
    """Which dictionary new values get, by the longest prefix that their key begins with. Never changed once made."""
    cdef Rule* items
    cdef Py_ssize_t count
    cdef list owners

    cdef const Rule* of(self, Slice key) noexcept nogil


cdef class Compression:
    cdef Handle home
    cdef readonly bint writes       # whether new values are compressed
    cdef Rules rules
    cdef bint behind                # a dictionary was met that the rules do not know
    cdef void** decoders            # ZSTD_DDict*, by number; each is set once, atomically, and lives as long as this
    cdef void** encoders            # ZSTD_CDict*, likewise; set with the GIL only
    cdef void* packers[IDLE]        # idle ZSTD_CCtx and ZSTD_DCtx: each is taken and put back atomically
    cdef void* unpackers[IDLE]

    # The rules for new values, read anew if another store has trained since. REQUIRES: the GIL, not entered.
    cdef Rules current(self)
    cdef int refresh(self) except -1
    # Compress the payload of ``draft`` into ``room`` if that makes it smaller; whether it did, or a status below 0.
    cdef int pack(self, Rules rules, Slice key, Draft* draft, char* room, size_t size) noexcept nogil
    cdef int pack_with(self, const ZSTD_CDict* table, uint32_t id, Draft* draft, char* room,
                       size_t size) noexcept nogil
    # ``size`` bytes into ``room`` of ``press_room(size)``, without a dictionary; how many they became, 0 if it does
    # not pay.
    cdef size_t press(self, const char* data, size_t size, char* room) noexcept nogil
    # The payload of a compressed frame into ``room``, ``frame.original`` bytes. Status. REQUIRES: entered.
    cdef int unpack(self, const Frame* frame, char* room) noexcept nogil
    cdef int decoder(self, uint32_t id, const ZSTD_DDict** out) noexcept nogil


cdef class Unpacked:
    """Payloads that were decompressed for one stretch of a batch."""
    cdef char** rooms
    cdef size_t count
    cdef size_t size

    # Let ``frame`` point to its payload as it was before compression, until clear. Status.
    cdef int take(self, Compression compression, Frame* frame) noexcept nogil
    cdef void clear(self) noexcept nogil


cdef size_t press_room(size_t size) noexcept nogil
# How much room ``pack`` needs for ``size`` bytes; 0 if they are not to be compressed.
cdef size_t room_for(size_t size) noexcept nogil
# The parts of a dictionary's row, checked: 0, MDB_NOTFOUND, FRAME_CORRUPT, or a status of LMDB.
cdef int read_dictionary(MDB_txn* txn, MDB_dbi meta, uint32_t id, Slice* prefix, Slice* body) noexcept nogil
# The row under a new number, in a transaction that is open for writing. Status.
cdef int write_dictionary(MDB_txn* txn, MDB_dbi meta, Slice prefix, Slice body, uint32_t* id) noexcept nogil
