"""The frame around every value on disk: what it says, and the reading and writing of it. See docs/format.md.

    0   8   XXH3-64 of everything from byte 8 on, seeded with the XXH3-64 of the key
    8   1   version of the frame, 1
    9   1   flags
    10  1   mark of the codec (contracts.RAW ...)
    11  1   number of tags
    12  4   id of the compression dictionary, 0 for none
    16      in this order, each only if its flag is set: deadline (8, Unix ns), stale window (8, ns),
            birth (8, the
            place in the order of eviction that it was born at), tags (24 each: XXH3-128 of the name, generation), size
            before compression (8)
            then the payload
            then, only with tags and its flag, their names: of each its size (4) and its text, then the size of all that
            (4), which is read from the end

Integers are little-endian and stand wherever they fall: all reading is by memcpy.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from clib.xxhash cimport XXH3_64bits, XXH3_64bits_withSeed

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "door43fast: the format on disk is little-endian; this machine is not supported yet"
    #endif
    """

cdef enum:
    FRAME_VERSION = 1
    FRAME_HEADER = 16
    TAG_SIZE = 24           # hash 16, generation 8
    TAG_HASH = 16

    HAS_DEADLINE = 1
    HAS_STALE = 2
    HAS_TAGS = 4
    PINNED = 8
    ZSTD = 16
    CHUNKED = 32            # the payload is the head of a value that is kept in chunks
    BORN = 64
    NAMED = 128             # the names of the tags stand at the end; frames of before have hashes only
    FLAGS_KNOWN = 255
    NAMES_SIZE = 4

    LARGE = 1 << 20         # bytes of payload up to which a value is kept in its record

    # Statuses of reading a record, beside those of LMDB (-30799 ...) and of the system (> 0).
    FRAME_CORRUPT = -1      # shorter than it says, or not what its checksum was made of
    FRAME_NEWER = -2        # sound, but of a version or with flags that this code does not know
    REFUSED = -3            # a conditional write found its condition unmet
    NO_MEMORY = -4
    UNKNOWN_DICTIONARY = -5 # the dictionary that a value was compressed with is not there, or damaged
    DOUBTFUL = -6           # no such key, but records whose keys are not known are damaged


# What a record is at an instant.
cdef enum State:
    GONE = 0
    FRESH = 1
    STALE = 2               # past its deadline, within its stale window
    EXPIRED = 3
    INVALID = 4             # carries a tag that was invalidated after it was set


cdef struct Slice:
    const char* data
    size_t size


cdef struct Frame:
    Slice whole             # the frame as it lies in the map
    Slice payload
    const char* tags
    Slice names             # of the tags; only with NAMED
    int64_t deadline        # Unix ns, 0 for none
    int64_t stale           # ns after the deadline
    uint64_t original       # size before compression
    uint64_t birth          # in a store with a budget; 0 for none
    uint32_t dictionary
    uint8_t tag_count
    uint8_t flags
    uint8_t mark
    uint8_t state           # a State; filled by whoever knows the time and the tags


# What is to be written. ``tags`` are hashes only; generations are looked up under the writer lock, unless ``settled``.
cdef struct Draft:
    Slice payload
    const char* tags
    Slice names             # as in a frame, without their size
    int64_t deadline
    int64_t stale
    uint64_t original
    uint32_t dictionary
    uint8_t tag_count
    uint8_t flags           # PINNED, ZSTD and CHUNKED; the others follow from the fields
    uint8_t mark
    uint8_t settled         # tags are whole (hash and generation), as read from an older frame


cdef inline uint64_t frame_sum(Slice key, const char* frame, size_t size) noexcept nogil:
    return XXH3_64bits_withSeed(frame + 8, size - 8, XXH3_64bits(key.data, key.size))


cdef inline int names_read(const char* data, size_t need, size_t* size, Slice* out) noexcept nogil:
    """Take the names off the end of a frame, of which ``need`` bytes are not theirs."""
    cdef uint32_t names
    if size[0] < need + NAMES_SIZE:
        return FRAME_CORRUPT
    size[0] -= NAMES_SIZE
    memcpy(&names, data + size[0], NAMES_SIZE)
    if size[0] < need + names:
        return FRAME_CORRUPT
    size[0] -= names
    out.data = data + size[0]
    out.size = names
    return 0


cdef inline int frame_read(Slice key, const char* data, size_t size, Frame* out) noexcept nogil:
    """Check the frame and take it apart. ``out`` points into ``data``."""
    return frame_read_under(XXH3_64bits(key.data, key.size), data, size, out)


cdef inline int frame_read_under(uint64_t key_hash, const char* data, size_t size, Frame* out) noexcept nogil:
    """The same, where the XXH3-64 of the key is known."""
    cdef uint64_t checksum
    cdef size_t at = FRAME_HEADER, need
    if size < FRAME_HEADER:
        return FRAME_CORRUPT
    memcpy(&checksum, data, 8)
    if checksum != XXH3_64bits_withSeed(data + 8, size - 8, key_hash):
        return FRAME_CORRUPT
    out.whole.data = data
    out.whole.size = size
    out.flags = <uint8_t>data[9]
    out.mark = <uint8_t>data[10]
    out.tag_count = <uint8_t>data[11]
    memcpy(&out.dictionary, data + 12, 4)
    if <uint8_t>data[8] != FRAME_VERSION or out.flags & ~<int>FLAGS_KNOWN:
        return FRAME_NEWER
    out.deadline = 0
    out.stale = 0
    out.original = 0
    out.birth = 0
    out.tags = NULL
    out.state = FRESH
    need = at + 8 * ((out.flags & HAS_DEADLINE) + ((out.flags & HAS_STALE) >> 1) + ((out.flags & ZSTD) >> 4)
                     + ((out.flags & BORN) >> 6))
    need += <size_t>out.tag_count * TAG_SIZE
    if size < need or (out.dictionary and not out.flags & ZSTD):
        return FRAME_CORRUPT
    if out.flags & HAS_DEADLINE:
        memcpy(&out.deadline, data + at, 8)
        at += 8
    if out.flags & HAS_STALE:
        memcpy(&out.stale, data + at, 8)
        at += 8
    if out.flags & BORN:
        memcpy(&out.birth, data + at, 8)
        at += 8
    if out.tag_count:
        out.tags = data + at
        at += <size_t>out.tag_count * TAG_SIZE
        if out.flags & NAMED and names_read(data, need, &size, &out.names):
            return FRAME_CORRUPT
    if out.flags & ZSTD:
        memcpy(&out.original, data + at, 8)
        at += 8
    out.payload.data = data + at
    out.payload.size = size - at
    return 0


cdef inline void draft_carry(Draft* d, const char* carried, size_t size, bint settled) noexcept nogil:
    """Have a draft carry tags: their hashes (with the generations, if ``settled``), their names, and how many."""
    cdef size_t hashes
    d.tag_count = <uint8_t>carried[size - 1]
    hashes = <size_t>d.tag_count * (TAG_SIZE if settled else TAG_HASH)
    d.tags = carried
    d.settled = settled
    d.names.data = carried + hashes
    d.names.size = size - 1 - hashes


cdef inline uint64_t generation_sum(const char* tag, uint64_t generation) noexcept nogil:
    """The checksum in the row of a tag, ``tag`` being its hash."""
    return XXH3_64bits_withSeed(<const char*>&generation, 8, XXH3_64bits(tag, TAG_HASH))


cdef inline int generation_read(const char* tag, const char* row, size_t size, uint64_t* out) noexcept nogil:
    """The generation in the row of a tag. Older rows have no checksum."""
    cdef uint64_t checksum
    if size < 8:
        return FRAME_CORRUPT
    memcpy(out, row, 8)
    if size == 8:
        return 0
    if size != 16:
        return FRAME_CORRUPT
    memcpy(&checksum, row + 8, 8)
    return 0 if checksum == generation_sum(tag, out[0]) else FRAME_CORRUPT


cdef inline size_t frame_size(const Draft* d, uint64_t birth) noexcept nogil:
    return (FRAME_HEADER + 8 * (<size_t>(d.deadline != 0) + (d.stale != 0) + ((d.flags & ZSTD) != 0) + (birth != 0))
            + <size_t>d.tag_count * TAG_SIZE + d.payload.size + (d.names.size + NAMES_SIZE if d.names.size else 0))


cdef inline char* frame_head(const Draft* d, uint64_t birth, char* out) noexcept nogil:
    """Write all up to the tags, and return the place of the first tag. The checksum is left for frame_seal."""
    out[8] = FRAME_VERSION
    out[9] = <char>((d.flags & (PINNED | ZSTD | CHUNKED)) | (HAS_DEADLINE if d.deadline else 0)
                    | (HAS_STALE if d.stale else 0) | (HAS_TAGS if d.tag_count else 0) | (BORN if birth else 0)
                    | (NAMED if d.names.size else 0))
    out[10] = <char>d.mark
    out[11] = <char>d.tag_count
    memcpy(out + 12, &d.dictionary, 4)
    out += FRAME_HEADER
    if d.deadline:
        memcpy(out, &d.deadline, 8)
        out += 8
    if d.stale:
        memcpy(out, &d.stale, 8)
        out += 8
    if birth:
        memcpy(out, &birth, 8)
        out += 8
    return out


cdef inline void frame_seal(Slice key, const Draft* d, char* frame, size_t size, char* after_tags) noexcept nogil:
    """Write what follows the tags, and the checksum over all."""
    cdef uint64_t checksum
    cdef uint32_t names
    if d.flags & ZSTD:
        memcpy(after_tags, &d.original, 8)
        after_tags += 8
    if d.payload.size:
        memcpy(after_tags, d.payload.data, d.payload.size)
    if d.names.size:
        names = <uint32_t>d.names.size
        memcpy(frame + size - NAMES_SIZE - names, d.names.data, names)
        memcpy(frame + size - NAMES_SIZE, &names, NAMES_SIZE)
    checksum = frame_sum(key, frame, size)
    memcpy(frame, &checksum, 8)
