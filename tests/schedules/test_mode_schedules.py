"""Races of what is known to be missing, and of what is past its time, with writes: step by step from a seed."""

import pytest
from schedules.stepping import Schedule, Stepped
from schedules.test_schedules import SEEDS, below

import door43fast as d43
from door43fast import reference
from door43fast.native.clock import ManualClock


def native(folder, clock):
    return d43.cascade(d43.MemoryStore(clock=clock, ttl=10), Stepped(d43.MemoryStore(clock=clock)), negative=1e6,
                       stale_on_error=1e6)


def native_over_lmdb(folder, clock):
    return d43.cascade(d43.MemoryStore(clock=clock, ttl=10), Stepped(d43.LmdbStore(folder, durability="none",
                                                                                   clock=clock)),
                       negative=1e6, stale_on_error=1e6, promote="always")


def three_tiers(folder, clock):
    return d43.cascade(d43.MemoryStore(clock=clock, ttl=10), Stepped(d43.cascade(
        d43.MemoryStore(clock=clock), d43.MemoryStore(clock=clock), negative=1e6)), negative=1e6, stale_on_error=1e6)


def plain(folder, clock):
    return reference.Cascade(reference.MemoryStore(clock=clock, ttl=10), Stepped(reference.MemoryStore(clock=clock)),
                             negative=1e6, stale_on_error=1e6)


class Naive:
    """A cascade without tickets that remembers what is missing, and renews what it has."""

    def __init__(self, slow):
        self.fast, self.slow = {}, slow

    def get(self, key):
        if key not in self.fast:
            self._refresh(key)
        return self.fast.get(key)

    def get_many(self, keys):
        return [self.get(key) for key in keys]

    def _refresh(self, key):
        self.fast[key] = self.slow.get(key)

    def set(self, key, value):
        self.slow.set(key, value)
        self.fast.pop(key, None)

    def delete(self, key):
        existed = self.slow.delete(key)
        self.fast.pop(key, None)
        return existed


def naive(folder, clock):
    return Naive(Stepped(d43.MemoryStore(clock=clock)))


KINDS = [native, native_over_lmdb, three_tiers, plain]


def set_against_absent(cascade, clock, seed):
    """Readers find nothing and remember that; who has set the key finds it, and so does everybody in the end."""
    def read():
        assert cascade.get("k") in (None, "value")
        assert cascade.get_many(["k", "x"])[0] in (None, "value")

    def write():
        cascade.set("k", "value")
        assert cascade.get("k") == "value"
    errors = Schedule(seed).run(read, write, read)
    assert errors == [None] * 3
    assert cascade.get("k") == "value" == cascade.get_many(["k"])[0] == below(cascade).get("k")


def delete_against_absent(cascade, clock, seed):
    """A key that comes and goes, beside readers: in the end it is gone, or there, for all."""
    def write():
        cascade.set("k", "value")
        assert cascade.delete("k") is True
        assert cascade.get("k") is None
        cascade.set("k", "last")

    def read():
        for _ in range(2):
            cascade.get("k")
    errors = Schedule(seed).run(read, write, read)
    assert errors == [None] * 3
    assert cascade.get("k") == "last" == below(cascade).get("k")


def past_its_time(cascade, clock):
    """``k`` is in the fast tier, and past its time there."""
    below(cascade).set("k", "old")
    cascade.get("k")
    clock.advance(11)


def delete_against_refresh(cascade, clock, seed):
    """What is renewed while it is deleted does not come back."""
    past_its_time(cascade, clock)

    def delete():
        assert cascade.delete("k") is True
        assert cascade.get("k") is None
    errors = Schedule(seed).run(lambda: cascade._refresh("k"), delete, lambda: cascade.get("k"))
    assert errors == [None] * 3
    assert cascade.get("k") is None is below(cascade).get("k")


def set_against_refresh(cascade, clock, seed):
    """Nor does what was written over."""
    past_its_time(cascade, clock)

    def write():
        cascade.set("k", "new")
        assert cascade.get("k") == "new"
    errors = Schedule(seed).run(lambda: cascade._refresh("k"), write, lambda: cascade.get_many(["k"]))
    assert errors == [None] * 3
    assert cascade.get("k") == "new" == below(cascade).get("k")


def failure_against_delete(cascade, clock, seed):
    """A read that fails below while the key is deleted gives the old value or the error; after it, the error alone."""
    past_its_time(cascade, clock)
    deleted = []
    failing = Failing(cascade.slow)

    def read():
        was_deleted = bool(deleted)
        try:
            got = failing.read(cascade, "k")
        except OSError:
            return
        assert got in (None, "old") and not (was_deleted and got == "old")
        GIVEN.append(got)

    def delete():
        cascade.delete("k")
        deleted.append(True)
    errors = Schedule(seed).run(read, delete, read)
    assert errors == [None] * 3


class Failing:
    """Has the reads of one thread fail at the layer below, after their point."""

    def __init__(self, stepped):
        self.stepped = stepped

    def read(self, cascade, key):
        import threading

        mine = threading.get_ident()
        own = type(self.stepped)._stepped

        def stepped(call):
            whole = own(call)

            def step(*args, **options):
                result = whole(*args, **options)
                if threading.get_ident() == mine and getattr(call, "__name__", "") in ("get", "get_many"):
                    raise OSError("no route")
                return result
            return step
        self.stepped.__dict__["_stepped"] = stepped
        return cascade.get(key)


GIVEN = []      # what reads got whose layer failed
RACES = [set_against_absent, delete_against_absent, delete_against_refresh, set_against_refresh]


def run(kind, race, folder, seeds=SEEDS):
    clock = ManualClock()
    cascade = kind(folder, clock)
    for seed in range(seeds):
        try:
            race(cascade, clock, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        finally:
            cascade.slow.__dict__.pop("_stepped", None)
        cascade.delete("k")
        if isinstance(cascade, Naive):
            cascade.fast.clear()


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_race(tmp_path, kind, race):
    run(kind, race, tmp_path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_failures(tmp_path, kind):
    GIVEN.clear()
    run(kind, failure_against_delete, tmp_path)
    assert GIVEN.count("old") > SEEDS // 10


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_a_cascade_without_tickets_is_caught(tmp_path, race):
    """The proof that the schedules can fail at all."""
    with pytest.raises(AssertionError, match="seed"):
        run(naive, race, tmp_path, max(SEEDS, 1000))
