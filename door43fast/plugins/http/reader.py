"""A value as a file that is read piece by piece, by range requests."""

from __future__ import annotations

import re
from typing import Any

from door43fast.errors import BackendUnavailableError, ConflictError
from door43fast.plugins import PieceReader

PIECE = 1 << 18     # bytes that are asked for at once
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


class HttpReader(PieceReader):
    """What ``store.reader(key)`` gives. A server that knows no ranges sends the value whole, which is then kept.

    It is of one version of the value: where the server says by ETag, date or size that it is another,
    ``ConflictError``.
    """

    def __init__(self, exchange: Any, url: str, key: str) -> None:
        super().__init__(key)
        self._exchange, self._url = exchange, url
        self._known: str | None = None      # the version that the server told
        self._from, self._part = self.piece(0)

    def piece(self, at: int) -> tuple[int, bytes]:
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
            return 0, b""       # it is empty
        if answer.status == 200:
            if not first and (told != self._known or len(answer.body) != self.size):
                raise self._other()
            self._known, self.size = told, len(answer.body)
            return 0, answer.body
        found = RANGE.match(answer.headers.get("content-range", ""))
        if answer.status != 206 or found is None or int(found[1]) != at or len(answer.body) != int(found[2]) - at + 1:
            if not first and answer.status == 416:
                raise self._other()
            raise BackendUnavailableError(f"{self._url}: the server answers {answer.status} to a request for a part, "
                                          "and not with that part: read it by get()")
        if not first and (told != self._known or int(found[3]) != self.size):
            raise self._other()
        self._known, self.size = told, int(found[3])
        return at, answer.body

    def _other(self) -> ConflictError:
        return ConflictError(f"the value of {self._key!r} was replaced or deleted while it was read; open a reader "
                             "anew")
