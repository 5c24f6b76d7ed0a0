"""The head of a member: the one reserved record in its store that says what the store is to the others.

A replica's head holds how far it is in the log of its primary. It is written in the same step as the data that it
speaks of, so it is never ahead of them. Heads also hold the term: who finds one greater than its own is no longer the
writer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from door43fast.contracts import MISSING
from door43fast.errors import ConfigError, FormatError

# The key of the head, by the type of the store's keys. Each comes first in the order of keys.
KEYS: tuple[Any, ...] = ("\0door43fast replica", b"\0door43fast replica", -2**63)


class Head(msgspec.Struct, frozen=True):
    """What is known of a member. Fields are only ever added."""

    format: int = 1
    term: int = 0           # grows with each promotion
    role: str = "replica"   # or "primary"
    log: str = ""           # which log `seq` is a number of
    seq: int = 0            # the last change that is in the data
    mark: str = ""          # tells change `seq` from that of this number in the log of another store
    whole: bool = False     # the data are as the primary's were at `seq`, not between two states

    def but(self, **changes: Any) -> Head:
        return msgspec.structs.replace(self, **changes)


class Place:
    """Where the head of a store is: under which key, and as what kind of value."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.key: Any = None
        self.known = False          # whether there was a head when it was looked at last
        self._text = False          # a store of JSON takes text only, others any bytes

    def read(self) -> tuple[Any, Head | None]:
        """The token of the record, and the head; None where there is none."""
        if self.key is None:
            self.key = self._find_key()
        token, data = self.store._read(self.key)
        self.known = data is not MISSING
        return token, None if data is MISSING else self.decoded(data)

    def decoded(self, data: Any) -> Head | None:
        """The head of a record; None for none."""
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=Head)
        except (msgspec.MsgspecError, TypeError) as error:
            raise FormatError(f"the record {self.key!r} of {self.store!r} is no head of a replica ({error}): it was "
                              "written by something else, or by a newer version") from None

    def _find_key(self) -> Any:
        for key in KEYS:
            try:
                self.store._read(key)
            except TypeError:
                continue
            return key
        raise ConfigError(f"{self.store!r} takes no key that is str, bytes or int, so it cannot be a member of a "
                          "replicated store")

    def write(self, head: Head, token: Any, changes: dict[Any, Any] | None = None) -> None:
        """Write it with ``changes``, all or nothing; ConflictError if the record is not that of ``token`` any more."""
        pin = bool(self.store.capabilities.pins)
        while True:
            data: Any = msgspec.json.encode(head)
            writes = {**(changes or {}), self.key: (data.decode() if self._text else data, None, (), pin)}
            try:
                self.store._commit({self.key: token}, writes, ranges=())
            except TypeError:
                if self._text:
                    raise
                self._text = True
                continue
            self.known = True
            return

    def put(self, head: Head) -> None:
        """Write it by itself, into a store that has no transactions."""
        data: Any = msgspec.json.encode(head)
        try:
            self.store.set(self.key, data.decode() if self._text else data)
        except TypeError:
            self._text = True
            self.store.set(self.key, data.decode())
        self.known = True
