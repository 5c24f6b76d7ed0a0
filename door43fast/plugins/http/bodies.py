"""What comes of a body: bounded, also where it is packed, and taken up again where the connection broke off."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from door43fast.errors import BackendUnavailableError, BudgetError

GZIP = 31       # zlib's name of the format


class Body:
    """The bytes of one value on their way in."""

    def __init__(self, url: str, most: int) -> None:
        self._url = url
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self._packed: zlib._Decompress | None = None    # type: ignore[name-defined]
        self._version: str | None = None

    def begin(self, headers: Mapping[str, str]) -> None:
        """A whole body comes: what there was is forgotten."""
        self._parts, self._size = [], 0
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise BackendUnavailableError(f"{self._url} answers in the encoding {coding!r}, which was not asked for: "
                                          "have the server send it as it is, or as gzip")
        self._packed = zlib.decompressobj(GZIP) if coding.endswith("gzip") else None
        version = headers.get("etag", "")
        # Only a strong ETag says that the bytes are the same, and only of unpacked ones is the place known.
        self._version = version if version and not version.startswith("W/") and self._packed is None else None
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._most:
            raise self._too_long(int(length))

    def take(self, data: bytes) -> None:
        if self._packed is not None:
            data = self._unpacked(data)
        self._size += len(data)
        if self._size > self._most:
            raise self._too_long(None)
        self._parts.append(data)

    def _unpacked(self, data: bytes) -> bytes:
        try:
            return self._packed.decompress(data, self._most - self._size + 1)   # type: ignore[union-attr]
        except zlib.error as error:
            raise BackendUnavailableError(f"{self._url} answers with what is no gzip ({error}): it was damaged on the "
                                          "way, or by its server") from None

    def whole(self) -> bytes:
        if self._packed is not None and not self._packed.eof:
            raise BackendUnavailableError(f"{self._url} answers with a gzip that breaks off: try again")
        return b"".join(self._parts)

    def again(self) -> dict[str, str]:
        """Headers that ask for the rest, after the connection was lost; none where it must come anew."""
        if not self._size or self._version is None:
            return {}
        return {"range": f"bytes={self._size}-", "if-range": self._version, "accept-encoding": "identity"}

    @property
    def begun(self) -> bool:
        """If the rest was asked for."""
        return bool(self.again())

    def forget(self) -> None:
        """What there was is of no use."""
        self._parts, self._size, self._version = [], 0, None

    def goes_on(self, headers: Mapping[str, str]) -> bool:
        """If the answer is the rest that was asked for."""
        return (self.begun and headers.get("content-range", "").startswith(f"bytes {self._size}-")
                and headers.get("etag", self._version) == self._version and "content-encoding" not in headers)

    def _too_long(self, length: int | None) -> BudgetError:
        size = f"has {length} bytes" if length is not None else "has more"
        return BudgetError(f"the body of {self._url} {size}, and max_value={self._most}: it was not read; give a "
                           "larger max_value=, or read it by reader()")
