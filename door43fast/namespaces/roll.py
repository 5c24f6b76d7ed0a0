"""Which namespaces there are: opened, listed and dropped, and those that are open found again."""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from contextlib import nullcontext
from itertools import islice
from typing import Any

from door43fast.config import checked, given
from door43fast.contracts import MISSING
from door43fast.errors import ConfigError, ConflictError, UnsupportedError, did_you_mean
from door43fast.namespaces.book import About, about, begun, read_book, to_bytes
from door43fast.namespaces.regions import Regions, books_of, checked_name
from door43fast.namespaces.store import Namespace, NamespaceOptions
from door43fast.namespaces.writing import Directly

LIMITS = ("max_bytes", "max_entries", "rate", "burst")
CHUNK = 4096        # records that a drop takes out in one transaction

_lock = threading.RLock()
_open: weakref.WeakKeyDictionary[Any, weakref.WeakValueDictionary[str, Namespace]] = weakref.WeakKeyDictionary()


def namespace(store: Any, name: str, **options: Any) -> Namespace:
    """A part of ``store`` as a store of its own, which sees nothing of the others, and none of them sees it.

    Parameters
    ----------
    store : Store
        Any store with text or bytes for keys and an order of them. Leave it to its namespaces: what is written into
        their places around them is not counted.
    name : str
        Up to 128 characters, none of them a control character. There is one namespace of a name, and one object for
        it while it is open: another call gives the same.
    keys : {"str", "bytes", "any"}, optional
        The type of the keys, as that of a ``LmdbStore``, whatever the store underneath has; ``"str"`` by default. Fixed
        when the namespace is created.
    max_bytes : int or str, optional
        The most bytes that its keys and records may take, such as ``"50MB"``.
    max_entries : int, optional
        The most records that it may hold.
    policy : {"none", "fifo"}, optional
        What makes room where it is full: nothing, so that a write raises ``QuotaError``, which is the default; or what
        was written longest ago. Fixed when the namespace is created.
    rate : float, optional
        Keys a second that may be read and written; more raise ``RateError``. Each process counts for itself.
    burst : int, optional
        Keys that may come at once; those of a second if not given.
    codec, ttl, clock
        As for every store; see docs/plugins.md.

    Returns
    -------
    Namespace
        Limits are the namespace's own and kept in the store: given here they are changed, for everybody; not given
        they stay as they are.

    Raises
    ------
    ConfigError
        If an option is unknown or out of range, or is not that of the namespace which is open or there already.

    Examples
    --------
    >>> import door43fast as d43
    >>> store = d43.MemoryStore()
    >>> one, two = d43.namespace(store, "one", max_entries=1), d43.namespace(store, "two")
    >>> one["key"], two["key"] = 1, 2
    >>> one["key"], list(two.items())
    (1, [('key', 2)])
    """
    checked_name(name)
    settings = checked(NamespaceOptions, options, "namespace()")
    with _lock:
        names = _open.setdefault(store, weakref.WeakValueDictionary())
        space = names.get(name)
        if space is None or space.closed:
            space = names[name] = _opened(store, name, settings)
        else:
            _same(space, settings)
        limits = {limit: getattr(settings, limit) for limit in LIMITS if getattr(settings, limit) is not None}
        held = {limit: value for limit, value in space.stats().items() if limit in limits}
        if limits != held:
            space.limit(**limits)
        return space


def _same(space: Namespace, settings: NamespaceOptions) -> None:
    """Refuse options that are not those of a namespace that is open."""
    for option, value in given(settings).items():
        if option in ("codec", "ttl", "clock") and value != (was := getattr(space.options, option)):
            raise ConfigError(f"the namespace {space.name!r} is open with {option}={was!r}, so it cannot be opened "
                              f"with {option}={value!r}: close it first")
    _as_created(space.name, space._policy, space._kind, settings)


def _as_created(name: str, policy: str, keys: str, settings: NamespaceOptions) -> None:
    """Refuse what cannot be changed once a namespace is there."""
    for option, was, wanted in (("policy", policy, settings.policy), ("keys", keys, settings.keys)):
        if wanted not in (None, was):
            raise ConfigError(f"the namespace {name!r} was created with {option}={was!r}, which cannot be changed to "
                              f"{wanted!r}: drop it, or take another name")


def _opened(store: Any, name: str, settings: NamespaceOptions) -> Namespace:
    if not store.capabilities.ordered:
        raise UnsupportedError(f"{store!r} has no order of keys, so namespaces have no place in it: use one that has")
    regions = Regions(store, name)
    _keeps_all(store)
    while True:
        data = store.get(regions.book, MISSING)
        if data is MISSING:
            data = to_bytes(begun(settings.policy or "none", settings.keys or "str"))
            if not store.add(regions.book, data):
                continue
            if store.ttl(regions.book) is not None:
                store.delete(regions.book)
                raise ConfigError(f"{store!r} lets everything expire, so no namespace can keep its book in it: open it "
                                  "without ttl= and idle=, and give ttl= to the namespaces")
        book = read_book(data, name)
        if not book.ending:
            break
        _end(store, name, regions)
    _as_created(name, book.policy, book.keys, settings)
    return Namespace(store, name, regions, settings, book)


def _keeps_all(store: Any) -> None:
    """Refuse a stack whose slow tier evicts: in it nothing can be pinned but in the memory tier too."""
    bottom = store
    while hasattr(bottom, "slow"):
        bottom = bottom.slow
    if bottom is not store:
        found = bottom.stats()
        budget = found.get("budget")
        if budget and budget["policy"] != "none" or not budget and (found.get("max_entries") or found.get("max_bytes")):
            raise ConfigError(f"{bottom!r} evicts what does not fit, so what its namespaces hold would not be what "
                              "they count: open it without a budget or with policy='none', or alone")


def reopened(store: Any, name: str, options: dict[str, Any]) -> Namespace:
    """What unpickling does, also in a spawned worker."""
    return namespace(store, name, **options)


def listed(store: Any) -> list[About]:
    """What there is in ``store``, by name: what each namespace holds, and its limits."""
    prefix = books_of(store)
    found = []
    for key, data in store.scan(prefix):
        name = key[len(prefix):]
        name = name.decode() if isinstance(name, bytes) else name
        book = read_book(data, name)
        if not book.ending:
            found.append(about(name, book))
    return found


def drop(store: Any, name: str) -> int:
    """Take a namespace out, with all that it holds, and return how many records that were.

    First it is marked as ending, which refuses every write of whoever has it open, and then its records are taken out
    some thousands at a time: a drop that is cut short is ended by whoever opens that name next.

    Raises
    ------
    ConfigError
        If there is no namespace of that name.
    """
    checked_name(name)
    names = [one.name for one in listed(store)]
    if name not in names:
        raise ConfigError(f"there is no namespace {name!r} to drop: "
                          f"{did_you_mean(name, names) if names else 'there is none at all'}")
    with _lock:
        space = _open.get(store, {}).pop(name, None)
    if space is not None:
        space.close()
    # Nothing tells two that end it from each other where there are no transactions.
    with nullcontext() if store.capabilities.transactions else _lock:
        return _end(store, name, Regions(store, name))


def _end(store: Any, name: str, regions: Regions) -> int:
    """Take everything of a namespace out, whoever began it."""
    mine = secrets.randbits(62) + 1

    def mark(transaction: Any, ending: int | None) -> bool:
        data = transaction.get(regions.book, MISSING)
        if data is MISSING:
            return False
        book = read_book(data, name)
        if ending is None:
            book.ending = mine
            transaction.set(regions.book, to_bytes(book))
        return ending is None or book.ending == ending

    if not _within(store, lambda t: mark(t, None)):
        return 0
    gone = 0
    for prefix in (regions.order, regions.tags, regions.rows):
        keys = iter(store.keys(prefix))
        while chunk := list(islice(keys, CHUNK)):
            def take_out(transaction: Any, chunk: list[Any] = chunk) -> bool:
                if not mark(transaction, mine):
                    return False
                for key in chunk:
                    transaction.delete(key)
                return True
            if not _within(store, take_out):
                return gone         # somebody else ends it
            gone += len(chunk) if prefix == regions.rows else 0
    _within(store, lambda t: mark(t, mine) and t.delete(regions.book))
    return gone


def _within(store: Any, work: Any) -> Any:
    """``work(transaction)``, again for as long as others come between."""
    while True:
        try:
            with (store.transaction() if store.capabilities.transactions else Directly(store)) as transaction:
                return work(transaction)
        except ConflictError:
            continue


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
