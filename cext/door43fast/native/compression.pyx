"""Zstandard in front of the disk: contexts, and the dictionaries that a store was trained with.

A dictionary stands in the table ``meta`` under ``dictionary`` and its number, for as long as the store: values refer
to it by that number. It is loaded when the first value needs it, also by a reader that does not hold the GIL.
"""

from libc.stdint cimport uint16_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits, XXH3_64bits_withSeed
from clib.zstd cimport *
from door43fast.native.frame cimport FRAME_CORRUPT, FRAME_NEWER, LARGE, NO_MEMORY, UNKNOWN_DICTIONARY, ZSTD
from door43fast.native.status cimport lmdb_raise

from door43fast.errors import CorruptError

cdef extern from "d43_atomic.h" nogil:
    void* d43_peek(void**)
    void* d43_swap(void**, void*)
    bint d43_put_if_null(void**, void*)

cdef enum:
    LEVEL = 3                   # of zstd
    NAME = 14                   # "dictionary" and the number, big-endian
    BODY_AT = 10                # checksum 8, length of the prefix 2; then the prefix and the dictionary


cdef void _name(uint32_t id, char* out) noexcept nogil:
    cdef int i
    memcpy(out, b"dictionary", 10)
    for i in range(4):
        out[10 + i] = <char>(id >> (24 - 8 * i))


cdef int read_dictionary(MDB_txn* txn, MDB_dbi meta, uint32_t id, Slice* prefix, Slice* body) noexcept nogil:
    cdef MDB_val key, value
    cdef char name[NAME]
    cdef const char* data
    cdef uint64_t checksum
    cdef uint16_t length
    cdef int rc
    _name(id, name)
    key.mv_data = name
    key.mv_size = NAME
    rc = mdb_get(txn, meta, &key, &value)
    if rc:
        return rc
    data = <const char*>value.mv_data
    if value.mv_size < BODY_AT:
        return FRAME_CORRUPT
    memcpy(&checksum, data, 8)
    memcpy(&length, data + 8, 2)
    if checksum != XXH3_64bits_withSeed(data + 8, value.mv_size - 8, XXH3_64bits(name, NAME)) or \
            value.mv_size < <size_t>BODY_AT + length:
        return FRAME_CORRUPT
    prefix.data = data + BODY_AT
    prefix.size = length
    body.data = data + BODY_AT + length
    body.size = value.mv_size - BODY_AT - length
    return 0


cdef int write_dictionary(MDB_txn* txn, MDB_dbi meta, Slice prefix, Slice body, uint32_t* id) noexcept nogil:
    cdef MDB_val key, value
    cdef char name[NAME]
    cdef char* data
    cdef uint64_t checksum
    cdef uint16_t length = <uint16_t>prefix.size
    cdef int rc = 0
    key.mv_data = name
    key.mv_size = NAME
    id[0] = 0
    while rc == 0:
        id[0] += 1
        _name(id[0], name)
        rc = mdb_get(txn, meta, &key, &value)
    if rc != MDB_NOTFOUND:
        return rc
    if id[0] > MOST_DICTIONARIES:
        return UNKNOWN_DICTIONARY
    value.mv_data = NULL
    value.mv_size = BODY_AT + prefix.size + body.size
    rc = mdb_put(txn, meta, &key, &value, MDB_RESERVE)
    if rc:
        return rc
    data = <char*>value.mv_data
    memcpy(data + 8, &length, 2)
    if prefix.size:
        memcpy(data + BODY_AT, prefix.data, prefix.size)
    memcpy(data + BODY_AT + prefix.size, body.data, body.size)
    checksum = XXH3_64bits_withSeed(data + 8, value.mv_size - 8, XXH3_64bits(name, NAME))
    memcpy(data, &checksum, 8)
    return 0


cdef void* _take(void** pool) noexcept nogil:
    cdef void* context = NULL
    cdef int i
    for i in range(IDLE):
        if d43_peek(&pool[i]) != NULL:
            context = d43_swap(&pool[i], NULL)
            if context != NULL:
                break
    return context


cdef bint _keep(void** pool, void* context) noexcept nogil:
    cdef int i
    for i in range(IDLE):
        if d43_put_if_null(&pool[i], context):
            return True
    return False


cdef size_t room_for(size_t size) noexcept nogil:
    return ZSTD_compressBound(size) if <size_t>LEAST_PACKED <= size <= <size_t>LARGE else 0


cdef size_t press_room(size_t size) noexcept nogil:
    return ZSTD_compressBound(size)


cdef class Rules:

    def __dealloc__(self):
        free(self.items)

    cdef const Rule* of(self, Slice key) noexcept nogil:
        cdef Py_ssize_t i
        cdef const Rule* rule
        for i in range(self.count):
            rule = &self.items[i]
            if rule.prefix.size <= key.size and memcmp(rule.prefix.data, key.data, rule.prefix.size) == 0:
                return rule
        return NULL


cdef class Compression:
    """What a store on disk knows of zstd."""

    def __cinit__(self, Handle home not None, bint writes):
        self.home = home
        self.writes = writes
        self.rules = Rules.__new__(Rules)
        self.decoders = <void**>calloc(MOST_DICTIONARIES + 1, sizeof(void*))
        self.encoders = <void**>calloc(MOST_DICTIONARIES + 1, sizeof(void*))
        if self.decoders == NULL or self.encoders == NULL:
            raise MemoryError("no memory for the compressor")
        self.behind = writes

    def __dealloc__(self):
        cdef int i
        for i in range(IDLE):
            ZSTD_freeCCtx(<ZSTD_CCtx*>self.packers[i])
            ZSTD_freeDCtx(<ZSTD_DCtx*>self.unpackers[i])
        for i in range(MOST_DICTIONARIES + 1):
            if self.decoders != NULL:
                ZSTD_freeDDict(<ZSTD_DDict*>self.decoders[i])
            if self.encoders != NULL:
                ZSTD_freeCDict(<ZSTD_CDict*>self.encoders[i])
        free(self.decoders)
        free(self.encoders)

    cdef Rules current(self):
        if self.behind:
            self.refresh()
        return self.rules

    cdef int refresh(self) except -1:
        """Read which dictionaries there are. Of those for one prefix the last trained counts."""
        cdef MDB_txn* txn
        cdef Slice prefix, body
        cdef Rules rules = Rules.__new__(Rules)
        cdef dict latest = {}
        cdef Py_ssize_t i
        cdef int rc, id = 0
        cdef bytes owner
        self.behind = False
        txn = self.home.reader()
        try:
            while True:
                id += 1
                rc = read_dictionary(txn, self.home.meta, id, &prefix, &body)
                if rc or id > MOST_DICTIONARIES:
                    break
                latest[prefix.data[:prefix.size]] = id
            if rc == MDB_NOTFOUND:
                rc = 0
            for id in latest.values():
                if rc == 0 and self.encoders[id] == NULL:
                    rc = read_dictionary(txn, self.home.meta, id, &prefix, &body)
                    if rc == 0:
                        self.encoders[id] = ZSTD_createCDict(body.data, body.size, LEVEL)
                        if self.encoders[id] == NULL:
                            rc = NO_MEMORY
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc:
            self.behind = True
            raise_status(rc, self.home.path)
        rules.items = <Rule*>calloc(len(latest) or 1, sizeof(Rule))
        if rules.items == NULL:
            raise MemoryError("no memory for the compressor")
        rules.owners = sorted(latest, key=len, reverse=True)
        for i, owner in enumerate(rules.owners):
            rules.items[i].prefix.data = owner
            rules.items[i].prefix.size = len(owner)
            rules.items[i].id = latest[owner]
            rules.items[i].table = <ZSTD_CDict*>self.encoders[rules.items[i].id]
        rules.count = len(rules.owners)
        self.rules = rules
        return 0

    cdef int pack(self, Rules rules, Slice key, Draft* draft, char* room, size_t size) noexcept nogil:
        cdef const Rule* rule = rules.of(key)
        if rule == NULL:
            return self.pack_with(NULL, 0, draft, room, size)
        return self.pack_with(rule.table, rule.id, draft, room, size)

    cdef int pack_with(self, const ZSTD_CDict* table, uint32_t id, Draft* draft, char* room,
                       size_t size) noexcept nogil:
        cdef ZSTD_CCtx* context = <ZSTD_CCtx*>_take(self.packers)
        cdef size_t made
        if context == NULL:
            context = ZSTD_createCCtx()
            if context == NULL:
                return NO_MEMORY
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL)
            ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0)       # the frame around it names the dictionary
        made = ZSTD_CCtx_refCDict(context, table)
        if not ZSTD_isError(made):
            made = ZSTD_compress2(context, room, size, draft.payload.data, draft.payload.size)
        if ZSTD_isError(made) or not _keep(self.packers, context):     # after an error it would go on refusing
            ZSTD_freeCCtx(context)
        if ZSTD_isError(made) or made + 8 >= draft.payload.size:
            return 0
        draft.original = draft.payload.size
        draft.dictionary = id
        draft.flags |= ZSTD
        draft.payload.data = room
        draft.payload.size = made
        return 1

    cdef size_t press(self, const char* data, size_t size, char* room) noexcept nogil:
        cdef Draft draft
        draft.flags = 0
        draft.payload.data = data
        draft.payload.size = size
        return draft.payload.size if self.pack_with(NULL, 0, &draft, room, press_room(size)) == 1 else 0

    cdef int decoder(self, uint32_t id, const ZSTD_DDict** out) noexcept nogil:
        """The dictionary ``id``, out of the store if no value needed it before. REQUIRES: entered."""
        cdef MDB_txn* txn = NULL
        cdef Slice prefix, body
        cdef ZSTD_DDict* made
        cdef int rc
        out[0] = NULL
        if id == 0:
            return 0
        if id > MOST_DICTIONARIES:
            return FRAME_NEWER
        out[0] = <const ZSTD_DDict*>d43_peek(&self.decoders[id])
        if out[0] != NULL:
            return 0
        rc = mdb_txn_begin(self.home.env, NULL, MDB_RDONLY, &txn)
        if rc:
            return rc
        rc = read_dictionary(txn, self.home.meta, id, &prefix, &body)
        if rc == 0:
            made = ZSTD_createDDict(body.data, body.size)
            if made == NULL:
                rc = NO_MEMORY
            elif not d43_put_if_null(&self.decoders[id], made):
                ZSTD_freeDDict(made)        # another thread was faster
        mdb_txn_abort(txn)
        if rc:
            return UNKNOWN_DICTIONARY if rc == MDB_NOTFOUND or rc == FRAME_CORRUPT else rc
        if self.writes:
            self.behind = True
        out[0] = <const ZSTD_DDict*>d43_peek(&self.decoders[id])
        return 0

    cdef int unpack(self, const Frame* frame, char* room) noexcept nogil:
        cdef const ZSTD_DDict* table
        cdef ZSTD_DCtx* context
        cdef size_t made
        cdef int rc = self.decoder(frame.dictionary, &table)
        if rc:
            return rc
        if frame.original > LARGEST_PACKED or ZSTD_getFrameContentSize(
                frame.payload.data, frame.payload.size) != frame.original:
            return FRAME_CORRUPT
        context = <ZSTD_DCtx*>_take(self.unpackers)
        if context == NULL:
            context = ZSTD_createDCtx()
            if context == NULL:
                return NO_MEMORY
        made = ZSTD_decompress_usingDDict(context, room, frame.original, frame.payload.data, frame.payload.size, table)
        if not _keep(self.unpackers, context):
            ZSTD_freeDCtx(context)
        return FRAME_CORRUPT if ZSTD_isError(made) or made != frame.original else 0


cdef class Unpacked:

    def __dealloc__(self):
        self.clear()
        free(self.rooms)

    cdef int take(self, Compression compression, Frame* frame) noexcept nogil:
        cdef char** rooms
        cdef char* room
        cdef int rc
        if frame.original > LARGEST_PACKED:
            return FRAME_CORRUPT
        if self.count == self.size:
            rooms = <char**>realloc(self.rooms, (self.size * 2 + 64) * sizeof(char*))
            if rooms == NULL:
                return NO_MEMORY
            self.rooms = rooms
            self.size = self.size * 2 + 64
        room = <char*>malloc(frame.original or 1)
        if room == NULL:
            return NO_MEMORY
        rc = compression.unpack(frame, room)
        if rc:
            free(room)
            return rc
        self.rooms[self.count] = room
        self.count += 1
        frame.payload.data = room
        frame.payload.size = frame.original
        frame.flags ^= ZSTD
        return 0

    cdef void clear(self) noexcept nogil:
        while self.count:
            self.count -= 1
            free(self.rooms[self.count])


cdef int raise_status(int rc, str path) except -1:
    """The exception for a status of a dictionary."""
    if rc == FRAME_CORRUPT:
        raise CorruptError(f"a compression dictionary of {path} does not match its checksum; restore a backup")
    if rc == NO_MEMORY:
        raise MemoryError("no memory for a compression dictionary")
    return lmdb_raise(rc, "reading the compression dictionaries of", path)
