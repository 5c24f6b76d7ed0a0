"""The events of several layers that hold the same: each change is told once, outside of every section."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from door43fast.reference.events import EventQueue


class Roster(EventQueue):
    """The listeners of a store over several; those of a tag have the layers say which entries carry it."""

    def __init__(self, origin: str, listens: Callable[[str], Any]) -> None:
        super().__init__(origin)
        self._listens = listens

    def subscribe(self, pattern: str, callback: Any, *, values: bool = False, wants: Any = None,
                  tag: str | None = None) -> Any:
        if tag is not None:
            self._listens(tag)
        return super().subscribe(pattern, callback, values=values, wants=wants, tag=tag)


class Telling:
    """The events of :class:`door43fast.layers.several.Several`.

    A write is told by the store itself, what expires and is evicted as the first layer that is up tells it. Which tags
    an entry carried, only the layers know: where somebody listens by tag, each tells of its changes of entries with it,
    and what they have told of a key goes with the next event of that key.
    """

    _layers: Any
    _stripes: Any
    _flight_table: Any
    _shut: bool

    def _begin_telling(self) -> None:
        me = weakref.ref(self)
        self._roster = Roster(uuid.uuid4().hex[:12], lambda tag: me()._listen_to(tag))    # type: ignore[union-attr]
        self._telling = threading.Lock()
        self._forwarding: list[Any] | None = None       # subscriptions to the layers, once somebody listens here
        self._listened: set[str] = set()
        self._carried: dict[Any, set[str]] = {}

    def _renew_telling(self) -> None:
        """In the child of a fork: locks may be held by threads that are not here."""
        self._telling = threading.Lock()
        self._roster._delivery, self._roster._idle, self._roster._drainer = threading.Lock(), threading.Condition(), 0

    @property
    def _events(self) -> EventQueue:
        if self._forwarding is None:        # the layers make events only once somebody listens
            self._forward_events()
        return self._roster

    def _forget_tags(self, keys: Sequence[Any] | None) -> None:
        """A write begins: what was told of its keys until now was of repairs. REQUIRES: the section of the keys."""
        if self._carried:
            for key in keys or ():
                self._carried.pop(key, None)

    def _tell(self, op: str, key: Any, reason: str = "user", value: Any = None) -> None:
        if self._roster.tagged and reason == "user":
            for layer in self._layers:      # another thread may be about to tell of what we have just done there
                if layer.store.capabilities.events:
                    layer.store._events.flush()
        with self._telling:
            tags = self._carried.pop(key, ()) if self._carried and op in ("set", "delete") else ()
            self._roster.push(op, key, reason, value, tags)

    def _forward_events(self) -> None:
        me = weakref.ref(self)

        def forward(place: int, event: Any) -> None:
            store = me()
            if store is not None and event.reason in ("expire", "evict") and not store._shut and (
                    store._told_by() == place):
                store._tell(event.op, event.key, event.reason)      # and delivered with the next write, or flush
        with self._telling:
            before, self._forwarding = self._forwarding, []
        for subscription in before or ():
            subscription.cancel()
        for layer in self._layers:
            if layer.store.capabilities.events:
                self._forwarding.append(layer.store._events.subscribe(
                    "*", lambda event, place=layer.place: forward(place, event)))

    def _listen_to(self, tag: str) -> None:
        """Have the layers tell of changes of entries that carry ``tag``."""
        me = weakref.ref(self)

        def carries(place: int, event: Any) -> None:
            store = me()
            if store is not None and (event.reason == "user" or store._told_by() == place):
                with store._telling:
                    store._carried.setdefault(event.key, set()).add(tag)
        with self._telling:
            if tag in self._listened:
                return
            self._listened.add(tag)
        for layer in self._layers:
            if layer.store.capabilities.events and layer.store.capabilities.tags:
                layer.store._events.subscribe(
                    f"tag {tag}", lambda event, place=layer.place: carries(place, event),
                    wants=lambda op, what: False, tag=tag)
        self._forward_events()      # after it: the tags of what expires must be known before it is told

    def _told_by(self) -> int:
        """The layer of which it is told what expires."""
        return next((layer.place for layer in self._layers if layer.up), -1)

    def _void(self, keys: Sequence[Any] | None) -> None:
        """End the computations of keys that were written, or all."""
        if self._flight_table:
            for flight in (list(self._flight_table.values()) if keys is None else
                           [self._flight_table.get(key) for key in keys]):
                if flight is not None:
                    flight.voided = True
