"""What a layer owes: the keys of writes that it has not acknowledged, so that nobody reads there what is not so.

A debt begins with a write that others have and this layer may lack, and ends when the layer has been given what holds,
under the lock of the key. So it is also the tombstone of a deleted key. ``since`` is the number of the first write that
the layer may lack. Beyond ``max_owed`` keys the layer has lapsed: it is not read at all until it was copied anew.

A layer that is not there at the opening is ``unseen``: it counts as lapsed until it was looked at, and remembers what
it is to be given meanwhile.

The change of a ledger belongs to the section of the key (``stripes.py``); looking at it needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from door43fast.errors import ConfigError


class Debt(NamedTuple):
    """A key that is owed. ``pin`` is that of the last ``set``: no layer tells it."""

    since: int
    pin: bool = False


class Ledger:
    """The debts of one layer.

    Attributes
    ----------
    lapsed : int or None
        The number of the write since which it owes more than single keys; -1 if it was not there to be asked.
    unseen : bool
        It was not there at the opening, and nobody has looked at it since.
    copying : bool
        It has lapsed, and is being copied anew: writes go to it again.
    emptied : int
        How often the layer was emptied, to be copied anew.
    untold : bool
        It was given entries by one that does not tell tags (``tagged.py``), so that an ``invalidate`` may miss them.
    """

    def __init__(self, name: str, max_owed: int, book: Book | None = None) -> None:
        if isinstance(max_owed, bool) or not isinstance(max_owed, int) or max_owed < 0:
            raise ConfigError(f"max_owed={max_owed!r} is not allowed: give how many keys a layer may owe, 0 or more")
        self.name, self.max_owed, self._book = name, max_owed, book
        self.owed: dict[Any, Debt] = {}
        self.lapsed: int | None = None      # looked at by every call, and so kept up to date beside the next two
        self._lapsed: int | None = None
        self._unseen = False
        self.copying = False
        self.untold = False
        self.emptied = 0
        if book is not None:
            self.owed, self._lapsed, self.untold = book.read(name)
        self._reckon()

    def _reckon(self) -> None:
        self.lapsed = -1 if self._unseen and self._lapsed is None else self._lapsed

    @property
    def unseen(self) -> bool:
        return self._unseen

    @unseen.setter
    def unseen(self, unseen: bool) -> None:
        self._unseen = unseen
        self._reckon()

    @property
    def known(self) -> bool:
        """Whether single keys are all that it owes, whether it was looked at or not."""
        return self._lapsed is None

    @property
    def clean(self) -> bool:
        return self.lapsed is None and not self.owed

    @property
    def untouched(self) -> bool:
        """Whether it has not been there, and there was nothing for it."""
        return self.unseen and self._lapsed is None and not self.owed

    def whole(self, emptied: int) -> bool:
        """Whether what the layer has answered since ``emptied`` was looked at is what it held as a whole."""
        return self.lapsed is None and self.emptied == emptied

    def owes(self, key: Any) -> bool:
        return self.lapsed is not None or key in self.owed

    def add(self, keys: Iterable[Any], since: int, pin: bool | None = False, bounded: bool = True) -> None:
        """The layer may lack the write ``since`` of ``keys``. ``pin`` is what it sets, None where it keeps what there
        is. ``bounded`` says that it may lapse."""
        if self._lapsed is not None and not self.copying:
            return
        new = {}
        for key in keys:
            old = self.owed.get(key)
            if old is None:
                new[key] = Debt(since, bool(pin))
            elif pin is not None and pin != old.pin:
                new[key] = old._replace(pin=pin)
        if bounded and len(self.owed) + sum(key not in self.owed for key in new) > self.max_owed:
            self.lapse(since)
            return
        if self._book is not None and new:
            self._book.note(self.name, new)
        self.owed.update(new)

    def lapse(self, since: int) -> None:
        """The layer is not to be read before it was copied anew."""
        if self._book is not None:
            self._book.lapse(self.name, since)
        self._lapsed = since if self._lapsed is None else self._lapsed
        self._reckon()
        self.copying = False
        self.owed.clear()

    def paid(self, keys: Iterable[Any]) -> None:
        """The layer has what holds under ``keys``."""
        if not self.owed:
            return
        gone = [key for key in keys if self.owed.pop(key, None) is not None]    # it may lapse meanwhile
        if self._book is not None and gone:
            self._book.forget(self.name, gone)

    def copied(self) -> None:
        """The layer was copied anew, but for what it owes by now."""
        self._lapsed, self.copying = None, False
        self._reckon()
        if self._book is not None:
            self._book.unlapse(self.name)

    def mark_untold(self, untold: bool) -> None:
        """Entries are about to be given to it without their tags; or it holds nothing any more."""
        if self.untold is not untold:
            self.untold = untold
            if self._book is not None:
                self._book.mark_untold(self.name, untold)


class Book:
    """Debts that outlast the process: a store on disk of its own, whose keys are ``(what, layer, key)``.

    It also holds which keys are being written, from before the first layer is asked until all have answered: what is
    found there at opening was cut short, and the layers may differ.
    """

    def __init__(self, path: Any) -> None:
        from door43fast.lmdb import LmdbStore

        # A killed process loses nothing of it; a power loss at most what the layers' own durability loses as well.
        self._store = LmdbStore(path, keys="any", durability="batch")

    def read(self, name: str) -> tuple[dict[Any, Debt], int | None, bool]:
        # Rows of before have the tags between the two.
        owed = {key[2]: Debt(debt[0], debt[-1]) for key, debt in self._store.scan(("owed", name))}
        return owed, self._store.get(("lapsed", name)), ("untold", name) in self._store

    def note(self, name: str, debts: dict[Any, Debt]) -> None:
        self._store.set_many({("owed", name, key): list(debt) for key, debt in debts.items()})

    def forget(self, name: str, keys: Iterable[Any]) -> None:
        self._store.delete_many([("owed", name, key) for key in keys])

    def lapse(self, name: str, since: int) -> None:
        self._store.add(("lapsed", name), since)
        self._store.delete_many([key for key, _ in self._store.scan(("owed", name))])

    def unlapse(self, name: str) -> None:
        self._store.delete(("lapsed", name))

    def mark_untold(self, name: str, untold: bool) -> None:
        if untold:
            self._store[("untold", name)] = True
        else:
            self._store.delete(("untold", name))

    def begin(self, number: int, keys: Iterable[Any] | None) -> None:
        """Write ``number`` begins, of these keys, or of any."""
        self._store[("writing", number)] = None if keys is None else list(keys)

    def end(self, number: int) -> None:
        self._store.delete(("writing", number))

    def cut_short(self) -> list[tuple[int, list[Any] | None]]:
        """The writes that were begun and never ended, by a process that is not there any more."""
        return [(key[1], keys) for key, keys in self._store.scan(("writing",))]

    def last(self) -> int:
        """The greatest number that it knows."""
        numbers = [number for number, _ in self.cut_short()]
        numbers += [debt[0] for _, debt in self._store.scan(("owed",))]
        numbers += [since for _, since in self._store.scan(("lapsed",))]
        return max(numbers, default=0)

    def close(self) -> None:
        self._store.close()
