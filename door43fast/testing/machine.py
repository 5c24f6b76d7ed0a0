"""A model beside a store: a Hypothesis state machine that runs any store against the reference, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from door43fast.contracts import MISSING
from door43fast.errors import BudgetError, ConflictError
from door43fast.reference import MemoryStore
from door43fast.testing.basis import manual_clock

HEAD = "k" * 494    # keys of more than 511 bytes that begin alike lie together in a store over LMDB
KEYS = ["a", "b", "ab", "a/1", "a/2", "a/\x00", "é", "\U0001f4d6", "a\x00b", "k" * 300, "b/1", "b/2", HEAD + "b",
        HEAD + "a" * 18, HEAD + "b" * 18, HEAD + "é" * 700, "a/" + "1" * 600]
PREFIXES = ["", "a", "a/", "b", "nothing", "é", "a/1", HEAD + "b"]
VALUES = [None, 0, 1, -1, 7, True, 1.5, "", "text", b"", b"bytes", b"x" * 5000, [1, [2]], {"a": {"b": None}}]
TAGS = ["x", "y"]

keys = st.sampled_from(KEYS)
values = st.sampled_from(VALUES)
# Deadlines lie between the steps of the clock, so that the rounding of an engine never shows.
ttls = st.one_of(st.none(), st.sampled_from([0, 0.025, 0.075, 0.125, 1.025, 60.025]))
steps = st.sampled_from([0.05, 0.1, 1.0, 30.0, 100.0])
tags = st.lists(st.sampled_from(TAGS), max_size=2).map(tuple)
items = st.lists(st.tuples(keys, values), max_size=5)
some_keys = st.lists(keys, max_size=5)
POLICIES = ["lru", "lru", "sieve", "s3fifo", "wtinylfu", "adaptive", "none"]
writes = st.lists(st.tuples(st.sampled_from(["set", "delete", "incr", "get", "scan"]), keys, values), max_size=4)


class Count:
    """How many steps (rules, not calls) all machines of a process have made."""

    steps = 0


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same type: True is not 1 here."""
    return type(a) is type(b) and a == b


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the type of its exception."""
    try:
        return call()
    except (KeyError, TypeError, ValueError, ConflictError) as error:
        return type(error)


class StoreMachine(RuleBasedStateMachine):
    """Every rule does the same to the store and to the model, and compares what they give."""

    pinned = True   # if the rules pin keys: a store that evicts could differ in what it refuses

    def make_store(self, **options: Any) -> Any:
        raise NotImplementedError("a machine defines make_store(self, **options)")

    @initialize(ttl=st.sampled_from([None, None, 30.025]))
    def begin(self, ttl: float | None) -> None:
        self.clock = manual_clock()
        options: dict[str, Any] = {} if ttl is None else {"ttl": ttl}
        self.store = self.make_store(clock=self.clock, **options)
        if self.store.capabilities.journal:
            options["journal"] = True
        self.model = MemoryStore(clock=self.clock, **options)
        self.noted = {id(s): 0 for s in (self.store, self.model)}
        self.events: list[Any] = []
        if self.store.capabilities.events:
            self.store.subscribe("*", self.events.append, values=True)
        self.mirror: dict[Any, Any] = {}

    def both(self, call: Callable[[Any], Any]) -> Any:
        got, wanted = outcome(lambda: call(self.store)), outcome(lambda: call(self.model))
        assert same(got, wanted), f"the store gives {got!r}, the model {wanted!r}"
        return got

    # -- single keys -----------------------------------------------------------------------------------------

    @rule(key=keys)
    def get(self, key: str) -> None:
        self.both(lambda s: s.get(key, "default"))
        self.both(lambda s: s[key])
        self.both(lambda s: key in s)

    @rule(key=keys, value=values, ttl=ttls, tags=tags, pin=st.booleans())
    def set(self, key: str, value: Any, ttl: float | None, tags: tuple[str, ...], pin: bool) -> None:
        self.both(lambda s: s.set(key, value, ttl=ttl, tags=tags, pin=pin and self.pinned))

    @rule(key=keys, value=values)
    def setitem(self, key: str, value: Any) -> None:
        self.both(lambda s: s.__setitem__(key, value))

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.both(lambda s: s.delete(key))

    @rule(key=keys)
    def delitem(self, key: str) -> None:
        self.both(lambda s: s.__delitem__(key))

    @rule(key=keys)
    def pop(self, key: str) -> None:
        self.both(lambda s: s.pop(key, "default"))
        self.both(lambda s: s.pop(key))

    @rule(key=keys, value=values, ttl=ttls)
    def add(self, key: str, value: Any, ttl: float | None) -> None:
        self.both(lambda s: s.add(key, value, ttl=ttl))

    @rule(key=keys, value=values)
    def setdefault(self, key: str, value: Any) -> None:
        self.both(lambda s: s.setdefault(key, value))

    @rule(key=keys, expected=values, value=values)
    def replace(self, key: str, expected: Any, value: Any) -> None:
        self.both(lambda s: s.replace(key, expected, value))

    @rule(key=keys, value=values)
    def replace_what_is_there(self, key: str, value: Any) -> None:
        there = self.model.get(key, "nothing")
        self.both(lambda s: s.replace(key, there, value))

    @rule(key=keys, by=st.integers(-3, 3))
    def incr(self, key: str, by: int) -> None:
        self.both(lambda s: s.incr(key, by))

    @rule(key=keys, ttl=ttls)
    def touch(self, key: str, ttl: float | None) -> None:
        self.both(lambda s: s.touch(key, ttl))

    @rule(key=keys)
    def ttl(self, key: str) -> None:
        got, wanted = outcome(lambda: self.store.ttl(key)), outcome(lambda: self.model.ttl(key))
        if isinstance(wanted, float) and isinstance(got, float):
            assert wanted - 0.001 <= got <= wanted + 0.02, (got, wanted)
        else:
            assert got is wanted, (got, wanted)

    # -- batches ---------------------------------------------------------------------------------------------

    @rule(some=some_keys)
    def get_many(self, some: list[str]) -> None:
        got = self.both(lambda s: s.get_many(some, "default"))
        assert all(same(value, self.model.get(key, "default")) for key, value in zip(some, got, strict=True))

    @rule(some=some_keys)
    def contains_many(self, some: list[str]) -> None:
        self.both(lambda s: s.contains_many(some))

    @rule(some=items, ttl=ttls, mapping=st.booleans())
    def set_many(self, some: list[tuple[str, Any]], ttl: float | None, mapping: bool) -> None:
        self.both(lambda s: s.set_many(dict(some) if mapping else some, ttl=ttl))

    @rule(some=items, key=keys)
    def set_many_with_a_wrong_key(self, some: list[tuple[str, Any]], key: str) -> None:
        assert self.both(lambda s: s.set_many([*some, ("", 1), (key, 2)])) is ValueError

    @rule(some=some_keys)
    def delete_many(self, some: list[str]) -> None:
        self.both(lambda s: s.delete_many(some))

    @rule(some=some_keys)
    def get_packed(self, some: list[str]) -> None:
        held = self.model.get_many(some, MISSING)
        got = outcome(lambda: self.store.get_packed(some))
        if all(value is MISSING or isinstance(value, bytes) for value in held):
            assert list(got) == [None if value is MISSING else value for value in held]
        else:
            assert got is TypeError

    # -- ranges, tags, time ----------------------------------------------------------------------------------

    @rule(prefix=st.sampled_from(PREFIXES), start=st.none() | keys, stop=st.none() | keys, reverse=st.booleans(),
          limit=st.none() | st.integers(0, 4))
    def scan(self, prefix: str, start: str | None, stop: str | None, reverse: bool, limit: int | None) -> None:
        self.both(lambda s: list(s.scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit)))

    @rule(prefix=st.sampled_from(PREFIXES))
    def keys_and_count(self, prefix: str) -> None:
        self.both(lambda s: list(s.keys(prefix)))
        self.both(lambda s: s.count(prefix))

    @rule(prefix=st.sampled_from(PREFIXES))
    def clear(self, prefix: str) -> None:
        self.both(lambda s: s.clear(prefix))

    @rule(tag=st.sampled_from(TAGS))
    def invalidate(self, tag: str) -> None:
        self.both(lambda s: s.invalidate(tag))
        self.clean()

    def clean(self) -> None:
        """The mirror of the events forgets what vanished without one: invalidated or expired, and not yet reaped."""
        self.mirror = {key: value for key, value in self.mirror.items() if key in self.model}

    @rule(seconds=steps)
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def expire(self) -> None:
        self.store.expire()
        self.model.expire()
        assert self.store.expire() == 0

    # -- transactions, computations --------------------------------------------------------------------------

    @rule(some=writes, fails=st.booleans())
    def transaction(self, some: list[tuple[str, str, Any]], fails: bool) -> None:
        def run(s: Any) -> Any:
            got = []
            try:
                with s.transaction() as t:
                    for op, key, value in some:
                        if op == "set":
                            t[key] = value
                        elif op == "delete":
                            got.append(t.delete(key))
                        elif op == "incr":
                            got.append(outcome(lambda key=key: t.incr(key)))
                        elif op == "get":
                            got.append(t.get(key, "default"))
                        else:
                            got.append(list(t.scan(key[:1])))
                    if fails:
                        raise LookupError
            except LookupError:
                got.append("failed")
            return got
        self.both(run)

    @rule(key=keys, value=values)
    def conflict(self, key: str, value: Any) -> None:
        def run(s: Any) -> None:
            with s.transaction() as t:
                t.get(key)
                t[key] = value
                s[key] = "written by another"
        self.model.delete(key)
        self.store.delete(key)
        assert self.both(run) is ConflictError

    @rule(key=keys, value=values, ttl=st.sampled_from([None, 0.125, 60.025]), write=st.booleans())
    def compute(self, key: str, value: Any, ttl: float | None, write: bool) -> None:
        def run(s: Any) -> Any:
            def fn() -> Any:
                if write:
                    s[key] = "written meanwhile"
                return value
            return s.get_or_compute(key, fn, ttl=ttl)
        self.both(run)

    # -- after every step ------------------------------------------------------------------------------------

    @invariant()
    def they_hold_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        Count.steps += 1
        wanted = dict(self.model.scan())
        got = dict(self.store.scan())
        assert list(got) == list(wanted) and all(same(got[key], wanted[key]) for key in wanted)
        assert sorted(self.store) == list(wanted) and len(self.store) >= len(wanted)

    @invariant()
    def events_tell_what_is_there(self) -> None:
        if not getattr(self, "events", None):
            return
        self.store.flush()
        for event in self.events:
            if event.op == "set":
                self.mirror[event.key] = event.value
            elif event.op == "delete":
                self.mirror.pop(event.key, None)
            else:
                self.mirror = {key: value for key, value in self.mirror.items() if not key.startswith(event.key)}
        self.events.clear()
        self.clean()
        wanted = dict(self.model.scan())
        assert self.mirror.keys() == wanted.keys() and all(same(self.mirror[key], wanted[key]) for key in wanted)

    @invariant()
    def the_journals_tell_the_same(self) -> None:
        """What each step did, in any order; when an expired record goes is the engine's own affair."""
        if not hasattr(self, "store") or not self.store.capabilities.journal:
            return
        told = []
        for s in (self.store, self.model):
            changes = list(s.changes(self.noted[id(s)]))
            self.noted[id(s)] = changes[-1].seq if changes else self.noted[id(s)]
            told.append(sorted((change.op, change.key) for change in changes if change.op != "expire"))
        assert told[0] == told[1], f"the store notes {told[0]}, the model {told[1]}"

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.verify()["errors"] == []
            self.store.clear()
            self.model.clear()
            assert len(self.store) == 0 and not self.store._flights
            self.finish()

    def finish(self) -> None:
        self.store.close()


class EvictingMachine(RuleBasedStateMachine):
    """A store with few entries against the reference: every policy, pins and refusals, without deadlines."""

    def make_store(self, **options: Any) -> Any:
        raise NotImplementedError("a machine defines make_store(self, **options)")

    @initialize(entries=st.integers(1, 6), by_weight=st.booleans(), policy=st.sampled_from(POLICIES))
    def begin(self, entries: int, by_weight: bool, policy: str) -> None:
        options: dict[str, Any] = {"max_entries": entries, "policy": policy}
        if by_weight:
            options = {"max_bytes": entries * 10, "weigher": lambda key, value: 10, "policy": policy}
        self.store = self.make_store(**options)
        self.model = MemoryStore(**options)
        self.by_weight = by_weight

    def both(self, call: Callable[[Any], Any]) -> None:
        def run(s: Any) -> Any:
            try:
                return call(s)
            except (KeyError, BudgetError) as error:
                return type(error)
        got, wanted = run(self.store), run(self.model)
        assert got == wanted, f"the store gives {got!r}, the model {wanted!r}"

    @rule(key=keys)
    def get(self, key: str) -> None:
        self.both(lambda s: s.get(key))

    @rule(some=some_keys)
    def get_many(self, some: list[str]) -> None:
        self.both(lambda s: s.get_many(some))

    @rule(some=some_keys)
    def look(self, some: list[str]) -> None:
        self.both(lambda s: s.contains_many(some))
        self.both(lambda s: [list(s.scan()), s.count("a"), list(s.keys()), sorted(s.values())])

    @rule(key=keys, value=st.integers(0, 9), pin=st.sampled_from([False, False, False, True]))
    def set(self, key: str, value: int, pin: bool) -> None:
        self.both(lambda s: s.set(key, value, pin=pin))

    @rule(key=keys, value=st.integers(0, 9))
    def add(self, key: str, value: int) -> None:
        self.both(lambda s: s.add(key, value))

    @rule(key=keys)
    def incr(self, key: str) -> None:
        self.both(lambda s: s.incr(key))

    @rule(key=keys, expected=st.integers(0, 9))
    def replace(self, key: str, expected: int) -> None:
        self.both(lambda s: s.replace(key, expected, 5))

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.both(lambda s: s.delete(key))

    @rule(some=some_keys)
    def delete_many(self, some: list[str]) -> None:
        self.both(lambda s: s.delete_many(some))

    @rule(prefix=st.sampled_from(PREFIXES))
    def clear(self, prefix: str) -> None:
        self.both(lambda s: s.clear(prefix))

    @invariant()
    def they_hold_the_same(self) -> None:
        if hasattr(self, "store"):
            Count.steps += 1
            assert dict(self.store.items()) == dict(self.model.items()) and len(self.store) == len(self.model)
            got, wanted = self.store.stats(), self.model.stats()
            for name in ("entries", "bytes", "hits", "misses", "evictions"):
                assert got[name] == wanted[name], f"{name} is {got[name]}, the model's is {wanted[name]}"

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.verify()["errors"] == []
            self.store.close()
