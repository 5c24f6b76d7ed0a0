"""What calls make of the states that a key may be in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from door43fast.contracts import MISSING


class Held(NamedTuple):
    """A state of a key that has a value; None is that of one that has none. ``until`` is a time, None for ever."""

    value: Any
    until: float | None = None
    tags: tuple[str, ...] = ()


States = frozenset     # of Held and None
Step = Callable[[Any], Iterable[tuple[Any, Any]]]     # of a state: what a call may answer then, and the state after it


class Mark:
    """Not an answer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


FAILED = Mark("FAILED")     # the call raised: it may have taken effect
ANY = Mark("ANY")           # it returned, and its answer says nothing of this key


class Act(NamedTuple):
    """A call, as far as one key is concerned: what it does to a state, and what it answered."""

    key: Any
    step: Step
    got: Any


def matches(wanted: Any, got: Any) -> bool:
    """Equal and of the same type; of seconds left, about equal."""
    if isinstance(wanted, tuple):
        return isinstance(got, tuple) and len(wanted) == len(got) and all(map(matches, wanted, got))
    if isinstance(wanted, float) and isinstance(got, float):
        return abs(wanted - got) < 0.03
    return type(wanted) is type(got) and wanted == got


def after(states: States, act: Act) -> States:
    """The states that explain what a call answered, as they are after it; empty if none does."""
    if act.got is FAILED:
        return states | {new for old in states for _, new in act.step(old)}
    return frozenset(new for old in states for answer, new in act.step(old)
                     if act.got is ANY or matches(answer, act.got))


def living(states: States, now: float) -> States:
    """The states as time has made them."""
    return frozenset(None if state is None or state.until is not None and state.until <= now else state
                     for state in states)


# -- what each call does to a state --------------------------------------------------------------------------


def read(state: Any) -> Any:
    return [(MISSING if state is None else state.value, state)]


def present(state: Any) -> Any:
    return [(state is not None, state)]


def other(state: Any) -> Any:
    """Whether it is something else than a number."""
    return [(state is not None and not isinstance(state.value, int), state)]


def left(now: float) -> Step:
    """``ttl``: KeyError for what is not there."""
    def step(state: Any) -> Any:
        return [(KeyError if state is None else None if state.until is None else state.until - now, state)]
    return step


def _made(value: Any, ttl: float | None, tags: tuple[str, ...], now: float) -> Held | None:
    return None if ttl is not None and ttl <= 0 else Held(value, None if ttl is None else now + ttl, tags)


def put(value: Any, ttl: float | None, tags: tuple[str, ...], now: float) -> Step:
    return lambda state: [(None, _made(value, ttl, tags, now))]


def add(value: Any, ttl: float | None, now: float) -> Step:
    return lambda state: [(True, _made(value, ttl, (), now)) if state is None else (False, state)]


def replace(expected: Any, value: Any) -> Step:
    def step(state: Any) -> Any:
        if state is None or not matches(state.value, expected):
            return [(False, state)]
        return [(True, Held(value))]
    return step


def incr(by: int) -> Step:
    def step(state: Any) -> Any:
        if state is None:
            return [(by, Held(by))]
        if not isinstance(state.value, int):
            return [(TypeError, state)]
        return [(state.value + by, state._replace(value=state.value + by))]
    return step


def touch(ttl: float | None, now: float) -> Step:
    def step(state: Any) -> Any:
        return [(False, None) if state is None else (True, _made(state.value, ttl, state.tags, now))]
    return step


def delete(state: Any) -> Any:
    return [(state is not None, None)]


def pop(state: Any) -> Any:
    return [(KeyError if state is None else state.value, None)]


def untag(tag: str) -> Step:
    return lambda state: [(None, None if state is not None and tag in state.tags else state)]


def compute(value: Any, ttl: float | None, now: float, alone: bool) -> Step:
    """``get_or_compute``, with whether it computed; what others wrote meanwhile keeps the value from being stored."""
    def step(state: Any) -> Any:
        if state is not None:
            return [((False, state.value), state)]
        return [((True, value), new) for new in ([_made(value, ttl, (), now)] + ([] if alone else [None]))]
    return step
