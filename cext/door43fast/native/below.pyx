"""What a cascade answers from its slow tier alone, and its care: counts, checks, copies, the end."""

from door43fast.native.watches cimport watch_always

from door43fast.errors import ClosedError, UnsupportedError
from door43fast.tagged import tags_of


cdef class Below(Core):
    """Two tiers, of which the slow one knows everything."""

    def __cinit__(self, *_, **__):
        watch_always(&self.first)

    @property
    def capabilities(self):
        """What the slow tier can do, and record reads, which the fast one sees."""
        return self.slow.capabilities._replace(traces=True)

    @property
    def _flights(self):
        return self.slow._flights

    @property
    def _events(self):
        return self.slow._events

    def __len__(self):
        return len(self.below())

    def __iter__(self):
        return iter(self.below())

    cdef object below(self):
        if self.closed or self.slow is None:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.slow

    def ttl(self, key):
        """Seconds that ``key`` has left, None if it does not expire; KeyError if it is not there."""
        return self.below().ttl(key)

    def scan(self, prefix="", *, start=None, stop=None, reverse=False, limit=None):
        """Yield ``(key, value)`` in the order of keys, from the slow tier."""
        return self.below().scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit)

    def scan_packed(self, prefix="", chunk=65536):
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records."""
        return self.below().scan_packed(prefix, chunk)

    def keys(self, prefix=""):
        """Yield the keys under ``prefix`` in order."""
        return self.below().keys(prefix)

    def count(self, prefix=""):
        """How many keys there are under ``prefix``."""
        return self.below().count(prefix)

    def _read(self, key):
        return self.below()._read(key)

    def _tags_of(self, keys):
        return tags_of(self.below(), keys)

    def _snapshot(self):
        return self.below()._snapshot()

    def _served_stale(self):
        self.below()._served_stale()

    def stats(self):
        """Counts since the store was opened; ``layers`` holds those of each tier, the fast one first.

        ``coherence`` says how many keys the fast tier has let go because another process had changed them
        (``dropped``), and how often it let go of all since it could not be told which (``emptied``). ``negative`` are
        reads that were answered by what is known to be missing, ``stale`` those that got a value past its time, and
        ``refreshes`` tells how often such a value was renewed meanwhile, or could not be.
        """
        cdef dict slow = self.below().stats()
        cdef dict fast = self.fast.stats()
        slow["misses"] = max(slow["misses"] - self.asked_twice, 0) + self.negatives
        return {**slow, "hits": fast["hits"] - self.negatives + slow["hits"] + self.stales,
                "stale": slow["stale"] + self.stales, "negative": self.negatives,
                "refreshes": {"done": self.refreshed, "failed": self.unrefreshed},
                "evictions": fast["evictions"], "bytes": fast["bytes"], "layers": [fast, slow],
                "coherence": {"dropped": self.dropped, "emptied": self.emptied}}

    def record_trace(self, path, *, sample=1.0):
        """Record which keys the fast tier is asked for into a file; see ``MemoryStore.record_trace``."""
        self.below()
        return self.fast.record_trace(path, sample=sample)

    def flush(self):
        """Sync the slow tier, and return when every listener has had what happened before this call."""
        self.below().flush()

    def verify(self, *, progress=None):
        """Check the slow tier, and that the fast one holds nothing else."""
        cdef dict report = self.below().verify(progress=progress)
        cdef dict fast = self.fast.verify()
        return {**report, "errors": list(report["errors"]) + fast["errors"], "fast": fast["checked"]}

    def train(self, prefix="", *, samples=None, size=262144):
        """Train a compression dictionary of the slow tier for the values under ``prefix``."""
        cdef object slow = self.below()
        if not hasattr(slow, "train"):
            raise UnsupportedError(f"{type(slow).__name__} does not compress, so there is nothing to train")
        return slow.train(prefix, samples=samples, size=size)

    def _changes(self, since):
        return self.below().changes(since)

    def backup(self, path, *, progress=None):
        """Copy the slow tier to ``path`` while it is in use."""
        self.below().backup(path, progress=progress)

    def readers(self):
        """Who has a place in the slow tier's table of readers; see ``LmdbStore.readers``."""
        return self._on_disk("readers").readers()

    def clear_readers(self):
        """Clear the places that dead processes have left in the slow tier's table of readers."""
        return self._on_disk("clear_readers").clear_readers()

    def _on_disk(self, str method):
        cdef object slow = self.below()
        if not hasattr(slow, method):
            raise UnsupportedError(f"{type(slow).__name__} has no table of readers: a LmdbStore has")
        return slow

    def close(self):
        """Close both tiers, the slow one last. A second close does nothing."""
        if self.closed:
            return
        self.closed = True
        watch_always(&self.first)
        if self.refresher is not None:
            self.refresher.close()
        if self.fast is not None:
            self.fast.close()
            self.slow.close()
