"""Latencies switched on and off for one store: it is given a subclass whose methods look at the clock.

A store that is not measured runs the very methods that it would run without this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from time import perf_counter_ns
from typing import Any

from door43fast.errors import ClosedError, ConfigError
from door43fast.metrics.latency import Gauge, Latency, summary

SINGLE = ("get", "set", "delete", "incr")
BATCHES = ("get_many", "set_many", "delete_many", "get_packed", "set_packed")
NATIVE, OTHER = 512, 16         # "auto": asking the clock takes three times as long as a hit in memory


def measure(store: Any, every: int | str | None = "auto") -> None:
    """Measure the first single call, then one in ``every``, and each batch, from now on; None for no more.

    Parameters
    ----------
    store : Store
        Of a store with layers, those below are measured too.
    every : int, "auto" or None
        1 to 65536. "auto" is 512 for stores in the native core, and 16 for others, whose calls take longer.
    """
    if every is not None and every != "auto" and (isinstance(every, bool) or not isinstance(every, int)
                                                  or not 1 <= every <= 65536):
        raise ConfigError(f"every={every!r} is not allowed: give 1 to 65536, 'auto', or None to stop")
    if store.closed:
        raise ClosedError(f"{type(store).__name__} is closed: open it again before use")
    below = getattr(store, "slow", None)
    if below is not None:
        measure(below, every)
    plain = plain_class(store)
    if every is None:
        if plain is not type(store):
            store.__class__ = plain
            if _native(plain):
                from door43fast.native import meter
                meter.stop(store)
    elif _native(plain):
        from door43fast.native import meter
        measured = _native_class(plain)
        meter.begin(store, plain, NATIVE if every == "auto" else every)
        store.__class__ = measured
    else:
        kept = store.__dict__.setdefault("_gauges", {})
        for name in SINGLE + BATCHES:
            gauge = kept.setdefault(name, Gauge(1))
            gauge.left = 1
            gauge.every = 1 if name in BATCHES else OTHER if every == "auto" else every
        store.__class__ = _python_class(plain)


def plain_class(store: Any) -> type:
    """The class of a store, measured or not."""
    return type(store).__dict__.get("_plain", type(store))


def latencies(store: Any) -> tuple[dict[str, Latency], int]:
    """What was measured of a store itself, by the name of the method; and how many of the calls raised."""
    if _native(type(store)):
        from door43fast.native import meter
        read = meter.read(store)
        return ({name: summary(every, *rest) for name, (every, _, *rest) in read.items() if any(rest[-1])},
                sum(one[1] for one in read.values()))
    kept: dict[str, Gauge] = getattr(store, "_gauges", {})
    return ({name: summary(one.every, one.total, one.least, one.most, one.counts) for name, one in kept.items()
             if any(one.counts)}, sum(one.errors for one in kept.values()))


def _native(cls: type) -> bool:
    try:
        from door43fast.native.core import Core
    except ImportError:     # no native wheel here
        return False
    return issubclass(cls, Core)


def _reduced(self: Any) -> Any:
    """As the plain class: whoever unpickles a measured store gets one that is not measured."""
    plain = plain_class(self)
    make, given = plain.__reduce__(self)[:2]
    return make, tuple(plain if one is type(self) else one for one in given)


def _subclass(plain: type, methods: dict[str, Any]) -> type:
    return type(plain.__name__, (plain,), {
        "__slots__": (), "__module__": plain.__module__, "__qualname__": plain.__qualname__, "__doc__": plain.__doc__,
        "_plain": plain, "__reduce__": _reduced, **methods})


@cache
def _native_class(plain: type) -> type:
    from door43fast.native.meter import Methods
    measured = _subclass(plain, {})
    measured._methods = Methods(measured, plain)        # type: ignore[attr-defined]
    return measured


@cache
def _python_class(plain: type) -> type:
    return _subclass(plain, {name: _timed(name, getattr(plain, name)) for name in SINGLE + BATCHES})


def _timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def timed(self: Any, *args: Any, **options: Any) -> Any:
        gauge: Gauge = self._gauges[name]
        gauge.left -= 1
        begun = 0
        if gauge.left <= 0:
            gauge.left = gauge.every
            begun = perf_counter_ns()
        try:
            return method(self, *args, **options)
        except Exception:
            gauge.errors += 1
            raise
        finally:
            if begun:
                gauge.add(perf_counter_ns() - begun)
    return timed
