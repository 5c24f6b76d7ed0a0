"""A value as a file that is read piece by piece, by range requests."""

from __future__ import annotations

import io
import re
from typing import Any

from door43fast.errors import BackendUnavailableError, ConflictError

PIECE = 1 << 18     # bytes that are asked for at once
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


class HttpReader(io.RawIOBase):
    """What ``store.reader(key)`` gives. A server that knows no ranges sends the value whole, which is then kept.

    It is of one version of the value: where the server says by ETag, date or size that it is another,
    ``ConflictError``.
    """

    def __init__(self, exchange: Any, url: str, key: str) -> None:
        super().__init__()
        self._exchange, self._url, self._key = exchange, url, key
        self._at = self._from = self.size = 0
        self._part = b""
        self._known: str | None = None      # the version that the server told
        self._load(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._open()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence={whence!r} is none of 0, 1 and 2")
        at = offset + (0, self._at, self.size)[whence]
        if at < 0:
            raise ValueError(f"a place of {at} lies before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as the value reaches; returns how many bytes there were."""
        self._open()
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self.size:
            if not self._from <= self._at < self._from + len(self._part):
                self._load(self._at)
            skip = self._at - self._from
            piece = memoryview(self._part)[skip:skip + len(view) - done]
            view[done:done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def readall(self) -> bytes:
        """What is left."""
        return self.read(max(self.size - self._at, 0)) or b""

    def close(self) -> None:
        self._part = b""
        super().close()

    def _open(self) -> None:
        if self.closed:
            raise ValueError(f"the reader of {self._key!r} is closed")

    def _load(self, at: int) -> None:
        """The piece that begins at ``at``, or at the first time all of it from a server without ranges."""
        first = not at and self._known is None and not self.size
        answer = self._exchange.ask("GET", self._url, {"range": f"bytes={at}-{at + PIECE - 1}",
                                                       "accept-encoding": "identity"})
        told = answer.headers.get("etag") or answer.headers.get("last-modified")
        if answer.status in (404, 410):
            if first:
                raise KeyError(self._key)
            raise self._other()
        if answer.status == 416 and first and answer.headers.get("content-range", "") == "bytes */0":
            return      # it is empty
        if answer.status == 200:
            if not first and (told != self._known or len(answer.body) != self.size):
                raise self._other()
            self._known, self._from, self._part, self.size = told, 0, answer.body, len(answer.body)
            return
        found = RANGE.match(answer.headers.get("content-range", ""))
        if answer.status != 206 or found is None or int(found[1]) != at or len(answer.body) != int(found[2]) - at + 1:
            if not first and answer.status == 416:
                raise self._other()
            raise BackendUnavailableError(f"{self._url}: the server answers {answer.status} to a request for a part, "
                                          "and not with that part: read it by get()")
        if not first and (told != self._known or int(found[3]) != self.size):
            raise self._other()
        self._known, self._from, self._part, self.size = told, at, answer.body, int(found[3])

    def _other(self) -> ConflictError:
        return ConflictError(f"the value of {self._key!r} was replaced or deleted while it was read; open a reader "
                             "anew")
