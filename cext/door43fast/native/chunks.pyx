"""Large values: kept in chunks in a table of their own, and the record holds a head that says which.

LMDB keeps a value of more than a fraction of a page in pages of its own that lie side by side. Values of many sizes
leave gaps of many sizes, and the file grows for want of one that is long enough. Chunks are all of one size: what one
value leaves, the next one fits.

A value has an id that is never used again, so a chunk is of one version of one value for as long as it is there. Rows
of the kind OWNED tell whose they are, so that whatever chunk is left over is found out.
"""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits, XXH3_64bits_withSeed
from door43fast.native.compression cimport press_room
from door43fast.native.frame cimport CHUNKED, FRAME_CORRUPT, FRAME_HEADER, FRAME_NEWER, frame_read
from door43fast.native.longkeys cimport record_get
from door43fast.native.tables cimport HAS_CHUNKS, mark_format

cdef extern from "d43_clock.h" nogil:
    long long d43_wall_ns()

cdef extern from "<sys/random.h>" nogil:
    int getentropy(void*, size_t)

cdef extern from "<errno.h>" nogil:
    int errno


cdef int head_read(const Frame* frame, Head* out) noexcept nogil:
    if frame.payload.size != HEAD:
        return FRAME_CORRUPT
    memcpy(out.id, frame.payload.data, VALUE_ID)
    memcpy(&out.size, frame.payload.data + VALUE_ID, 8)
    memcpy(&out.chunk, frame.payload.data + VALUE_ID + 8, 4)
    memcpy(&out.count, frame.payload.data + VALUE_ID + 12, 4)
    if out.chunk == 0 or out.chunk > MOST_CHUNK or out.count == 0 or \
            out.size > <uint64_t>out.chunk * out.count or out.size <= <uint64_t>out.chunk * (out.count - 1):
        return FRAME_CORRUPT
    return 0


cdef void head_write(const Head* head, char* out) noexcept nogil:
    memcpy(out, head.id, VALUE_ID)
    memcpy(out + VALUE_ID, &head.size, 8)
    memcpy(out + VALUE_ID + 8, &head.chunk, 4)
    memcpy(out + VALUE_ID + 12, &head.count, 4)


cdef int fresh_id(char* out) noexcept nogil:
    """The time in front, so that values that are written one after the other lie so; then what nobody can guess."""
    cdef unsigned long long now = <unsigned long long>d43_wall_ns()
    cdef int i
    for i in range(8):
        out[i] = <char>(now >> (56 - 8 * i))
    return errno if getentropy(out + 8, VALUE_ID - 8) else 0


cdef int chunks_look(Handle home, MDB_txn* txn) noexcept nogil:
    cdef MDB_stat stat
    cdef int rc = mdb_stat(txn, home.chunks, &stat)
    if rc == 0:
        home.chunked = stat.ms_entries != 0
    return rc


cdef int chunks_begin(Handle home, MDB_txn* txn) noexcept nogil:
    if home.chunked:
        return 0
    home.chunked = True             # should the transaction fail, looking in vain does no harm
    return mark_format(txn, home.meta, HAS_CHUNKS)


cdef int chunk_put(Handle home, Compression compression, MDB_txn* txn, const char* id, uint32_t number, Slice data,
                   char* room) noexcept nogil:
    """``room`` is for the compressed chunk, see press_room; NULL if it is not to be compressed."""
    cdef MDB_val key, value
    cdef char name[ROW_KEY]
    cdef char* at
    cdef uint64_t checksum
    cdef uint32_t original = 0
    cdef size_t pressed
    cdef int rc
    if room != NULL:
        pressed = compression.press(data.data, data.size, room)
        if pressed:
            original = <uint32_t>data.size
            data.data = room
            data.size = pressed
    row_key(name, PIECE, id, number)
    key.mv_data = name
    key.mv_size = ROW_KEY
    value.mv_data = NULL
    value.mv_size = ROW_HEAD + data.size
    rc = mdb_put(txn, home.chunks, &key, &value, MDB_RESERVE)
    if rc:
        return rc
    at = <char*>value.mv_data
    memset(at, 0, ROW_HEAD)
    memcpy(at + 8, &original, 4)
    if data.size:
        memcpy(at + ROW_HEAD, data.data, data.size)
    checksum = XXH3_64bits_withSeed(at + 8, value.mv_size - 8, XXH3_64bits(name, ROW_KEY))
    memcpy(at, &checksum, 8)
    return 0


cdef int _own(Handle home, MDB_txn* txn, const char* id, Slice owner) noexcept nogil:
    cdef MDB_val key, value
    cdef char name[ROW_KEY]
    row_key(name, OWNED, id, 0)
    key.mv_data = name
    key.mv_size = 1 + VALUE_ID
    value.mv_data = <void*>owner.data
    value.mv_size = owner.size
    return mdb_put(txn, home.chunks, &key, &value, 0)


cdef int chunks_put(Handle home, Compression compression, MDB_txn* txn, Slice key, char* head,
                    Draft* draft) noexcept nogil:
    cdef Head h
    cdef Slice payload = draft.payload
    cdef Slice part
    cdef char* room = NULL
    cdef uint32_t i
    cdef int rc = fresh_id(h.id)
    if rc:
        return rc
    rc = chunks_begin(home, txn)
    h.size = payload.size
    h.chunk = CHUNK
    h.count = <uint32_t>((payload.size + CHUNK - 1) // CHUNK)
    if compression.writes:
        room = <char*>malloc(press_room(CHUNK))
        if room == NULL:
            return ENOMEM
    for i in range(h.count):
        if rc:
            break
        part.data = payload.data + <size_t>i * CHUNK
        part.size = chunk_size(&h, i)
        rc = chunk_put(home, compression, txn, h.id, i, part, room)
    free(room)
    if rc == 0:
        rc = _own(home, txn, h.id, key)
    head_write(&h, head)
    draft.flags |= CHUNKED
    draft.payload.data = head
    draft.payload.size = HEAD
    return rc


cdef int chunks_adopt(Handle home, MDB_txn* txn, Slice key, const char* head) noexcept nogil:
    cdef MDB_val name, value
    cdef char row[ROW_KEY]
    cdef int rc
    row_key(row, WRITING, head, 0)
    name.mv_data = row
    name.mv_size = 1 + VALUE_ID
    rc = mdb_del(txn, home.chunks, &name, NULL)
    if rc == 0:
        return _own(home, txn, head, key)
    if rc == MDB_NOTFOUND:          # it may be this record's already: a new deadline
        row[0] = <char>OWNED
        rc = mdb_get(txn, home.chunks, &name, &value)
        if rc == 0 and (value.mv_size != key.size or memcmp(value.mv_data, key.data, key.size)):
            rc = MDB_NOTFOUND
    return rc


cdef int chunks_free(Handle home, MDB_txn* txn, Slice key, const char* keep) noexcept nogil:
    cdef MDB_val value
    cdef Frame frame
    cdef Head head
    cdef int rc
    rc = record_get(home, txn, key, &value)
    if rc:
        return 0 if rc == MDB_NOTFOUND or rc == FRAME_CORRUPT else rc
    # Of a damaged record nobody knows the chunks; verify tells of those that are left.
    if value.mv_size < FRAME_HEADER or value.mv_size > FRAME_HEADER + 16 + 255 * 24 + HEAD or \
            not home.holds(&value) or not (<const char*>value.mv_data)[9] & CHUNKED or \
            frame_read(key, <const char*>value.mv_data, value.mv_size, &frame) or head_read(&frame, &head):
        return 0
    if keep != NULL and memcmp(keep, head.id, VALUE_ID) == 0:
        return 0
    return chunks_drop(home, txn, head.id)


cdef int chunks_drop(Handle home, MDB_txn* txn, const char* id) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef char name[ROW_KEY]
    cdef int rc = mdb_cursor_open(txn, home.chunks, &cursor), kind
    row_key(name, PIECE, id, 0)
    while rc == 0:
        key.mv_data = name
        key.mv_size = ROW_KEY
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
        if rc or key.mv_size != ROW_KEY or memcmp(key.mv_data, name, 1 + VALUE_ID):
            break
        rc = mdb_cursor_del(cursor, 0)
    if cursor != NULL:
        mdb_cursor_close(cursor)
    for kind in range(PIECE):
        if rc == 0 or rc == MDB_NOTFOUND:
            row_key(name, <Kind>kind, id, 0)
            key.mv_data = name
            key.mv_size = 1 + VALUE_ID
            rc = mdb_del(txn, home.chunks, &key, NULL)
    return 0 if rc == MDB_NOTFOUND else rc


cdef int chunks_clear(Handle home, MDB_txn* txn) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef char id[VALUE_ID]
    cdef char first[1]
    cdef int rc = mdb_cursor_open(txn, home.chunks, &cursor)
    if rc:
        return rc
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
    if rc == 0 and (<const char*>key.mv_data)[0] != <char>WRITING:
        mdb_cursor_close(cursor)
        return mdb_drop(txn, home.chunks, 0)
    while rc == 0:
        first[0] = <char>OWNED
        key.mv_data = first
        key.mv_size = 1
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
        if rc or key.mv_size != 1 + VALUE_ID or (<const char*>key.mv_data)[0] != <char>OWNED:
            break
        memcpy(id, <const char*>key.mv_data + 1, VALUE_ID)
        rc = chunks_drop(home, txn, id)
    mdb_cursor_close(cursor)
    return 0 if rc == MDB_NOTFOUND else rc


cdef int chunk_get(Handle home, Compression compression, const char* name, const MDB_val* value, char* room,
                   size_t most, Slice* out) noexcept nogil:
    cdef Frame packed
    cdef const char* at = <const char*>value.mv_data
    cdef uint64_t checksum
    cdef uint32_t original, rest
    if not home.holds(value) or value.mv_size < ROW_HEAD:
        return FRAME_CORRUPT
    memcpy(&checksum, at, 8)
    if checksum != XXH3_64bits_withSeed(at + 8, value.mv_size - 8, XXH3_64bits(name, ROW_KEY)):
        return FRAME_CORRUPT
    memcpy(&original, at + 8, 4)
    memcpy(&rest, at + 12, 4)
    if rest:
        return FRAME_NEWER
    out.data = at + ROW_HEAD
    out.size = value.mv_size - ROW_HEAD
    if original == 0:
        return 0
    if original > most:
        return FRAME_CORRUPT
    packed.payload = out[0]
    packed.original = original
    packed.dictionary = 0
    out.data = room
    out.size = original
    return compression.unpack(&packed, room)


cdef int _copy(Handle home, Compression compression, const char* name, const MDB_val* value, size_t size,
               char* room) noexcept nogil:
    cdef Slice content
    cdef int rc = chunk_get(home, compression, name, value, room, size, &content)
    if rc == 0 and content.size != size:
        rc = FRAME_CORRUPT
    if rc == 0 and content.data != room:
        memcpy(room, content.data, size)
    return rc


cdef int chunk_read(Handle home, Compression compression, MDB_txn* txn, const Head* head, uint32_t number,
                    char* room) noexcept nogil:
    cdef MDB_val key, value
    cdef char name[ROW_KEY]
    cdef int rc
    if not home.has_chunks:
        return FRAME_NEWER          # they were made by a newer version since this one has opened it to read only
    row_key(name, PIECE, head.id, number)
    key.mv_data = name
    key.mv_size = ROW_KEY
    rc = mdb_get(txn, home.chunks, &key, &value)
    return rc if rc else _copy(home, compression, name, &value, chunk_size(head, number), room)


cdef int chunks_read(Handle home, Compression compression, MDB_txn* txn, const Head* head, char* room) noexcept nogil:
    cdef uint32_t i
    cdef int rc
    for i in range(head.count):
        rc = chunk_read(home, compression, txn, head, i, room + <size_t>i * head.chunk)
        if rc:
            return FRAME_CORRUPT if rc == MDB_NOTFOUND else rc     # in one snapshot they are all there
    return 0


cdef int chunks_take(Handle home, Compression compression, MDB_txn* txn, const Frame* frame, Slice* out) noexcept nogil:
    cdef Head head
    cdef char* room
    cdef int rc = head_read(frame, &head)
    if rc:
        return rc
    room = <char*>malloc(head.size)
    if room == NULL:
        return ENOMEM
    out.data = room
    out.size = head.size
    return chunks_read(home, compression, txn, &head, room)
