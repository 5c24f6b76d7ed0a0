"""One probe of the re-entry matrix: ``probe.py ENGINE HOOK ACTION``; prints what it did, or dies trying.

A hook is code of the user's that an engine runs: a key's ``__eq__`` or ``__hash__``, a value's ``__del__``, a
weigher, a listener, a loader, a codec. An action is what the hook does to the same store. The workload calls every
method so that the hook runs inside each; afterwards the store must be whole.
"""

import asyncio
import gc
import sys
import tempfile
import threading
import time

import door43fast as d43
from door43fast.testing.calls import CALLS

ENGINES = ("memory", "lmdb", "cascade", "aio")
HOOKS = ("key __eq__", "key __hash__", "value __del__", "weigher", "listener", "loader", "codec")
ACTIONS = ("methods", "close", "raise", "collect", "switch")
NOT_THERE = {("lmdb", "weigher"), ("memory", "codec"), ("aio", "codec")}

EXPECTED = (d43.Error, KeyError, ValueError, TypeError, RuntimeError)


class Boom(Exception):
    """What a hook raises."""


class Hook:
    """Runs the action, but not inside itself."""

    def __init__(self, hook, action):
        self.name = hook
        self.action = getattr(self, action)
        self.store = None
        self.busy = False
        self.armed = False
        self.fired = 0

    def __call__(self, name):
        if name != self.name or not self.armed or self.busy or self.fired >= 400:
            return
        self.busy = True
        self.fired += 1
        try:
            self.action()
        finally:
            self.busy = False

    def methods(self):
        for name, call in CALLS.items():
            if name != "subscribe" and (self.fired < 20 or self.fired % 7 == hash(name) % 7):
                quietly(lambda call=call: call(self.store))

    def close(self):
        if self.fired == 5:
            self.store.close()

    def raise_(self):
        raise Boom

    def collect(self):
        class Cycle:
            def __init__(self, hook):
                self.me, self.hook = self, hook

            def __del__(self):
                quietly(lambda: self.hook.store.set("from a finalizer", 1))
                quietly(lambda: self.hook.store.delete("from a finalizer"))
        Cycle(self)
        if self.fired % 10 == 1:
            gc.collect()

    def switch(self):
        def work():
            quietly(lambda: self.store.set("other thread", 1))
            quietly(lambda: self.store.get("k1"))
            quietly(lambda: self.store.delete("other thread"))
        if self.fired % 5 == 1:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        time.sleep(0)


def quietly(call):
    """The call, whatever sentence the store answers with: here it only must survive."""
    try:
        return call()
    except (*EXPECTED, Boom, AssertionError):
        return None


def text_key(hook):
    class Text(str):
        def __eq__(self, other):
            hook("key __eq__")
            return str.__eq__(self, other)

        def __hash__(self):
            hook("key __hash__")
            return str.__hash__(self)
    return lambda i: Text(f"k{i}")


def object_key(hook):
    class Key:
        def __init__(self, i):
            self.i = i

        def __eq__(self, other):
            hook("key __eq__")
            return isinstance(other, Key) and self.i == other.i

        def __hash__(self):
            hook("key __hash__")
            return self.i % 2
    return Key


def make_value(hook):
    class Value:
        def __init__(self, i):
            self.i = i

        def __del__(self):
            hook("value __del__")
    return Value


class Codec:
    """JSON of door43fast's own, with a hook on the way in and out."""

    name = "hooked"

    def __init__(self, hook):
        from door43fast.codecs import resolve
        self.hook, self.inner = hook, resolve("json")

    def encode(self, value):
        self.hook("codec")
        return self.inner.encode(value)

    def decode(self, mark, payload):
        self.hook("codec")
        return self.inner.decode(mark, payload)


def open_store(engine, hook, folder):
    def weigher(key, value):
        hook("weigher")
        return 1
    if engine in ("memory", "aio"):
        return d43.MemoryStore(max_bytes=8, weigher=weigher), object_key(hook), make_value(hook)
    codec = Codec(hook) if hook.name == "codec" else "auto"
    slow = d43.LmdbStore(folder, durability="none", codec=codec)
    if engine == "lmdb":
        return slow, text_key(hook), lambda i: {"i": i}
    fast = d43.MemoryStore(max_bytes=8, weigher=weigher)
    return d43.cascade(fast, slow), text_key(hook), lambda i: [i] if i % 2 else f"value {i}"


def workload(store, key, value, hook):
    """Calls that run the hook, each of which may raise."""
    def load(i):
        hook("loader")
        return value(i)
    for i in [*range(12), *range(12), 3, 1, 4, 1, 5, 9, 2, 6]:
        yield "set", (key(i), value(i)), {}
        yield "get", (key(i),), {}
        yield "set", (key(i), value(i)), {"tags": ("t",), "ttl": 100}
        yield "touch", (key(i), 50), {}
        yield "ttl", (key(i),), {}
        yield "add", (key(i + 1), value(i)), {}
        yield "replace", (key(i), 1, value(i)), {}
        yield "set_many", ([(key(j), value(j)) for j in (i, i + 1, i)],), {}
        yield "get_many", ([key(j) for j in range(i)],), {}
        yield "contains_many", ([key(j) for j in range(i)],), {}
        yield "get_or_compute", (key(100 + i), lambda i=i: load(i)), {}
        yield "incr", (f"n{i}",), {}
        yield "setdefault", (key(i), value(i)), {}
        if i % 3 == 0:
            yield "delete", (key(i),), {}
            yield "delete_many", ([key(i + 1), key(i + 2)],), {}
            yield "pop", (key(i + 3), None), {}
            yield "popitem", (), {}
        if i % 7 == 0:
            yield "invalidate", ("t",), {}
            yield "expire", (), {}
            yield "verify", (), {}
            yield "clear", (), {}


def sound(store):
    """The store is whole: it finds itself so, and still works."""
    assert store.verify()["errors"] == []
    store.clear()
    assert len(store) == 0 and list(store) == []
    for i in range(8):
        store[f"plain{i}"] = i
    assert sorted(store) == [f"plain{i}" for i in range(8)] and store.get_many(["plain3", "x"]) == [3, None]
    assert not store._flights


def main(engine, hook_name, action):
    hook = Hook(hook_name, "raise_" if action == "raise" else action)
    sys.unraisablehook = lambda unraisable: None if issubclass(unraisable.exc_type, (Boom, *EXPECTED)) else print(
        "unraisable:", unraisable.exc_type, unraisable.exc_value)
    with tempfile.TemporaryDirectory() as folder:
        store, key, value = open_store(engine, hook, folder)
        hook.store = store
        subscription = store.subscribe("*", lambda event: hook("listener"))
        hook.armed = True
        if engine == "aio":
            asyncio.run(awaited(store, key, value, hook))
        else:
            for method, args, options in workload(store, key, value, hook):
                quietly(lambda: getattr(store, method)(*args, **options))
                del args
        hook.armed = False
        gc.collect()
        if action == "close":
            assert hook.fired < 5 or store.closed
            store.close()
        else:
            subscription.cancel()
            sound(store)
            store.close()
    print(f"ok {hook.fired}")


async def awaited(store, key, value, hook):
    for method, args, options in workload(store, key, value, hook):
        try:
            await getattr(store.aio, method)(*args, **options)
        except (*EXPECTED, Boom, asyncio.CancelledError):
            pass
        del args


if __name__ == "__main__":
    main(*sys.argv[1:])
