"""What ``Cache`` does with many records: iteration in two orders, deletion by tag, by expiry, of all; the check."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from door43fast.compat.diskcache_keys import TAG, is_tag, key_of, sort_key
from door43fast.errors import CorruptError

CHUNK = 1000        # records that are deleted in one transaction


class ManyFace:
    """Mixed into ``Cache``."""

    def _names(self) -> Iterator[Any]:
        return (name for name in self.store.keys() if not is_tag(name))

    def __iter__(self) -> Iterator[Any]:
        """The keys in the order of the store: bytes, str, tuples, int, float, and by value within each."""
        return (key_of(name, self._pickles) for name in self._names())

    def __reversed__(self) -> Iterator[Any]:
        return (key_of(name, self._pickles) for name, _ in self.store.scan(reverse=True) if not is_tag(name))

    def iterkeys(self, reverse: bool = False) -> Iterator[Any]:
        """The keys in the order of diskcache: numbers, str, bytes, others. It takes all of them at once."""
        return iter(sorted(self, key=sort_key, reverse=reverse))

    def __len__(self) -> int:
        """How many records are held, with expired ones that are not reaped yet."""
        return len(self.store) - self.store.count(TAG)

    def peekitem(self, last: bool = True, expire_time: bool = False, tag: bool = False, retry: bool = False) -> Any:
        """The last item in the order of iteration, or the first; KeyError if the cache is empty."""
        while True:
            for name, _ in self.store.scan(reverse=last):
                if not is_tag(name):
                    break
            else:
                raise KeyError("the cache is empty")
            found = self._whole(name)
            if found is not None:       # else it went meanwhile
                return shown((key_of(name, self._pickles), found[0]), found, expire_time, tag)

    def _delete_where(self, wanted: Callable[[Any, bytes | None, int], bool]) -> int:
        """Delete the records whose name, tags and deadline are ``wanted``, some at a time; how many there were."""
        count = 0
        chosen: list[Any] = []
        for name in self._names():
            _, _, deadline, _, tags, _ = self.store._read_whole(name)
            if wanted(name, tags, deadline):
                chosen.append(name)
                if len(chosen) == CHUNK:
                    count += self.store.delete_many(chosen)
                    chosen = []
        return count + self.store.delete_many(chosen)

    def evict(self, tag: str | None, retry: bool = False) -> int:
        """Delete all that carry ``tag``; how many there were. It reads every record, as diskcache without an index."""
        if tag is None:
            return 0
        hash = self.store._tag_hashes((tag,))
        return self._delete_where(lambda name, tags, deadline: tags is not None and tags[:16] == hash)

    def expire(self, now: float | None = None, retry: bool = False) -> int:
        """Delete what has expired, or will have at the Unix time ``now``; how many there were."""
        count = self.store.expire()
        if now is not None and now > time.time():
            count += self._delete_where(lambda name, tags, deadline: 0 < deadline < now * 1e9)
        return count

    def cull(self, retry: bool = False) -> int:
        """Delete what has expired; how many there were."""
        return self.store.expire()

    def clear(self, retry: bool = False) -> int:
        """Delete all; how many there were."""
        count = len(self)
        tags = [name for name in self.store.keys(TAG)]
        named = dict(zip(tags, self.store.get_many(tags)))
        self.store.clear()
        for name, tag in named.items():     # records of other processes may carry them from now on
            self.store.set(name, tag, pin=True)
        return count

    def check(self, fix: bool = False, retry: bool = False) -> list[Any]:
        """Check every record; the warnings that came of it. With ``fix`` damaged records are deleted."""
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            try:
                self.store.verify()
            except CorruptError as error:
                warnings.warn(str(error), stacklevel=2)
                while fix and self._delete_damaged():
                    pass
        return found

    def _delete_damaged(self) -> bool:
        """Delete the first record that does not match its checksum; False if there is none."""
        try:
            for _ in self.store.keys():
                pass
        except CorruptError as damage:
            if damage.key is None or not self.store.delete(damage.key):
                raise
            warnings.warn(f"deleted: {damage}", stacklevel=2)
            return True
        return False

    if TYPE_CHECKING:   # what the cache brings
        store: Any
        _pickles: bool
        _whole: Any


def shown(value: Any, found: Any, expire_time: bool, tag: bool) -> Any:
    """A value as ``get`` returns it: with its expiry and its tag if asked for."""
    if not (expire_time or tag):
        return value
    about = (None, None) if found is None else found[1:]
    return (value, *about) if expire_time and tag else (value, about[0] if expire_time else about[1])
