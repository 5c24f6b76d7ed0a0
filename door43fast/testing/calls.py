"""Every method of a store as a call, for tests that go through all of them. Needs no pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What a store that lacks a capability must answer with UnsupportedError, asked while it holds "a".
REFUSALS: dict[str, list[Callable[[Any], Any]]] = {
    "writes": [lambda s: s.set("a", 1), lambda s: s.__setitem__("b", 1), lambda s: s.delete("a"),
               lambda s: s.__delitem__("a"), lambda s: s.add("b", 1), lambda s: s.incr("b"),
               lambda s: s.set_many({"a": 1}), lambda s: s.update(b=1), lambda s: s.delete_many(["a"]),
               lambda s: s.clear(), lambda s: s.replace("a", b"1", 2), lambda s: s.pop("a"), lambda s: s.popitem(),
               lambda s: s.setdefault("b", 1), lambda s: s.touch("a", 1), lambda s: s.set_packed(["a"], b"", [0, 0]),
               lambda s: s.invalidate("t"), lambda s: s.writer("a"), lambda s: s.get_or_compute("b", lambda: 1)],
    "ordered": [lambda s: list(s.scan()), lambda s: list(s.scan("a", limit=1)), lambda s: list(s.scan_packed())],
    "ttl": [lambda s: s.set("a", 1, ttl=1), lambda s: s.touch("a", 1), lambda s: s.set_many({"a": 1}, ttl=1),
            lambda s: s.add("b", 1, ttl=1), lambda s: s.touch("a", None),
            # What could not be stored is not computed either.
            lambda s: s.get_or_compute("b", lambda: 1 / 0, ttl=1), lambda s: s.memoize(ttl=1)(lambda: 1 / 0)(),
            lambda s: s.get_or_compute("b", lambda: 1 / 0, stale=1)],
    "tags": [lambda s: s.set("a", 1, tags=("t",)), lambda s: s.invalidate("t")],
    "pins": [lambda s: s.set("a", 1, pin=True)],
    "transactions": [lambda s: s.transaction().__enter__()],
    "events": [lambda s: s.subscribe("*", print)],
    "packed": [lambda s: s.get_packed(["a"]), lambda s: s.set_packed(["a"], b"", [0, 0]),
               lambda s: list(s.scan_packed())],
    "compute": [lambda s: s.get_or_compute("b", lambda: 1 / 0), lambda s: s.memoize()(lambda: 1 / 0)()],
    "backup": [lambda s: s.backup("somewhere")],
    "journal": [lambda s: s.changes(0), lambda s: s.changes()],
    "traces": [lambda s: s.record_trace("somewhere")],
    "streams": [lambda s: s.reader("a"), lambda s: s.writer("a")],
    "listing": [len, lambda s: list(s), lambda s: list(s.keys()), lambda s: list(s.items()),
                lambda s: list(s.values()), lambda s: s.count(), lambda s: s.popitem(), lambda s: s.verify()],
}

# Every method, with arguments that it takes.
CALLS: dict[str, Callable[[Any], Any]] = {
    "[]": lambda s: s["a"], "[]=": lambda s: s.__setitem__("a", 1), "del": lambda s: s.__delitem__("a"),
    "in": lambda s: "a" in s, "len": len, "iter": lambda s: list(s), "get": lambda s: s.get("a"),
    "set": lambda s: s.set("a", 1), "delete": lambda s: s.delete("a"), "touch": lambda s: s.touch("a", 1),
    "ttl": lambda s: s.ttl("a"), "add": lambda s: s.add("a", 1), "replace": lambda s: s.replace("a", 1, 2),
    "incr": lambda s: s.incr("a"), "pop": lambda s: s.pop("a", 0), "popitem": lambda s: s.popitem(),
    "setdefault": lambda s: s.setdefault("a", 1), "update": lambda s: s.update({"a": 1}),
    "get_many": lambda s: s.get_many(["a"]), "set_many": lambda s: s.set_many({"a": 1}),
    "delete_many": lambda s: s.delete_many(["a"]), "contains_many": lambda s: s.contains_many(["a"]),
    "get_packed": lambda s: s.get_packed(["a"]), "set_packed": lambda s: s.set_packed(["a"], b"x", [0, 1]),
    "reader": lambda s: (s.set("a", b"x"), s.reader("a")), "writer": lambda s: s.writer("a").close(),
    "invalidate": lambda s: s.invalidate("t"), "scan": lambda s: list(s.scan()),
    "scan_packed": lambda s: list(s.scan_packed()), "keys": lambda s: list(s.keys()),
    "items": lambda s: list(s.items()), "values": lambda s: list(s.values()), "count": lambda s: s.count(),
    "transaction": lambda s: s.transaction().__enter__(), "compute": lambda s: s.get_or_compute("a", lambda: 1),
    "memoize": lambda s: s.memoize()(lambda x: x)(1), "subscribe": lambda s: s.subscribe("*", print),
    "stats": lambda s: s.stats(), "flush": lambda s: s.flush(), "verify": lambda s: s.verify(),
    "clear": lambda s: s.clear(), "expire": lambda s: s.expire(), "enter": lambda s: s.__enter__(),
}
