"""The calls of a trial: how each is made, and what it does to the keys that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from door43fast.contracts import MISSING
from door43fast.testing.trials import effects
from door43fast.testing.trials.effects import ANY, FAILED, Act

KEYS = ["a", "b", "ab", "c"]
PREFIXES = ["", "a", "b"]
TAGS = ["x", "y"]


class Operation(NamedTuple):
    """``run(store)`` gives an answer; ``acts(answer)`` is what it did, also of the answer FAILED."""

    run: Callable[[Any], Any]
    acts: Callable[[Any], list[Act]]


def answer(call: Callable[[], Any], *answers: type[Exception]) -> Any:
    """What a call gives, where an exception that belongs to its meaning is an answer."""
    try:
        return call()
    except answers as error:
        return type(error)


def _one(key: Any, run: Callable[[Any], Any], step: Any, reads: bool = False) -> Operation:
    return Operation(run, lambda got: [] if reads and got is FAILED else [Act(key, step, got)])


def _each(keys: list[Any], run: Callable[[Any], Any], step: Any) -> Operation:
    """A read of a batch."""
    return Operation(run, lambda got: [] if got is FAILED or isinstance(got, type) else [
        Act(key, step, one) for key, one in zip(keys, got, strict=True)])


def _found(keys: list[Any], run: Callable[[Any], dict[Any, Any]], step: Any, none: Any) -> Operation:
    """A read of all that is there: what it does not tell of is not there."""
    def acts(got: Any) -> list[Act]:
        if got is FAILED:
            return []
        strange = set(got) - set(keys)
        return [Act(key, step, got.get(key, none)) for key in keys] + [
            Act(key, step, got[key]) for key in strange]
    return Operation(run, acts)


def _writes(acts: list[tuple[Any, Any]], run: Callable[[Any], Any]) -> Operation:
    """A write of many keys, whose answer says nothing of any single one."""
    return Operation(run, lambda got: [Act(key, step, FAILED if got is FAILED else ANY) for key, step in acts])


def _packed(store: Any, keys: list[Any]) -> Any:
    got = answer(lambda: list(store.get_packed(keys)), TypeError)
    return got if isinstance(got, type) else [MISSING if one is None else one for one in got]


def _under(prefix: Any) -> list[Any]:
    return [key for key in KEYS if key.startswith(prefix)]


def _joined(items: list[tuple[Any, bytes]]) -> tuple[list[Any], bytes, list[int]]:
    offsets = [0]
    for _, data in items:
        offsets.append(offsets[-1] + len(data))
    return [key for key, _ in items], b"".join(data for _, data in items), offsets


def _computed(store: Any, key: Any, value: Any, ttl: Any) -> tuple[bool, Any]:
    called = []

    def fn() -> Any:
        called.append(1)
        return value
    got = store.get_or_compute(key, fn, ttl=ttl)
    return bool(called), got


def _transaction(store: Any, parts: list[tuple[Any, ...]], now: float) -> list[Any]:
    with store.transaction() as t:
        return [part(name, args, now).run(t) for name, *args in parts]


def part(name: str, args: Any, now: float) -> Operation:
    """A call within a transaction: there ``incr`` keeps the expiry and no tags; and a ``pop`` of what is not there, or
    an ``incr`` of what is no number, only reads."""
    made = operation(name, args, now)
    if name == "pop":
        return Operation(made.run, lambda got: [Act(args[0], effects.read, MISSING)] if got is KeyError else
                         made.acts(got))
    if name != "incr":
        return made
    return Operation(made.run, lambda got: [Act(args[0], effects.other, True)] if got is TypeError else [
        Act(key, _untagged(step), got) for key, step, got in made.acts(got)])


def _untagged(step: Any) -> Any:
    return lambda state: [(got, new if new is None else new._replace(tags=())) for got, new in step(state)]


def transaction(parts: list[tuple[Any, ...]], now: float) -> Operation:
    def acts(got: Any) -> list[Act]:
        answers = [FAILED] * len(parts) if got is FAILED else got
        return [act for (name, *args), one in zip(parts, answers, strict=True)
                for act in part(name, args, now).acts(one)]
    return Operation(lambda s: _transaction(s, parts, now), acts)


def operation(name: str, args: Any, now: float, alone: bool = True) -> Operation:
    """The call of a name; ``now`` is the time, ``alone`` says that nothing else happens meanwhile."""
    e = effects
    match name, args:
        case "get", (key,):
            return _one(key, lambda s: s.get(key, MISSING), e.read, True)
        case "[]", (key,):
            return _one(key, lambda s: MISSING if (got := answer(lambda: s[key], KeyError)) is KeyError else got,
                        e.read, True)
        case "in", (key,):
            return _one(key, lambda s: key in s, e.present, True)
        case "ttl", (key,):
            return _one(key, lambda s: answer(lambda: s.ttl(key), KeyError), e.left(now), True)
        case "get_many", (keys,):
            return _each(keys, lambda s: s.get_many(keys, MISSING), e.read)
        case "contains_many", (keys,):
            return _each(keys, lambda s: s.contains_many(keys), e.present)
        case "get_packed", (keys,):
            return _each(keys, lambda s: _packed(s, keys), e.read)
        case "scan", (prefix,):
            return _found(_under(prefix), lambda s: dict(s.scan(prefix)), e.read, MISSING)
        case "keys", (prefix,):
            return _found(_under(prefix), lambda s: dict.fromkeys(s.keys(prefix), True), e.present, False)
        case "iter", ():
            return _found(KEYS, lambda s: dict.fromkeys(s, True), e.present, False)
        case "set", (key, value, ttl, tags):
            return _one(key, lambda s: s.set(key, value, ttl=ttl, tags=tags), e.put(value, ttl, tags, now))
        case "add", (key, value, ttl):
            return _one(key, lambda s: s.add(key, value, ttl=ttl), e.add(value, ttl, now))
        case "replace", (key, expected, value):
            return _one(key, lambda s: s.replace(key, expected, value), e.replace(expected, value))
        case "incr", (key, by):
            return _one(key, lambda s: answer(lambda: s.incr(key, by), TypeError), e.incr(by))
        case "touch", (key, ttl):
            return _one(key, lambda s: s.touch(key, ttl), e.touch(ttl, now))
        case "delete", (key,):
            return _one(key, lambda s: s.delete(key), e.delete)
        case "pop", (key,):
            return _one(key, lambda s: answer(lambda: s.pop(key), KeyError), e.pop)
        case "compute", (key, value, ttl):
            return _one(key, lambda s: _computed(s, key, value, ttl), e.compute(value, ttl, now, alone))
        case "set_many", (items, ttl):
            return _writes([(key, e.put(value, ttl, (), now)) for key, value in items],
                           lambda s: s.set_many(items, ttl=ttl))
        case "set_packed", (items,):
            return _writes([(key, e.put(value, None, (), now)) for key, value in items],
                           lambda s: s.set_packed(*_joined(items)))
        case "delete_many", (keys,):
            return _writes([(key, e.delete) for key in keys], lambda s: s.delete_many(keys))
        case "clear", (prefix,):
            return _writes([(key, e.delete) for key in _under(prefix)], lambda s: s.clear(prefix))
        case "invalidate", (tag,):
            return _writes([(key, e.untag(tag)) for key in KEYS], lambda s: s.invalidate(tag))
        case "transaction", (parts,):
            return transaction(parts, now)
        case ("expire" | "flush" | "verify"), ():
            return _writes([], lambda s: getattr(s, name)())
    raise ValueError(f"there is no operation {name!r} with {args!r}")
