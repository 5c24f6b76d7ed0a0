"""The events of several layers that hold the same: each change is told once, outside of every section."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Sequence
from typing import Any

from door43fast.reference.events import EventQueue


class Telling:
    """The events of :class:`door43fast.layers.several.Several`."""

    _layers: Any
    _stripes: Any
    _flight_table: Any
    _shut: bool

    def _begin_telling(self) -> None:
        self._roster = EventQueue(uuid.uuid4().hex[:12])
        self._telling = threading.Lock()
        self._forwarding = False

    def _renew_telling(self) -> None:
        """In the child of a fork: locks may be held by threads that are not here."""
        self._telling = threading.Lock()
        self._roster._delivery, self._roster._idle, self._roster._drainer = threading.Lock(), threading.Condition(), 0

    @property
    def _events(self) -> EventQueue:
        if not self._forwarding:        # the layers make events only once somebody listens
            with self._telling:
                first, self._forwarding = not self._forwarding, True
            if first:
                self._forward_events()
        return self._roster

    def _tell(self, op: str, key: Any, reason: str = "user", value: Any = None) -> None:
        with self._telling:
            self._roster.push(op, key, reason, value)

    def _forward_events(self) -> None:
        """What expires and is evicted is told as the first layer that is up tells it; all else by the writes."""
        me = weakref.ref(self)

        def forward(place: int, event: Any) -> None:
            store = me()
            if store is not None and event.reason in ("expire", "evict") and not store._shut and (
                    store._told_by() == place):
                store._tell(event.op, event.key, event.reason)
                if not store._stripes.inside():
                    store._roster.drain()
        for layer in self._layers:
            if layer.store.capabilities.events:
                layer.store._events.subscribe("*", lambda event, place=layer.place: forward(place, event))

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
