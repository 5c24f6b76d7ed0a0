"""Keys and values of a store on disk: to bytes and back. Nothing here touches a file."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from clib.xxhash cimport XXH128_canonicalFromHash, XXH128_canonical_t, XXH3_128bits
from door43fast.native.chunks cimport Head, chunks_read, head_read
from door43fast.native.clock cimport MANUAL, WALL, d43_monotonic_ns, d43_wall_ns, span_ns
from door43fast.native.compression cimport LARGEST_PACKED, Rules, room_for
from door43fast.native.frame cimport (CHUNKED, DOUBTFUL, FRAME_CORRUPT, FRAME_NEWER, LARGE, NAMES_SIZE, NO_MEMORY,
                                           TAG_HASH, UNKNOWN_DICTIONARY, ZSTD)
from door43fast.native.keys cimport KEYS_STR
from door43fast.native.status cimport lmdb_raise

from door43fast.contracts import RAW, STR
from door43fast.errors import ClosedError, CorruptError, FormatError, KeyTooLongError, ReadOnlyError

cdef extern from "d43_str.h":
    Py_hash_t d43_key_hash(PyObject* key, const char* p, Py_ssize_t n) noexcept
    bint d43_str_plain(PyObject*, const char**, size_t*)
    bint d43_utf8_sure(const char*, size_t) nogil

cdef extern from "Python.h":
    bint PyLong_CheckExact(object)

cdef enum:
    ALONE = 4096            # bytes from which on a value is worth letting the GIL go for

assert (RAW, STR) == (MARK_RAW, MARK_STR)


cdef bytes tag_hash(str tag):
    return hash_of(tag.encode("utf-8", "surrogatepass"))


cdef list spelt(object tags):
    """The tags of a call in UTF-8, each once; anything else is refused."""
    cdef list texts = []
    cdef bytes text
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags={tags!r} is one text; give a tuple or list of tags: tags=({tags!r},)")
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}: {tag!r}")
        text = (<str>str.__str__(tag)).encode("utf-8", "surrogatepass")
        if text not in texts:
            texts.append(text)
    if len(texts) > 255:
        raise ValueError(f"a record carries at most 255 tags, not {len(texts)}")
    return texts


cdef bytes hash_of(bytes text):
    cdef XXH128_canonical_t hash
    XXH128_canonicalFromHash(&hash, XXH3_128bits(<const char*>text, len(text)))
    return PyBytes_FromStringAndSize(<char*>hash.digest, TAG_HASH)


def _spelled(str tag):
    return tag_hash(tag)


cdef class ValueEngine(Core):
    """What a store on disk knows of keys, values, tags and time."""

    def __cinit__(self, *_, **__):
        self.closed = True              # until it is open
        self.key_codec = KeyCodec("str")

    # Keys and values

    cdef object slice_key(self, object key, Slice* out):
        """Point ``out`` to the bytes of ``key``; they live as long as the object that is returned."""
        cdef Py_ssize_t size
        cdef object owner = key
        if self.mode == KEYS_STR and PyUnicode_CheckExact(key):
            try:
                out.data = PyUnicode_AsUTF8AndSize(key, &size)
            except UnicodeEncodeError:
                raise ValueError(f"a key {key!r} holds a lone surrogate, which UTF-8 cannot hold") from None
        else:
            owner = self.key_codec.encode(key)
            out.data = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
        if size == 0:
            raise ValueError(f"the key {key!r} is empty; a key needs at least one character or byte")
        if size > LONGEST_KEY:
            raise KeyTooLongError(f"the key {str(repr(key))[:60]}... is {size} bytes long; this store holds keys of up "
                                  f"to {LONGEST_KEY:d} bytes: shorten it, for example by a hash of its tail")
        out.size = size
        return owner

    cdef int note(self, object key) except -1:
        cdef Slice name
        cdef object owner
        if self.mode != KEYS_STR or not d43_str_plain(<PyObject*>key, &name.data, &name.size):
            owner = self.slice_key(key, &name)
        self.recording.put(d43_key_hash(<PyObject*>key if self.mode == KEYS_STR else NULL, name.data, name.size))
        return 0

    cdef object key_of(self, const char* data, size_t size):
        if self.mode == KEYS_STR:
            return PyUnicode_DecodeUTF8(data, size, NULL)
        return self.key_codec.decode(PyBytes_FromStringAndSize(data, size))

    cdef object name_of(self, const char* data, size_t size):
        """A key that may be damaged, for the sentence of an error."""
        try:
            return self.key_of(data, size)
        except (UnicodeDecodeError, CorruptError):
            return data[:size]

    cdef object draft_value(self, object value, Draft* draft):
        """Fill payload and mark of ``draft``; they live as long as the object that is returned."""
        cdef Py_ssize_t size = 0
        cdef object owner = value
        if self.native_values and PyBytes_CheckExact(value):
            draft.mark = MARK_RAW
        elif self.native_values and PyUnicode_CheckExact(value):
            draft.mark = MARK_STR
            try:
                draft.payload.data = PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:
                owner = (<str>value).encode("utf-8", "surrogatepass")
        else:
            mark, owner = self.codec.encode(value)
            draft.mark = mark
        if PyBytes_CheckExact(owner):
            draft.payload.data = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
        draft.payload.size = size
        return owner

    cdef object draft_packed(self, object value, Slice key, Draft* draft):
        cdef object owner = self.draft_value(value, draft), packed
        cdef Rules rules
        cdef char* place
        cdef size_t room = room_for(draft.payload.size) if self.compression.writes else 0
        cdef int rc
        if room == 0:
            return owner
        rules = self.compression.current()
        packed = PyBytes_FromStringAndSize(NULL, room)
        place = PyBytes_AS_STRING(packed)
        if draft.payload.size < ALONE:
            rc = self.compression.pack(rules, key, draft, place, room)
        else:
            with nogil:
                rc = self.compression.pack(rules, key, draft, place, room)
        if rc < 0:
            raise MemoryError("no memory for the compressor")
        return packed if rc else owner

    cdef object lift(self, const Frame* frame, MDB_txn* txn):
        cdef object plain
        cdef char* place
        cdef Head head
        cdef int rc
        if frame.flags & CHUNKED:
            rc = head_read(frame, &head)
            if rc:
                return _fault(rc, frame)
            plain = PyBytes_FromStringAndSize(NULL, head.size)
            place = PyBytes_AS_STRING(plain)
            with nogil:
                rc = chunks_read(self.home, self.compression, txn, &head, place)
            if rc:
                return _fault(rc, frame)
            if frame.mark == MARK_STR and self.native_values and d43_utf8_sure(place, head.size):
                return PyUnicode_DecodeUTF8(place, head.size, NULL)
            return plain
        if frame.flags & ZSTD:
            if frame.original > LARGEST_PACKED:
                return _fault(FRAME_CORRUPT, frame)
            plain = PyBytes_FromStringAndSize(NULL, frame.original)
            place = PyBytes_AS_STRING(plain)
            if frame.original < ALONE:
                rc = self.compression.unpack(frame, place)
            else:
                with nogil:
                    rc = self.compression.unpack(frame, place)
            if rc:
                return _fault(rc, frame)
            if frame.mark == MARK_STR and self.native_values and d43_utf8_sure(place, frame.original):
                return PyUnicode_DecodeUTF8(place, frame.original, NULL)
            return plain
        if frame.mark == MARK_STR and self.native_values and d43_utf8_sure(frame.payload.data, frame.payload.size):
            return PyUnicode_DecodeUTF8(frame.payload.data, frame.payload.size, NULL)
        return PyBytes_FromStringAndSize(frame.payload.data, frame.payload.size)

    cdef object settle(self, uint8_t mark, object lifted):
        """What was lifted as the value it stands for. May run Python code: no transaction may be open."""
        if self.settled(mark, lifted):
            return lifted
        self.refuse_fault(lifted)
        if self.native_values and mark == MARK_STR:
            return (<bytes>lifted).decode("utf-8", "surrogatepass")
        return self.codec.decode(mark, lifted)

    cdef int refuse_fault(self, object lifted) except -1:
        cdef uint64_t fault
        if PyLong_CheckExact(lifted):
            fault = lifted
            unpack_fault(<int><uint32_t>fault, <uint32_t>(fault >> 32), self.home.path)
        return 0

    cdef int64_t deadline_of(self, object ttl) except -2:
        """Nanoseconds of the store's clock; 0 for no expiry, -1 for expired at once."""
        cdef int64_t span
        if ttl is None:
            if self.default_ttl < 0:
                return 0
            span = self.default_ttl
        else:
            span = span_ns(ttl, "ttl")
        return self.now() + span if span else -1

    cdef object spelling(self):
        return _spelled

    cdef bytes tag_hashes(self, object tags):
        """16 bytes for each tag, or None for none."""
        if tags is None or (type(tags) is tuple and not tags):
            return None
        return b"".join([hash_of(text) for text in spelt(tags)]) or None

    cdef bytes tags_whole(self, object tags):
        """The hashes of the tags, the size and the text of each, and how many there are; None for none."""
        cdef list texts
        cdef bytes text, whole
        cdef XXH128_canonical_t hash
        cdef uint32_t size
        cdef size_t room = 0
        cdef char* at
        if tags is None or (type(tags) is tuple and not tags):
            return None
        texts = spelt(tags)
        if not texts:
            return None
        for text in texts:
            room += NAMES_SIZE + len(text)
        if room > LARGE:
            raise ValueError(f"the tags of a record have at most {LARGE} bytes together, not {room}")
        whole = PyBytes_FromStringAndSize(NULL, len(texts) * TAG_HASH + room + 1)
        at = <char*>whole
        for text in texts:
            XXH128_canonicalFromHash(&hash, XXH3_128bits(<const char*>text, len(text)))
            memcpy(at, hash.digest, TAG_HASH)
            at += TAG_HASH
        for text in texts:
            size = <uint32_t>len(text)
            memcpy(at, &size, NAMES_SIZE)
            memcpy(at + NAMES_SIZE, <const char*>text, size)
            at += NAMES_SIZE + size
        at[0] = <char>len(texts)
        return whole

    cdef int fault(self, int rc, object key) except -1:
        """The exception for a status of a read."""
        if rc == FRAME_CORRUPT:
            damage = CorruptError(f"the record {key!r} in {self.home.path} does not match its checksum; its bytes "
                                  "were not returned. Run verify() to see what else is damaged, and restore or set it "
                                  "anew")
            damage.key = key
            raise damage
        if rc == DOUBTFUL:
            count, first = self.home.doubt
            raise CorruptError(f"{key!r} is not in {self.home.path}, but may have been: when that was opened, {count} "
                               f"of its records did not match their checksums, the first {first!r}. Run verify(), "
                               "delete or set anew what it names, and run it again: then what is missing is missing")
        if rc == FRAME_NEWER:
            raise FormatError(f"the record {key!r} in {self.home.path} was written by a newer door43fast; upgrade it")
        if rc == UNKNOWN_DICTIONARY:
            raise CorruptError(f"the compression dictionary of the record {key!r} in {self.home.path} is missing or "
                               "damaged; restore a backup")
        if rc == NO_MEMORY:
            raise MemoryError(f"no memory to decompress the record {key!r} in {self.home.path}")
        return lmdb_raise(rc, "reading the key", key)

    cdef int64_t now(self) noexcept nogil:
        if self.clock.kind == WALL:
            return d43_wall_ns()
        return self.clock.cell if self.clock.kind == MANUAL else d43_monotonic_ns()

    cdef int begin(self, bint writing) except -1:
        if self.closed:
            raise ClosedError("this store was never opened" if self.plan is None else
                              f"the store {self.plan['path']} is closed; open it again")
        if writing and self.readonly:
            raise ReadOnlyError(f"the store {self.plan['path']} was opened with readonly=True; open it "
                                "without, to write")
        return 0


cdef object _fault(int rc, const Frame* frame):
    """A fault as it is lifted: a status, and the dictionary that was looked for."""
    return <uint64_t>frame.dictionary << 32 | <uint32_t>rc


cdef int unpack_fault(int rc, uint32_t dictionary, str path) except -1:
    """The exception for a value that could not be decompressed, where its key is not at hand."""
    if rc == UNKNOWN_DICTIONARY:
        raise CorruptError(f"the compression dictionary {dictionary} of {path} is missing or damaged; restore a "
                           "backup")
    if rc == FRAME_CORRUPT:
        raise CorruptError(f"a compressed value or a large one of {path} is not what its frame says; run "
                           "verify()")
    if rc == FRAME_NEWER:
        raise FormatError(f"{path} was written by a newer door43fast; upgrade it")
    if rc == NO_MEMORY:
        raise MemoryError("no memory for the decompressor")
    return lmdb_raise(rc, "reading the compression dictionaries of", path)
