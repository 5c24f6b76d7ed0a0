"""Small programs that do, in the middle of a call, what should not be done there. ``provoked.py NAME``: prints "ok".

Each of these once read memory that was no longer, or not yet, what it was taken for.
"""

import array
import asyncio
import gc
import sys
import threading
import weakref
from contextlib import suppress

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.native.packed import PackedBuilder
from door43fast.native.watches import EpochCell


class Hooked:
    """A key with the hash that it is told; what is to be done when it is next compared stands in ``now``."""

    now = None

    def __init__(self, of):
        self.of = hash(of)

    def __hash__(self):
        return self.of

    def __eq__(self, other):
        now, Hooked.now = Hooked.now, None
        if now is not None:
            now()
        return self is other


class Looks:
    """Looks at its store, which it refers to weakly, when it goes."""

    seen = []

    def __init__(self, store):
        self.store = weakref.ref(store)

    def __del__(self):
        Looks.seen.append(self.store())


def the_last_reference_to_a_store_goes(make=d43.MemoryStore):
    store = make()
    top = getattr(store, "fast", store)
    for n in range(100):
        top[f"k{n}"] = Looks(store if n % 2 else top)
    del store, top
    assert Looks.seen == [None] * 100, Looks.seen[:3]


def the_last_reference_to_a_cascade_goes():
    the_last_reference_to_a_store_goes(lambda: d43.cascade(d43.MemoryStore(), d43.MemoryStore()))


def a_store_in_a_cycle_goes():
    store = d43.MemoryStore()
    store["me"] = [store]
    for n in range(100):
        store[f"k{n}"] = Looks(store)
    del store
    gc.collect()
    assert len(Looks.seen) == 100
    for kept in Looks.seen:         # a finalizer runs before anything is taken apart, and may bring it back
        assert kept is None or len(kept) == 101 and kept["me"] == [kept]


def a_comparison_empties_what_is_verified():
    store = d43.MemoryStore()
    store[Hooked("a")] = 1
    store["a"] = 2
    store.update((str(n), n) for n in range(200_000))
    Hooked.now = store.clear
    assert store.verify() == {"checked": 200_002, "errors": []}


def a_comparison_empties_what_has_flags():
    """The second search of one call finds a table in which no entry has flags."""
    def again(table):
        def act():
            table.clear()
            table["a"] = 1

        Hooked.now = lambda: setattr(Hooked, "now", act)

    store = d43.MemoryStore()
    store.set(Hooked("a"), 1, pin=True)
    again(store)
    assert store._lookup("a") == (0, None) and store["a"] == 1
    store = d43.cascade(d43.MemoryStore(ttl=50), d43.MemoryStore(), stale=5)
    store.fast.set(Hooked("a"), 1, pin=True)
    again(store.fast)
    assert store.get("a") is None and store.fast["a"] == 1


def an_heir_calls_no_init():
    class Heir(d43.MemoryStore):
        def __init__(self):
            pass

    store = Heir()
    store.set("a", 1, ttl=1000)
    assert 999 < store.ttl("a") < 1001
    with suppress(TypeError):
        d43.MemoryStore.__init__(store, policy="sieve", max_entries=2)
    store.update(b=2, c=3, d=4)
    assert store.verify()["errors"] == [] and len(store) == 4


def an_option_begins_the_store():
    class Policy(str):
        asked = 0
        __hash__ = str.__hash__

        def __eq__(self, other):
            Policy.asked += 1
            if Policy.asked == 4:       # the option is looked up, and no more will be asked of it
                store.__init__(max_entries=3, policy="s3fifo")
                store.update((str(n), n) for n in range(3))
            return str.__eq__(self, other)

    store = d43.MemoryStore.__new__(d43.MemoryStore)
    try:
        store.__init__(max_entries=2, policy=Policy("sieve"))
    except TypeError as error:
        assert "initialised once" in str(error)
    else:
        raise AssertionError("it was initialised twice")
    store.update((str(n), n) for n in range(10))
    assert store.verify() == {"checked": 3, "errors": []}


def the_class_of_a_measured_store_is_called():
    for measured in (d43.MemoryStore(), d43.cascade(d43.MemoryStore(), d43.MemoryStore())):
        measured.measure(every=4)
        for other in ("new", "given"):
            if other == "new":
                store = type(measured)(*([d43.MemoryStore(), d43.MemoryStore()] if hasattr(measured, "fast") else []))
            else:
                store = (d43.cascade(d43.MemoryStore(), d43.MemoryStore()) if hasattr(measured, "fast")
                         else d43.MemoryStore())
                store.__class__ = type(measured)
            for call in (lambda s=store: s.get("a"), lambda s=store: s.set("a", 1), lambda s=store: s.get_many(["a"])):
                try:
                    call()
                except TypeError as error:
                    assert "measure()" in str(error)
                else:
                    raise AssertionError("nothing was refused")
            store.measure(every=4)
            store.set("a", 1)
            assert store.get("a") == 1


class Layer:
    """A layer in Python that does not give one value for each key, or changes the lists that it is given and gives."""

    closed = False
    capabilities = d43.MemoryStore().capabilities

    def __init__(self, change):
        self.held, self.change, self.last = {"a": 1, "b": 2}, change, None

    def get(self, key, default=None):
        return self.held.get(key, default)

    def set(self, key, value, **options):
        self.held[key] = value

    def delete(self, key):
        return self.held.pop(key, None) is not None

    def get_many(self, keys, default=None):
        found = self.last = [self.held.get(key, default) for key in keys]
        return self.change(keys, found)

    def set_many(self, items, **options):
        self.held.update(items)

    def ttl(self, key):
        return None

    def scan(self, *bounds, **options):
        return iter(sorted(self.held.items()))

    def close(self):
        pass


class Timed(Layer):
    """The same, which knows how long each value lasts."""

    def _with_deadlines(self, keys):
        found = self.get_many(keys, MISSING)
        return [(value, None) for value in found]


def a_layer_gives_too_many_values():
    for make in (Layer, Timed):
        for change in (lambda keys, found: found + [None] * 100_000, lambda keys, found: found[:1],
                       lambda keys, found: []):
            for above in (lambda slow: d43.cascade(d43.MemoryStore(), slow),
                          lambda slow: d43.cascade(d43.MemoryStore(), d43.cascade(d43.MemoryStore(), slow))):
                store = above(make(change))
                try:
                    got = store.get_many(["a", "b", "c"])
                except RuntimeError as error:
                    assert "values for 3 keys" in str(error)
                else:
                    raise AssertionError(f"it was taken: {len(got)}")


def a_layer_changes_its_lists():
    def longer(keys, found):
        keys.extend(["z"] * 100_000)
        return found

    def empty(keys, found):
        del keys[:]
        return found

    for make in (Layer, Timed):
        for change in (longer, empty):
            slow = make(change)
            for store in (d43.cascade(d43.MemoryStore(), slow),
                          d43.cascade(d43.MemoryStore(), d43.cascade(d43.MemoryStore(), slow))):
                for _ in range(2):
                    assert store.get_many(["a", "b", "c"]) == [1, 2, None]
                assert store.get_many([]) == []
        slow = make(lambda keys, found: found)
        weigher = lambda key, value: slow.last.clear() or 1     # while what was fetched goes up
        store = d43.cascade(d43.MemoryStore(max_bytes=100, weigher=weigher), slow)
        assert store.get_many(["a", "b", "c"]) == [1, 2, None]


def a_layer_is_below_itself():
    class Endless(Layer):
        def _watched(self):
            return (self,)

    try:
        d43.cascade(d43.MemoryStore(), Endless(None))
    except RecursionError:
        pass
    else:
        raise AssertionError("it was watched")


def a_cascade_is_made_again():
    class Watched(Layer):
        kept = []

        def __init__(self):
            super().__init__(lambda keys, found: found)
            self.cells = [EpochCell() for _ in range(50)]

        def _watched(self):
            return self.cells

        def __del__(self):
            Watched.kept += [b"\xff" * size for size in range(1, 4000, 16)]    # in the room of what went before
            assert store.get("a") == 1

    store = d43.Cascade(d43.MemoryStore(), Watched())
    try:
        store.__init__(d43.MemoryStore(), Watched())
    except TypeError as error:
        assert "made once" in str(error)
    else:
        raise AssertionError("it was made twice")
    assert store.get("a") == 1
    Watched.__del__ = lambda self: None


def a_value_tells_another_length():
    class Long(bytes):
        def __len__(self):
            return 1 << 30

    class Ends(bytes):
        def __len__(self):
            builder.build()
            return 1

    store = d43.MemoryStore()
    store["a"], store["b"] = Long(b"x"), memoryview(array.array("Q", [1, 2]))
    assert store.get_packed(["a", "b"]).tolist() == [b"x", array.array("Q", [1, 2]).tobytes()]
    builder = PackedBuilder(1)
    builder.add("k", Ends(b"xy"))
    assert builder.build().tolist() == [b"xy"]


def an_array_tells_another_shape():
    import numpy

    class Wide(numpy.ndarray):
        @property
        def shape(self):
            return 1, 1 << 24

    store = d43.MemoryStore()
    store["a"] = bytes(1 << 24)
    try:
        store.get_packed(["a"], out=numpy.zeros((1, 1), numpy.uint8).view(Wide))
    except d43.ConfigError as error:
        assert "bytes" in str(error)
    else:
        raise AssertionError("it was written to")


def a_number_tells_other_bytes():
    from door43fast.native.keys import KeyCodec

    class Number(int):
        def bit_length(self):
            return 2000

        def to_bytes(self, *_, **__):
            return b"x"

    for number in (1 << 100, -(1 << 100)):
        assert KeyCodec("any").encode(Number(number)) == KeyCodec("any").encode(number)


def a_computation_ends_while_its_key_is_being_set():
    """A set keeps what is being computed from being stored, even if the key's own code lets others run just then."""
    class Key(str):
        hashed = 0
        __eq__ = str.__eq__

        def __hash__(self):
            Key.hashed += 1
            if Key.hashed == 2:     # it is stored, and its flight is about to be looked up
                go_on.set()
                computing.join(10)
            return str.__hash__(self)

    store, begun, go_on = d43.MemoryStore(), threading.Event(), threading.Event()
    computing = threading.Thread(target=lambda: store.get_or_compute("k", lambda: (begun.set(), go_on.wait(10))[1:]))
    computing.start()
    begun.wait(10)
    store.set(Key("k"), "new")
    computing.join()
    assert Key.hashed >= 2 and store.get("k") == "new", (Key.hashed, store.get("k"))


def a_computation_is_interrupted_when_it_has_ended():
    """Whoever asks next is not given what came of it for ever."""
    class Key(str):
        __eq__ = str.__eq__

        def __hash__(self):
            if sys._getframe(1).f_code.co_name == "forget":
                raise InterruptedError
            return str.__hash__(self)

    async def wait_for(store):
        return await store.aio.get_or_compute("k", lambda: 3)

    for store in (d43.MemoryStore(), d43.cascade(d43.MemoryStore(), d43.MemoryStore())):
        for ask, want in ((lambda s=store: s.get_or_compute("k", lambda: 2), 2),
                          (lambda s=store: asyncio.run(wait_for(s)), 3)):
            with suppress(InterruptedError):
                store.get_or_compute(Key("k"), lambda: 1)
            assert len(store._flights) == 1, "nothing was interrupted"
            store.delete("k")
            assert ask() == want
            assert not store._flights
            store.clear()


PROGRAMS = {name: value for name, value in list(globals().items())
            if callable(value) and getattr(value, "__module__", None) == __name__ and not isinstance(value, type)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
    print("ok")
