"""Values as binary files: read and written piece by piece, so that no more than a piece is in memory.

A store on disk keeps large values in chunks and gives them chunk by chunk. Other stores give and take the value whole,
behind the same face.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

from door43fast.contracts import MISSING, RAW, Seconds
from door43fast.errors import ClosedError, ConflictError, ReadOnlyError
from door43fast.pieces import PieceReader

CHUNK = 262144 - 32     # bytes of a value in each chunk but the last; see docs/format.md
_AT_SIZE, _AT_CHUNK = slice(16, 24), slice(24, 28)       # in the head of a value in chunks


def _keeper(store: Any) -> Any:
    """The store that keeps what ``store`` holds in chunks: itself, or the slow tier below it; None if there is none.

    One whose codec makes something else of bytes is none: it can only be given them whole.
    """
    while store is not None and hasattr(store, "_stream_publish"):
        if hasattr(store, "_stream_write"):
            return store if store._keeps_bytes() else None
        store = store.slow
    return None


def _bytes_of(value: Any, key: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"the value of {key!r} is {type(value).__name__}; only bytes can be read as a file: use get")
    return bytes(value)


class ValueReader(PieceReader):
    """A value as a binary file to read: what ``store.reader(key)`` gives.

    It is of one version of the value. Where that is replaced or deleted meanwhile, what is read next from the store
    raises ``ConflictError``; nothing of another version is ever mixed in. Between two calls it holds nothing open.
    """

    def __init__(self, store: Any, key: Any) -> None:
        super().__init__(key)
        self._keeper = _keeper(store)
        self._head: bytes | None = None
        if self._keeper is None:
            value = store.get(key, MISSING)
            if value is MISSING:
                raise KeyError(key)
            self._part = _bytes_of(value, key)
        else:
            found = self._keeper._stream_open(key)
            if found is None:
                raise KeyError(key)
            mark, whole, self._head = found
            if mark != RAW:         # what comes out of it may be like bytes all the same
                whole, self._head = _bytes_of(store[key], key), None
            self._part = whole or b""
        self.size = len(self._part)
        if self._head is not None:
            self.size = int.from_bytes(self._head[_AT_SIZE], "little")
            self._chunk = int.from_bytes(self._head[_AT_CHUNK], "little")

    def piece(self, at: int) -> tuple[int, bytes]:
        number = at // self._chunk
        part = self._keeper._stream_piece(self._key, self._head, number)
        if part is None:
            raise ConflictError(f"the value of {self._key!r} was replaced or deleted while it was read; open a reader "
                                "anew")
        return number * self._chunk, part


class ValueWriter(io.RawIOBase):
    """A value as a binary file to write: what ``store.writer(key)`` gives.

    Nobody sees anything of it until ``close()``, which sets the key; the end of a ``with`` block closes, unless by an
    exception. What is not closed, but abandoned or forgotten, is removed.
    """

    def __init__(self, store: Any, key: Any, ttl: Seconds | None, tags: Iterable[str], pin: bool,
                 durable: bool) -> None:
        super().__init__()
        self._id: bytes | None = None
        self._lock = -1
        self._ended = True              # until it is known that it may begin: __del__ runs in any case
        if not store.capabilities.writes:
            raise ReadOnlyError(f"{type(store).__name__} was opened to read only; open it without, to write {key!r}")
        if isinstance(tags, (str, bytes)):
            raise TypeError(f"tags={tags!r} is one text; give a tuple or list of tags: tags=({tags!r},)")
        self._store, self._key, self._keeper = store, key, _keeper(store)
        self._options = {"ttl": ttl, "tags": tuple(tags), "pin": pin}
        self._durable = durable
        self._buffer = bytearray()
        self._count = self._size = 0
        self._pid = os.getpid()
        if self._keeper is None:
            hash(key)
        else:
            self._keeper._stream_check(key, ttl, self._options["tags"])
        self._ended = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        return self._size

    def write(self, data: Any) -> int:
        """Append ``data``, a bytes-like object; returns how many bytes that were: all."""
        if self.closed or self._ended:
            raise ValueError(f"the writer of {self._key!r} is closed")
        if os.getpid() != self._pid:
            raise ClosedError(f"the writer of {self._key!r} belongs to the process that was forked; open one here")
        view = memoryview(data).cast("B")
        taken = 0
        while taken < len(view):
            step = len(view) - taken
            if self._keeper is not None:
                step = min(step, CHUNK - len(self._buffer))
            self._buffer += view[taken:taken + step]
            taken += step
            self._size += step
            # The last chunk is left for close: whether there is one at all is known only then.
            if self._keeper is not None and len(self._buffer) == CHUNK:
                self._send()
        return taken

    def close(self) -> None:
        """Set the key to what was written. A second call does nothing."""
        if self.closed or self._ended or os.getpid() != self._pid:
            super().close()
            return
        try:
            if self._id is None:
                self._store.set(self._key, bytes(self._buffer), **self._options, **self._sync())
            else:
                if self._buffer:
                    self._send()
                options = self._options
                if not self._store._stream_publish(self._key, self._id, self._size, options["ttl"], options["tags"],
                                                   options["pin"], self._durable):
                    self._lost()
            self._end()
        except BaseException:
            self.abandon()
            raise
        super().close()

    def abandon(self) -> None:
        """Give up: what was written is removed, and the key keeps its value."""
        if not self._ended and os.getpid() == self._pid:
            try:
                if self._id is not None and not self._keeper.closed:    # else the next to open the store removes it
                    self._keeper._stream_drop(self._id)
            finally:
                self._end()
        super().close()

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            self.abandon()
        else:
            self.close()

    def __del__(self) -> None:
        if not self._ended:
            self.abandon()

    def _sync(self) -> dict[str, bool]:
        return {"durable": True} if self._durable else {}

    def _send(self) -> None:
        if self._id is None:
            self._id, self._lock = self._keeper._stream_begin()
        data = bytes(self._buffer)
        if not self._keeper._stream_write(self._id, self._count, data):
            self._lost()
        self._buffer.clear()
        self._count += 1

    def _lost(self) -> None:
        raise ConflictError(f"what was written of the value of {self._key!r} was removed by another process; write it "
                            "anew")

    def _end(self) -> None:
        """Whatever became of it, the lock file goes."""
        self._ended = True
        self._buffer.clear()
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            try:
                os.unlink(self._keeper._lock_of(self._id))
            except OSError:     # the store was moved away, a sweep was faster, or the next one takes it
                pass
            finally:
                os.close(lock)
