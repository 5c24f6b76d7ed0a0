"""Traces of cascades whose threads run one at a time: what was called, what the slow store did, what the tiers hold.

The threads change over before and after each call of the slow store, and where the fast tier weighs a value: between
the slow store's answer and what the cascade makes of it. An event is a tuple: the thread, the kind (a name of
events.pml), the key, a value as the models write it (2 * number of the write + 1, without the 1 for a key that is not
there; or the number of the commit), what the fast tiers hold, what the slow store holds.
"""

import itertools
import threading

from schedules.stepping import Schedule, point

from door43fast import MemoryStore
from door43fast.lmdb import LmdbStore

STRIPES = 4096          # of native/tickets.pxd


def stripe(key):
    """The stripe of a key; ``mix`` of native/hashing.pxd."""
    h = hash(key) % 2 ** 64
    h ^= h >> 32
    return (h * 0x9E3779B97F4A7C15 % 2 ** 64 >> 32) % STRIPES


APART = ("a", next(key for key in map(str, itertools.count()) if stripe(key) != stripe("a")))
TOGETHER = ("a", next(key for key in map(str, itertools.count()) if stripe(key) == stripe("a")))
BOTH = 2                # in the place of a key
ABSENT = 255
STRANGE = 254           # a value that nobody has written
PATIENCE = 60           # seconds: no thread of these schedules waits for another


class Recording:
    """The events of one run, and the numbers of what was written in it."""

    def __init__(self, keys, fasts, first, over=False):
        self.keys = keys
        self.fasts = fasts              # the fast tiers that are looked at, by process
        self.events = []
        self.over = over                # values are written as the numbers of commits, which count over all keys
        self.numbers = dict.fromkeys(keys, 1)
        self.slow = dict.fromkeys(keys, 1 if over else 3)
        self.stands = dict.fromkeys(keys, first)
        self.values = {(key, first): self.slow[key] for key in keys}

    def wrote(self, items):
        """The slow store holds these now; None for what it has lost."""
        for key, value in items.items():
            self.numbers[key] = (max(self.numbers.values()) if self.over else self.numbers[key]) + 1
            self.slow[key] = self.numbers[key] if self.over else 2 * self.numbers[key] + (value is not None)
            self.stands[key] = value
            if value is not None:
                self.values[key, value] = self.slow[key]

    def code(self, key, value):
        return ABSENT if value is None else self.values.get((key, value), STRANGE)

    def held(self, key, value):
        """0 for what the fast tier does not hold."""
        return 0 if value is None else self.code(key, value)

    def note(self, kind, key=None, value=0):
        actor = threading.current_thread()
        if hasattr(actor, "number"):        # else it is the set-up, or a look from outside
            held = [self.held(one, fast.get(one)) for fast in self.fasts for one in self.keys]
            place = self.keys.index(key) if key in self.keys else BOTH
            self.events.append((actor.number, kind, place, value, *held, *self.slow.values()))


class Actors(Schedule):
    """A schedule whose threads are numbered."""

    def run(self, *acts):
        def numbered(number, act):
            def run():
                threading.current_thread().number = number
                act()
            return run
        return super().run(*(numbered(number, act) for number, act in enumerate(acts)))


KINDS = {"get": "GET", "set": "SET", "delete": "DELETE", "set_many": "SETS", "delete_many": "DELETES", "clear": "CLEAR"}


def below(recording, name, call, args, options):
    """One call of the slow store, with a point before and after it."""
    kind = KINDS[name]
    key = args[0] if name in ("get", "set", "delete") else None
    recording.note(f"ASK_{kind}", key)
    point()
    result = call(*args, **options)
    if name == "get":
        found = recording.stands[key]
        recording.note(f"DONE_{kind}", key, ABSENT if found is None else recording.code(key, result))
    else:
        recording.wrote({
            "set": lambda: {key: args[1]}, "delete": lambda: {key: None}, "set_many": lambda: dict(args[0]),
            "delete_many": lambda: dict.fromkeys(recording.keys),
            "clear": lambda: dict.fromkeys(recording.keys)}[name]())
        recording.note(f"DONE_{kind}", key)
    point()
    return result


class ToldDirectory(LmdbStore):
    """A store on disk whose sets are points and events. Its reads are the engine's own, as a cascade makes them."""

    recording = None

    def set(self, *args, **options):
        if self.recording is None:
            return super().set(*args, **options)
        return below(self.recording, "set", super().set, args, options)


def told_memory(recording):
    """A memory store that has a point wherever it weighs a value."""
    def weigh(key, value):
        recording().note("WEIGH")
        point()
        return 1
    return MemoryStore(max_bytes=1 << 20, weigher=weigh)


class Told:
    """A store whose calls are points and events."""

    def __init__(self, store):
        self.store = store
        self.recording = None

    def __getattr__(self, name):
        attribute = getattr(self.store, name)
        if name.startswith("_") or not callable(attribute):
            return attribute

        def told(*args, **options):
            if name in KINDS:
                return below(self.recording, name, attribute, args, options)
            point()
            result = attribute(*args, **options)
            point()
            return result
        return told


def drive(recording, cascade, names, rng, calls):
    """An action of one thread: ``calls`` calls of the cascade, which ``rng`` chooses by ``names``."""
    serial = itertools.count()

    def act():
        number = threading.current_thread().number
        for _ in range(calls):
            name, key = rng.choice(names), rng.choice(recording.keys)
            value = f"{number}.{next(serial)}"
            if name in ("get", "set", "delete"):
                recording.note(f"CALL_{KINDS[name]}", key)
            else:
                key = None
                recording.note(f"CALL_{KINDS[name]}")
            result = {"get": lambda: cascade.get(key), "set": lambda: cascade.set(key, value),
                      "delete": lambda: cascade.delete(key), "clear": lambda: cascade.clear(),
                      "set_many": lambda: cascade.set_many([(one, value) for one in recording.keys]),
                      "delete_many": lambda: cascade.delete_many(recording.keys)}[name]()
            recording.note("RETURN", key, recording.code(key, result) if name == "get" else 0)
    return act
