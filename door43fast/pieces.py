"""A value as a binary file that is read piece by piece: what the readers of all stores have in common."""

from __future__ import annotations

import io
from typing import Any


class PieceReader(io.RawIOBase):
    """Reads, seeks and tells; a subclass sets ``size`` and defines ``piece``.

    Parameters
    ----------
    key
        The key of the value, for errors.
    """

    def __init__(self, key: Any) -> None:
        super().__init__()
        self._key = key
        self.size = 0               # bytes of the whole value
        self._at = self._from = 0
        self._part = b""            # of the value, from ``_from`` on

    def piece(self, at: int) -> tuple[int, bytes]:
        """A piece of the value that has the byte at ``at`` in it, and where it begins."""
        raise NotImplementedError

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
                self._from, self._part = self.piece(self._at)
            skip = self._at - self._from
            part = memoryview(self._part)[skip:skip + len(view) - done]
            view[done:done + len(part)] = part
            done += len(part)
            self._at += len(part)
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
