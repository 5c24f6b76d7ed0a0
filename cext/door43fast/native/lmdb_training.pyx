"""The training of compression dictionaries for a store on disk."""

import random

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from clib.lmdb cimport MDB_txn, mdb_txn_abort
from clib.zstd cimport *
from door43fast.native.compression cimport MOST_DICTIONARIES, Rules, room_for, write_dictionary
from door43fast.native.frame cimport Draft, UNKNOWN_DICTIONARY
from door43fast.native.lmdb_ranges cimport Bounds
from door43fast.native.longrow cimport LONGEST_KEY
from door43fast.native.status cimport lmdb_raise

from door43fast.errors import ConfigError, KeyTooLongError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef enum:
    LEAST_SIZE = 256            # of a dictionary: zstd makes none below
    LARGEST_SIZE = 1 << 20
    PER_BYTE = 100              # bytes of samples for each byte of the dictionary: more made none better
    LONGEST_SAMPLE = 1 << 17
    TRIED = 200                 # samples that the ratio is measured on


cdef class TrainingEngine(PackedEngine):
    """What a store on disk learns from its values."""

    def train(self, prefix="", *, samples=None, size=262144):
        """Train a compression dictionary for the values under ``prefix``; later writes under it are compressed by it.

        Values that are there already stay as they are until they are set again. A dictionary is kept for as long as
        the store, and every value says which one it needs, so training anew makes no value unreadable. Of several
        prefixes that fit a key the longest counts.

        Parameters
        ----------
        prefix : str, bytes or tuple
            What the keys begin with, as in ``scan``; ``""`` for all keys.
        samples : iterable, optional
            Values like those that are to come. The store's own values under ``prefix``, evenly picked, if not given.
        size : int
            Bytes of the dictionary at the most, 256 to 1,048,576.

        Returns
        -------
        dict
            ``dictionary``, its number; ``bytes``, its length; ``samples``, how many it was trained on; ``ratio``, how
            many times smaller up to 200 of them become by it, each by itself.

        Raises
        ------
        ConfigError
            If the store was opened without ``compression="zstd"``, or ``size`` is out of range.
        KeyTooLongError
            If the prefix is longer than any key may be.
        ValueError
            If the samples are too few or too small to learn from.
        """
        cdef Bounds bounds
        cdef list taken
        cdef bytes body
        cdef uint32_t id
        cdef Py_ssize_t count = 0
        self.begin(True)
        if not self.compression.writes:
            raise ConfigError(f'{self.home.path} was opened without compression; open it with compression="zstd" to '
                              'train a dictionary')
        if isinstance(size, bool) or not isinstance(size, int) or not LEAST_SIZE <= size <= LARGEST_SIZE:
            raise ConfigError(f"size={size!r} is out of range; a dictionary has from {LEAST_SIZE:d} to "
                              f"{LARGEST_SIZE:d} bytes")
        bounds = self.bounds_of(prefix, None, None, False)
        if bounds.low is not None and len(bounds.low) > LONGEST_KEY:
            raise KeyTooLongError(f"the prefix {str(repr(prefix))[:60]}... is {len(bounds.low)} bytes long, and no key "
                                  f"has more than {LONGEST_KEY:d}: give a shorter one")
        if samples is None:
            samples = (value for _, value in self.scan(prefix))
        taken = self._pick(samples, size * PER_BYTE)
        # zstd picks from one stretch of the samples after the other: in their own order, neighbours alike, the
        # dictionary of the aligned verses saved a tenth less. The same samples always give the same dictionary.
        random.Random(0).shuffle(taken)
        body = _learn(taken, size)
        self.begin(True)
        # An empty prefix has an address too: comparing nothing with no address is undefined in C.
        covered = bounds.low or b""
        id = self.keep_dictionary(covered, body)
        self.compression.behind = True
        return {"dictionary": id, "bytes": len(body), "samples": len(taken), "ratio": self._ratio(covered, taken)}

    def _pick(self, samples, size_t limit):
        """Payloads of ``samples``, evenly thinned so that together they stay below ``limit`` bytes."""
        cdef Draft draft
        cdef list taken = []
        cdef size_t total = 0
        cdef Py_ssize_t i, stride = 1
        for i, value in enumerate(samples):
            if i % stride:
                continue
            memset(&draft, 0, sizeof(Draft))
            owner = self.draft_value(value, &draft)
            if draft.payload.size == 0:
                continue
            taken.append(PyBytes_FromStringAndSize(draft.payload.data, min(draft.payload.size, <size_t>LONGEST_SAMPLE)))
            total += PyBytes_GET_SIZE(taken[-1])
            if total > limit and len(taken) > 1:
                del taken[1::2]
                stride *= 2
                total = sum(map(len, taken))
        return taken

    def _ratio(self, bytes prefix, list taken):
        """How many times smaller a few of the samples become under a key that begins with ``prefix``."""
        cdef Rules rules = self.compression.current()
        cdef Draft draft
        cdef Slice key
        cdef bytes sample, room
        cdef size_t before = 0, after = 0
        key.data = prefix
        key.size = len(prefix)
        for sample in taken[::max(1, len(taken) // TRIED)]:
            memset(&draft, 0, sizeof(Draft))
            draft.payload.data = sample
            draft.payload.size = before_one = len(sample)
            if room_for(draft.payload.size):
                room = PyBytes_FromStringAndSize(NULL, room_for(draft.payload.size))
                if self.compression.pack(rules, key, &draft, PyBytes_AS_STRING(room), len(room)) < 0:
                    raise MemoryError("no memory for the compressor")
            before += before_one
            after += draft.payload.size
        return round(before / after, 2)

    cdef int apply_training(self, Slice prefix, Slice body, uint32_t* id, uint64_t* seq) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        rc = write_dictionary(txn, self.home.meta, prefix, body, id)
        if rc:
            mdb_txn_abort(txn)
            return rc
        return self.close_write(txn, None, 0, seq)

    cdef uint32_t keep_dictionary(self, bytes prefix, bytes body) except 0:
        cdef Slice name, content
        cdef uint32_t id = 0
        cdef uint64_t seq = 0
        cdef int rc, synced = 0
        name.data = prefix
        name.size = len(prefix)
        content.data = body
        content.size = len(body)
        while True:
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_training(name, content, &id, &seq)
                    if rc == 0:
                        synced = self.home.committed(False)
            finally:
                self.home.leave()
            if rc == 0:
                break
            if rc == UNKNOWN_DICTIONARY:
                raise ConfigError(f"{self.home.path} has {MOST_DICTIONARIES:d} dictionaries, the most that a store may "
                                  "have; copy its records to a new store")
            self.remedy(rc, content.size, "keeping a dictionary in", self.home.path)
        d43_add(&self.unvoided, <uint64_t>-1)
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return id


cdef bytes _learn(list samples, size_t size):
    """A dictionary of up to ``size`` bytes for values like ``samples``; the GIL is let go for the work."""
    cdef bytes whole = b"".join(samples), room = PyBytes_FromStringAndSize(NULL, size)
    cdef char* out = room
    cdef const char* data = whole
    cdef unsigned int i, count = len(samples)
    cdef size_t made
    cdef size_t* sizes = <size_t*>calloc(count or 1, sizeof(size_t))
    if sizes == NULL:
        raise MemoryError("no memory to train a dictionary")
    for i in range(count):
        sizes[i] = PyBytes_GET_SIZE(samples[i])
    with nogil:
        made = ZDICT_trainFromBuffer(out, size, data, sizes, count)
        free(sizes)
    if ZDICT_isError(made):
        raise ValueError(f"{count} samples of {len(whole):,} bytes are too few or too small to train a dictionary of "
                         f"{size:,} bytes: {ZDICT_getErrorName(made).decode()}; give more of them, or a smaller size")
    return room[:made]
