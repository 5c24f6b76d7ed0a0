"""Large values: kept in chunks in a table of their own, and the record holds a head that says which. docs/format.md."""

from libc.stdint cimport uint32_t, uint64_t

from clib.lmdb cimport MDB_cursor, MDB_txn, MDB_val
from door43fast.native.compression cimport Compression
from door43fast.native.frame cimport Draft, Frame, Slice
from door43fast.native.handle cimport Handle

cdef enum:
    VALUE_ID = 16           # bytes
    HEAD = 32
    ROW_HEAD = 16           # of a row with a chunk: checksum, size before compression, 4 bytes of zero
    ROW_KEY = 21            # of its key: the kind, the id of the value, the number of the chunk, big-endian
    # Bytes of the value in each chunk but the last: with our head and that of LMDB's page 64 pages of 4096 bytes.
    CHUNK = 262144 - 16 - ROW_HEAD
    MOST_CHUNK = 16 << 20   # that is taken at its word

cdef enum Kind:             # of a row of the table
    WRITING = 0             # kind and id: a value that is being written and belongs to no record yet
    OWNED = 1               # kind and id: the key of the record that the value belongs to
    PIECE = 2


cdef struct Head:
    char id[VALUE_ID]
    uint64_t size           # of the value
    uint32_t chunk
    uint32_t count


cdef inline void row_key(char* out, Kind kind, const char* id, uint32_t number) noexcept nogil:
    cdef int i
    out[0] = <char>kind
    for i in range(VALUE_ID):
        out[1 + i] = id[i]
    for i in range(4):
        out[1 + VALUE_ID + i] = <char>(number >> (24 - 8 * i))


# All give a status. Those with a transaction for writing are called under the writer lock. REQUIRES: entered.

# What the frame of a chunked record says; FRAME_CORRUPT if it makes no sense.
cdef int head_read(const Frame* frame, Head* out) noexcept nogil
cdef void head_write(const Head* head, char* out) noexcept nogil
# An id that no value had before.
cdef int fresh_id(char* out) noexcept nogil
# Whether there are any rows, which others may have written: kept in ``home.chunked``.
cdef int chunks_look(Handle home, MDB_txn* txn) noexcept nogil
# Before the first row that is not of a record yet: the store is marked as one with large values.
cdef int chunks_begin(Handle home, MDB_txn* txn) noexcept nogil
cdef int chunk_put(Handle home, Compression compression, MDB_txn* txn, const char* id, uint32_t number, Slice data,
                   char* room) noexcept nogil
# Write the payload of ``draft`` in chunks for the record of ``key``; then its payload is a head, of HEAD bytes.
cdef int chunks_put(Handle home, Compression compression, MDB_txn* txn, Slice key, char* head,
                    Draft* draft) noexcept nogil
# The value of ``head``, which was written before, belongs to the record of ``key`` from now on; MDB_NOTFOUND if it is
# gone.
cdef int chunks_adopt(Handle home, MDB_txn* txn, Slice key, const char* head) noexcept nogil
# Remove the chunks of the record of ``key``, if it has any, unless they are those of the head ``keep``.
cdef int chunks_free(Handle home, MDB_txn* txn, Slice key, const char* keep) noexcept nogil
cdef int chunks_drop(Handle home, MDB_txn* txn, const char* id) noexcept nogil
# Remove everything but values that are being written.
cdef int chunks_clear(Handle home, MDB_txn* txn) noexcept nogil
# The content of a row: where it lies, or decompressed into ``room`` of ``head.chunk`` bytes.
cdef int chunk_get(Handle home, Compression compression, const char* name, const MDB_val* value, char* room,
                   size_t most, Slice* out) noexcept nogil
# One chunk, copied into ``room``; MDB_NOTFOUND if the value is gone. ``size`` is how many bytes it must have.
cdef int chunk_read(Handle home, Compression compression, MDB_txn* txn, const Head* head, uint32_t number,
                    char* room) noexcept nogil
# The whole value, ``head.size`` bytes.
cdef int chunks_read(Handle home, Compression compression, MDB_txn* txn, const Head* head, char* room) noexcept nogil


# The whole value of a frame, in memory (malloc) that is the caller's, whatever the status.
cdef int chunks_take(Handle home, Compression compression, MDB_txn* txn, const Frame* frame, Slice* out) noexcept nogil


cdef inline size_t chunk_size(const Head* head, uint32_t number) noexcept nogil:
    """Bytes of the value in chunk ``number``."""
    return head.chunk if number + 1 < head.count else head.size - <uint64_t>head.chunk * (head.count - 1)
