"""Reads of a store whose last writes wait to be flushed: from what is dirty, and below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from door43fast.contracts import MISSING, Progress
from door43fast.errors import UnsupportedError
from door43fast.layers.backlog import Backlog, Entry, bufferable
from door43fast.layers.bottom import Terms
from door43fast.layers.flusher import Flusher
from door43fast.layers.forwarding import Call
from door43fast.native.tiers_nested import with_deadlines
from door43fast.tagged import tags_of

SIDES = ("train", "readers", "clear_readers")     # what some stores have besides


class BufferedReads:
    """Mixed in before the wrapper: which reads are answered here, and which flush first."""

    _rows: dict[Any, Entry]
    _backlog: Backlog
    _flusher: Flusher
    _terms: Terms
    slow: Any
    _below: Any

    @property
    def capabilities(self) -> Any:
        """What the store below can do, but record reads, of which that store sees only a part."""
        return self.slow.capabilities._replace(traces=False)

    def _gives_back(self) -> tuple[bool, float | None]:
        """Whether a memory tier above may keep what is set as it is, and how long that lives if nothing is said."""
        codec = self._terms.codec
        return codec is not None and codec.name == "auto", self._terms.ttl

    def __getattr__(self, name: str) -> Any:
        if name not in SIDES or "slow" not in self.__dict__:
            return super().__getattr__(name)    # type: ignore[misc]
        method = getattr(self.slow, name)

        def call(*args: Any, **options: Any) -> Any:
            self._settle(None)
            return method(*args, **options)
        return call

    # -- single keys -----------------------------------------------------------------------------------------

    def _found(self, key: Any) -> Entry | None:
        """The dirty entry of ``key``. What could be equal to a dirty key and not the same has all flushed first."""
        if not self._rows:
            return None
        if bufferable(key):
            return self._rows.get(key)
        self._below()
        self._flusher.flush()
        return None

    def _value(self, entry: Entry) -> Any:
        """What a read finds, counted: the value, afresh where it can be changed, or MISSING."""
        self._below()
        live = entry.live(self._terms.clock.seconds)
        with self._backlog.lock:
            self._backlog.counts["hits" if live else "misses"] += 1
        return self._terms.thaw(entry.mark, entry.value) if live else MISSING

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, or ``default``."""
        entry = self._found(key)
        if entry is None:
            return self._below().get(key, default)
        value = self._value(entry)
        return default if value is MISSING else value

    def __getitem__(self, key: Any) -> Any:
        entry = self._found(key)
        if entry is None:
            return self._below()[key]
        value = self._value(entry)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        entry = self._found(key)
        below = self._below()
        return key in below if entry is None else entry.live(self._terms.clock.seconds)

    def ttl(self, key: Any) -> float | None:
        """Seconds that ``key`` has left, None if it does not expire; KeyError if it is not there."""
        entry = self._found(key)
        below = self._below()
        if entry is None:
            return below.ttl(key)
        now = self._terms.clock.seconds
        if not entry.live(now):
            raise KeyError(key)
        return None if entry.deadline is None else entry.deadline - now

    def _lookup(self, key: Any) -> tuple[int, Any]:
        entry = self._found(key)
        if entry is not None and entry.live(self._terms.clock.seconds):
            return 1, self._value(entry)
        # A computation is about to begin: what is written of the key from then on ends it, a flush too.
        self._settle([key])
        return self._below()._lookup(key)

    def _read(self, key: Any) -> tuple[Any, Any]:
        self._settle([key])     # its version is one of the store below
        return self._below()._read(key)

    def _settle(self, keys: Any) -> None:
        """Flush what is dirty of ``keys``; all of it, where they are not of the kinds that are buffered."""
        self._below()
        if self._rows:
            self._flusher.flush_keys(keys if isinstance(keys, list) and all(map(bufferable, keys)) else None)

    # -- batches ---------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        below = self._below()
        if not self._rows or isinstance(keys, (str, bytes)):
            self._settle(None)
            return below.get_many(keys, default)
        values = self._gather(list(keys), lambda rest: below.get_many(rest, MISSING), self._value)
        return [default if value is MISSING else value for value in values]

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        """For each of ``keys`` whether it is there."""
        below = self._below()
        if not self._rows or isinstance(keys, (str, bytes)):
            self._settle(None)
            return below.contains_many(keys)
        return self._gather(list(keys), below.contains_many, lambda entry: entry.live(self._terms.clock.seconds))

    def _with_deadlines(self, keys: list[Any]) -> list[tuple[Any, float | None]]:
        """Each value, or MISSING, and the seconds that it has left: what a memory tier over this store asks for."""
        below = self._below()
        return self._gather(list(keys), lambda rest: with_deadlines(below, rest), self._with_deadline)

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]:
        below = self._below()
        return self._gather(list(keys), lambda rest: tags_of(below, rest),
                            lambda entry: entry.tags if entry.live(self._terms.clock.seconds) else ())

    def _with_deadline(self, entry: Entry) -> tuple[Any, float | None]:
        value = self._value(entry)
        if value is MISSING or entry.deadline is None:
            return value, None
        return value, max(entry.deadline - self._terms.clock.seconds, 0.0)

    def _gather(self, keys: list[Any], ask: Any, tell: Any) -> list[Any]:
        """For each key what ``tell`` gives for its dirty entry, or what one call of ``ask`` gives for all others."""
        rows = self._rows
        if rows and not all(map(bufferable, keys)):
            self._flusher.flush()
        with self._backlog.lock:
            found = [rows.get(key) for key in keys] if rows else [None] * len(keys)
        rest = [key for key, entry in zip(keys, found, strict=True) if entry is None]
        answers = iter(ask(rest) if rest else ())
        return [next(answers) if entry is None else tell(entry) for entry in found]

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        """The values under ``keys`` in one ``Packed``."""
        wanted = keys if hasattr(keys, "__len__") else list(keys)     # an array stays one
        self._settle(wanted)
        return self._below().get_packed(wanted, out=out)

    # -- everything ------------------------------------------------------------------------------------------

    def _ask_all(self, call: Call) -> Any:
        """What any key may be part of is asked below, when nothing that was written before is missing there."""
        self._settle(None)
        return call.on(self._below())

    def _care(self, call: Call) -> Any:
        if call.name in ("flush", "verify", "backup"):
            self._settle(None)
        return call.on(self._below())

    def record_trace(self, path: Any, *, sample: float = 1.0) -> Any:
        """Not here: the store below is not asked for what is dirty."""
        self._below()
        raise UnsupportedError(f"{type(self).__name__} records no reads into {path!r}, as its capabilities say: record "
                               "them in a memory tier above it")

    def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        """Flush, then copy the store below to ``path`` while it is in use."""
        self._care(Call("backup", None, (path,), {"progress": progress}))
