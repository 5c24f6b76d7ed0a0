"""A store over records whose keys may be bytes, or of any kind.

Keys that are not text are text inside: the bytes of their order-preserving encoding, each as a character.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from door43fast.native.keys import KeyCodec
from door43fast.plugins import Record, RecordStore
from door43fast.plugins.ranges import bounds
from door43fast.reference.packing import pack_pairs


def key_codec(kind: str) -> KeyCodec | None:
    """What encodes keys of a kind; None for text, which stays as it is."""
    return None if kind == "str" else KeyCodec(kind)


class Keyed(RecordStore):
    """REQUIRES: ``_keys`` is set by whoever inherits this."""

    _keys: KeyCodec | None

    def _key(self, key: Any) -> str:
        return super()._key(key) if self._keys is None else self._keys.encode(key).decode("latin-1")

    def _shown(self, key: str) -> Any:
        return key if self._keys is None else self._keys.decode(key.encode("latin-1"))

    def _flight_name(self, key: Any) -> str:
        return self._key(key)

    def _bounds(self, prefix: Any, start: Any = None, stop: Any = None) -> Any:
        if self._keys is None:
            return bounds(prefix, start, stop)
        low, high = (None if one is None else one.decode("latin-1") for one in self._keys.bounds(prefix))
        low = max(low or "", "" if start is None else self._key(start))
        return low, high if stop is None else self._key(stop) if high is None else min(high, self._key(stop))

    def _live_range(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[Any, Record]]:
        found = super()._live_range(low, high, reverse)
        return found if self._keys is None else ((self._shown(key), record) for key, record in found)

    def _note(self, change: Any) -> None:
        super()._note(change if self._keys is None else change._replace(key=self._shown(change.key)))

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Sequence[Any] = ()) -> None:
        super()._commit(*({self._key(key): value for key, value in one.items()} for one in (reads, writes)), ranges)

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]:
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records each."""
        if self._keys is None:
            return super().scan_packed(prefix, chunk)
        self._lacks("packed", "packs no batches")
        return pack_pairs(((self._keys.encode(key), value) for key, value in self.scan(prefix)), chunk)
