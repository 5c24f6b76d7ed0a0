"""The base of a backend that keeps bytes by name: four methods, and everything else comes with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from door43fast.config import Options
from door43fast.errors import Error
from door43fast.plugins import record as frames
from door43fast.plugins.ranges import after_prefix
from door43fast.plugins.record import Record
from door43fast.plugins.records import RecordStore
from door43fast.plugins.section import Found
from door43fast.plugins.shadows import check_class, check_instance, kept

CHUNK = 256         # records that a scan reads with one call
TAGS = "\0tags"     # the name under which the generations of tags are kept


def _reserved(name: str) -> bool:
    return name[0] == "\0" and name[1:2] != "\0"


def name_of(key: str) -> str:
    """What a key is called: itself, with a first NUL doubled, which leaves names for ourselves and keeps the order."""
    return "\0" + key if key[0] == "\0" else key


def _key(name: str) -> str:
    return name[1:] if name[0] == "\0" else name


class Backend(RecordStore):
    """A store over something that keeps bytes under names.

    A subclass defines ``Options``, a subclass of :class:`~door43fast.plugins.BackendOptions`, and

    - ``read(names)``: for each of a list of names its bytes, or None;
    - ``write(changes)``: keep the bytes of a dict of names, None to take a name out; all or nothing, or else the
      class declares ``transactions=False``;
    - ``names(prefix)``: every name that begins with ``prefix``, in any order;
    - ``shut()``: let go of everything;

    and where it can, ``sync()``: have what was written survive a power loss, which ``flush()`` and ``durable=True`` ask
    for.

    Methods and attributes of its own take names that this class has not: ``self._lock`` or ``self.items`` are refused.

    A name is any text. Calls come from any thread; those of ``write`` one at a time. ``capabilities`` says what the
    store cannot do, which is then answered with ``UnsupportedError``.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_class(cls, Backend)

    def __init__(self, options: Options | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self._brought = kept(self)

    @classmethod
    def open(cls, options: Any) -> Any:
        """What the registry calls with checked options."""
        store = super().open(options)
        try:
            check_instance(store, store._brought, Backend)
        except TypeError:
            store.shut()    # not close(), which may rely on what was taken
            raise
        return store

    def read(self, names: list[str]) -> list[bytes | None]:
        raise NotImplementedError(f"{type(self).__name__} must define read(self, names)")

    def write(self, changes: dict[str, bytes | None]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define write(self, changes)")

    def names(self, prefix: str) -> Iterable[str]:
        raise NotImplementedError(f"{type(self).__name__} must define names(self, prefix)")

    def shut(self) -> None:
        """Let go of everything."""

    def sync(self) -> None:
        """Have what was written survive a power loss; for a backend that knows no way, nothing is done."""

    def where(self, key: str) -> str:
        """What the record of a key is called in an error."""
        return f"the record of key {key!r}"

    name_of = staticmethod(name_of)

    # -- over these four -------------------------------------------------------------------------------------

    def _fetch(self, keys: Sequence[str]) -> Found:
        data = self.read([name_of(key) for key in keys])
        found: Found = [None if one is None else frames.unpack(one, self.where(key), key)[1]
                        for key, one in zip(keys, data, strict=True)]
        tags = {tag for record in found if record is not None for tag, _ in record.tags}
        if tags:
            now = self._generations(sorted(tags))
            found = [record._replace(revoked=any(now.get(tag, 0) != generation for tag, generation in record.tags))
                     if record is not None and record.tags else record for record in found]
        return found

    def _apply(self, changes: list[tuple[str, Record | None]]) -> None:
        self.write({name_of(key): None if record is None else frames.pack(key, record) for key, record in changes})

    def _within(self, low: str, high: str | None) -> Iterator[str]:
        """The keys of a range, in any order."""
        prefix = low if after_prefix(low) == high else ""
        keys = (_key(name) for name in self.names(name_of(prefix) if prefix else "") if not _reserved(name))
        return (key for key in keys if key >= low and (high is None or key < high))

    def _range(self, low: str, high: str | None) -> list[str]:
        return sorted(self._within(low, high))

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        keys = iter(self._range(low, high)[::-1 if reverse else 1])
        while chunk := list(islice(keys, CHUNK)):
            for key, record in zip(chunk, self._fetch(chunk), strict=True):
                if record is not None:
                    yield key, record

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        held = self.read([TAGS])[0]
        return {} if held is None else json.loads(frames.unpack(held, "the record of tags", TAGS)[1].payload)

    def _revoke(self, tag: str) -> None:
        generations = self._generations([tag])
        generations[tag] = generations.get(tag, 0) + 1
        self.write({TAGS: frames.pack(TAGS, Record(0, json.dumps(generations).encode()))})

    def _held(self) -> int:
        return sum(1 for name in self.names("") if not _reserved(name))

    def _erase(self, low: str, high: str | None) -> None:
        self.write({name_of(key): None for key in self._range(low, high)})

    def _sound(self) -> Iterator[str]:
        for key in self._range("", None):
            try:
                for record in self._fetch([key]):
                    if record is not None:
                        self._decode(record)
            except Error as error:
                yield str(error)
            else:
                yield ""

    def _sync(self) -> None:
        self.sync()

    def _shut(self) -> None:
        self.shut()
