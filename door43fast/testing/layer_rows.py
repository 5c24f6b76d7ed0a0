"""The rows of docs/layers-table.md: every strategy, every operation, every layer that fails; run, not written.

For each row a store is made anew, one of its layers fails, the operation is called, and the layers are looked at; then
the layer is back, and they are looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from door43fast.errors import Error
from door43fast.memory import MemoryStore
from door43fast.testing.basis import manual_clock
from door43fast.testing.faults import Faulty
from door43fast.testing.trials.building import Kept

RESET = 10.0    # seconds after which a circuit breaker tries its layer again
REPLICA = "\0door43fast replica"    # where a replica notes its place in the log


class Operation(NamedTuple):
    """A call, and what lies under "a" before it. ``cold`` is one whose key is in no memory tier."""

    name: str
    call: Callable[[Any], Any]
    before: Any = b"1"
    writes: bool = False
    cold: bool = False


def _transaction(store: Any) -> None:
    with store.transaction() as t:
        t.get("a")
        t["a"] = b"2"


def _written(store: Any) -> None:
    with store.writer("a") as file:
        file.write(b"2")


READS = (
    Operation("get", lambda s: s.get("a")), Operation("get, not in a memory tier", lambda s: s.get("a"), cold=True),
    Operation("[]", lambda s: s["a"]), Operation("in", lambda s: "a" in s),
    Operation("ttl", lambda s: s.ttl("a")), Operation("reader", lambda s: s.reader("a").read()),
    Operation("get_or_compute, there", lambda s: s.get_or_compute("a", lambda: b"2")),
    Operation("get_many", lambda s: s.get_many(["a"])),
    Operation("contains_many", lambda s: s.contains_many(["a"])),
    Operation("get_packed", lambda s: list(s.get_packed(["a"]))),
    Operation("scan, items, values", lambda s: list(s.scan())),
    Operation("scan_packed", lambda s: list(s.scan_packed())),
    Operation("keys", lambda s: list(s.keys())), Operation("iter", list), Operation("len", len),
    Operation("count", lambda s: s.count()))
WRITES = tuple(operation._replace(writes=True) for operation in (
    Operation("set, []=", lambda s: s.set("a", b"2")), Operation("delete, del", lambda s: s.delete("a")),
    Operation("pop", lambda s: s.pop("a")), Operation("popitem", lambda s: s.popitem()),
    Operation("add", lambda s: s.add("a", b"2"), None),
    Operation("setdefault", lambda s: s.setdefault("a", b"2"), None),
    Operation("replace", lambda s: s.replace("a", b"1", b"2")), Operation("incr", lambda s: s.incr("a"), 1),
    Operation("touch", lambda s: s.touch("a", 0)), Operation("writer", _written),
    Operation("set_many, update", lambda s: s.set_many({"a": b"2", "b": b"2"})),
    Operation("delete_many", lambda s: s.delete_many(["a", "b"])),
    Operation("set_packed", lambda s: s.set_packed(["a", "b"], b"22", [0, 1, 2])),
    Operation("transaction", _transaction),
    Operation("get_or_compute, missing", lambda s: s.get_or_compute("a", lambda: b"2"), None),
    Operation("memoize", lambda s: s.memoize()(lambda: 2)(), None),
    Operation("invalidate", lambda s: s.invalidate("t")), Operation("clear", lambda s: s.clear())))
CARE = (Operation("expire", lambda s: s.expire()), Operation("flush", lambda s: s.flush()),
        Operation("verify", lambda s: s.verify()), Operation("stats", lambda s: s.stats()))
OPERATIONS = (*READS, *WRITES, *CARE)


class Case(NamedTuple):
    """A strategy with options. ``make(layers, clock)`` gives the store; ``layers`` are the names of those that fail,
    ``tiers`` of memory tiers, which ``peek(store)`` gives; ``mend(store)`` returns when layers that are back agree."""

    title: str
    layers: tuple[str, ...]
    make: Callable[[list[Any], Any], Any]
    tiers: tuple[str, ...] = ()
    peek: Callable[[Any], list[Any]] = lambda store: []
    mend: Callable[[Any], Any] = lambda store: store.flush()
    tripped: bool = False       # the circuit of the layer is open already
    kinds: tuple[str, ...] = ("down", "lost")


class Row(NamedTuple):
    """What came of a call while a layer failed."""

    gives: str
    holds: list[str]
    later: list[str]


def run(case: Case, operation: Operation, failing: int, kind: str) -> Row:
    """Make the store of a case, have one layer fail, and call."""
    clock = manual_clock()
    real = [MemoryStore(clock=clock) for _ in case.layers]
    faulty = [Faulty(Kept(one)) for one in real]
    store = case.make(list(faulty), clock)
    if operation.before is not None:
        store.set("a", operation.before, tags=("t",) if store.capabilities.tags else ())
        case.mend(store)
        store.get("a")
    for tier in case.peek(store) if operation.cold else ():
        tier.clear()
    if kind == "down":
        faulty[failing].down()
        if case.tripped:
            _outcome(lambda: store.get("nothing"))
    else:
        faulty[failing].shares["lost"] = 1.0
    gives = _outcome(lambda: operation.call(store))
    holds = [_state(one, operation) for one in [*case.peek(store), *real]]
    faulty[failing].calm()
    clock.advance(RESET + 1)
    case.mend(store)
    store.get("a")
    row = Row(gives, holds, [_state(one, operation) for one in [*case.peek(store), *real]])
    store.close()
    return row


def _outcome(call: Callable[[], Any]) -> str:
    """``ok``, or the type of the exception, as a caller would name it."""
    try:
        call()
    except Exception as error:
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ in (Error.__module__, "builtins"))
    return "ok"


def _state(store: Any, operation: Operation) -> str:
    """What a layer holds of the one key."""
    values = [value for key, value in store.scan() if key not in ("b", REPLICA)]
    if not values:
        return "–"
    return "old" if values == [operation.before] else "new"
