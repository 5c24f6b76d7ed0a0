"""Memory over memory over a shared directory, and over stores in Python: hits without Python, news in every tier."""

import subprocess
import sys

import pytest

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.layers import Wrapper
from door43fast.native.clock import ManualClock
from door43fast.native.tiers_nested import with_deadlines
from door43fast.native.watches import EpochCell


class Both(Wrapper):
    """A store in Python over two others, of which the lower one answers; both may be changed by others."""

    def __init__(self, upper, lower):
        super().__init__(lower)
        self.upper = upper

    def _watched(self):
        return (self.upper, self.slow)

    def close(self):
        self.upper.close()
        super().close()


class Ringing(Wrapper):
    """A store in Python that tells of others' changes by a cell."""

    def __init__(self, slow):
        super().__init__(slow)
        self.cell = EpochCell()

    def _watched(self):
        return (self.cell,)


class Asked(Wrapper):
    """A store in Python that must be asked."""

    def __init__(self, slow):
        super().__init__(slow)
        self.news = 0

    def _watched(self):
        return (self._Epoch(self),)

    class _Epoch:
        def __init__(self, store):
            self.store = store

        def _epoch(self):
            return self.store.news


def lmdb(path, **options):
    return d43.LmdbStore(path, durability="none", **options)


def memory(**options):
    return d43.MemoryStore(max_bytes=1 << 20, **options)


STACKS = {
    "memory, memory, LMDB": lambda p: d43.cascade(memory(), d43.cascade(memory(), lmdb(p / "a"))),
    "memory, LMDB and LMDB": lambda p: d43.cascade(memory(), Both(lmdb(p / "a"), lmdb(p / "b"))),
    "memory, LMDB and Python": lambda p: d43.cascade(memory(), Both(lmdb(p / "a"), Ringing(memory()))),
    "memory, memory, Python": lambda p: d43.cascade(memory(), d43.cascade(memory(), Ringing(memory()))),
    "four tiers": lambda p: d43.cascade(memory(), d43.cascade(memory(), d43.cascade(memory(), lmdb(p / "a")))),
}


@pytest.mark.parametrize("stack", STACKS)
def test_a_hit_runs_no_python(tmp_path, stack):
    with STACKS[stack](tmp_path) as store:
        store["k"] = "v"
        assert store.get("k") == "v"
        calls = []
        get = store.get
        sys.setprofile(lambda frame, event, argument: calls.append((event, argument)))
        try:
            get("k")
            get("k")
        finally:
            sys.setprofile(None)
        assert [event for event, _ in calls].count("c_call") == 3 and not [e for e, _ in calls if e == "call"]


def test_the_profile_would_see_python(tmp_path):
    """The proof that the test above can fail: a store that must be asked is asked at every hit."""
    with d43.cascade(memory(), Asked(memory())) as store:
        store["k"] = "v"
        calls = []
        get = store.get
        sys.setprofile(lambda frame, event, argument: calls.append(event))
        try:
            get("k")
        finally:
            sys.setprofile(None)
        assert "call" in calls


WRITER = """
import sys, door43fast as d43
with d43.LmdbStore(sys.argv[1], durability="none") as store:
    store["k"] = "theirs"
"""


@pytest.mark.parametrize("journal", [True, None])
def test_what_another_process_wrote_leaves_every_tier(tmp_path, journal):
    middle = d43.cascade(memory(), lmdb(tmp_path / "a", journal=journal))
    with d43.cascade(memory(), middle) as store:
        store.update(k="ours", other="stays")
        assert store.get_many(["k", "other"]) == ["ours", "stays"]
        subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "a")], check=True, timeout=60)
        assert store["k"] == "theirs" == middle["k"] and store["other"] == "stays"
        assert ("other" in store.fast) and store.stats()["coherence"]["emptied"] == (0 if journal else 1)


@pytest.mark.parametrize("which", ["a", "b"])
def test_each_of_two_directories_is_watched(tmp_path, which):
    with STACKS["memory, LMDB and LMDB"](tmp_path) as store, lmdb(tmp_path / which) as other:
        store["k"] = "ours"
        assert store["k"] == "ours" and "k" in store.fast
        other["x"] = 1
        assert "k" in store and "k" not in store.fast and store.stats()["coherence"]["emptied"] == 1
        assert store["k"] == "ours"


def test_others_write_below_a_parallel_store(tmp_path):
    both = d43.parallel(lmdb(tmp_path / "a"), lmdb(tmp_path / "b"))
    with d43.cascade(memory(), both) as store, lmdb(tmp_path / "a") as other:
        store["k"] = "ours"
        assert store["k"] == "ours" == store["k"] and "k" in store.fast
        other["k"] = "theirs"
        assert store["k"] == "theirs"
        other["j"] = 1
        assert store.get_many(["j"]) == [1]


@pytest.mark.parametrize("tiers", [1, 2])
def test_a_cell_that_is_raised_empties_the_tiers(tiers):
    below = Ringing(memory())
    store = d43.cascade(memory(), below) if tiers == 1 else d43.cascade(memory(), d43.cascade(memory(), below))
    with store:
        store["k"] = "old"
        assert store["k"] == "old"
        below.slow["k"] = "new"
        assert store["k"] == "old"      # nobody has told
        below.cell.bump()
        assert store["k"] == "new" == store.get_many(["k"])[0] and below.cell.number == 1


def test_a_store_that_must_be_asked_is(tmp_path):
    below = Asked(memory())
    with d43.cascade(memory(), d43.cascade(memory(), below)) as store:
        store["k"] = "old"
        assert store["k"] == "old"
        below.slow["k"] = "new"
        assert store["k"] == "old"
        below.news += 1
        assert store["k"] == "new"


def test_one_directory_below_a_store_in_python_is_followed_by_its_journal(tmp_path):
    with d43.cascade(memory(), Wrapper(lmdb(tmp_path / "a", journal=True))) as store, lmdb(tmp_path / "a") as other:
        store.update(k=1, x=2)
        assert store["k"] == 1 and store["x"] == 2
        other["k"] = 5
        assert store["k"] == 5 and "x" in store.fast and store.stats()["coherence"]["emptied"] == 0
        other.invalidate("t")           # values with tags are kept there as others are
        assert store["k"] == 5 and "x" not in store.fast and store.stats()["coherence"]["emptied"] == 1


def test_what_the_disk_evicts_leaves_every_tier(tmp_path):
    disk = lmdb(tmp_path / "a", max_bytes=1 << 20)
    with d43.cascade(memory(), d43.cascade(memory(), disk)) as store:
        for i in range(600):
            store[f"k{i}"] = bytes(4000)
        kept = {key for key in (f"k{i}" for i in range(600)) if key in disk}
        assert 0 < len(kept) < 600
        assert set(store.fast) <= kept and set(store.slow.fast) <= kept


def test_deadlines_and_tags_go_up_through_the_middle(tmp_path):
    clock = ManualClock()
    middle = d43.cascade(memory(clock=clock), lmdb(tmp_path / "a", clock=clock))
    with d43.cascade(memory(clock=clock), middle) as store:
        middle.set("k", ["v"], ttl=10)
        middle.set("t", "v", tags=["t"])
        for _ in range(2):
            assert store["k"] == ["v"] and store["t"] == "v"
        assert "k" in store.fast and 9.9 < store.fast.ttl("k") <= 10.1
        assert "t" not in store.fast    # its tags are known to the middle alone
        store.invalidate("t")
        assert store.get("t") is None and store.get_many(["t", "k"]) == [None, ["v"]]
        clock.advance(10.1)
        assert store.get("k") is None


def test_memory_over_memory_keeps_what_is_there_and_how_long():
    clock = ManualClock()
    below = memory(clock=clock, ttl=50)
    with d43.cascade(memory(clock=clock), below) as store:
        store["k"] = "v"
        below.set("j", "w", ttl=10)
        below.set("t", "x", tags=["t"])
        assert store.get_many(["j", "t", "k", "no"]) == ["w", "x", "v", None]
        assert 49.9 < store.fast.ttl("k") <= 50.1 and 9.9 < store.fast.ttl("j") <= 10.1 and "t" not in store.fast


def test_what_slides_below_does_not_stay_above_for_ever():
    clock = ManualClock()
    below = memory(clock=clock, idle=10)
    with d43.cascade(memory(clock=clock), below) as store:
        store["k"] = "v"
        assert "k" not in store.fast
        for _ in range(5):
            assert store["k"] == "v"
            clock.advance(4)
        clock.advance(20)
        assert store.get("k") is None


@pytest.mark.parametrize("make", [
    lambda p, c: memory(clock=c), lambda p, c: lmdb(p / "a", clock=c), lambda p, c: Wrapper(memory(clock=c)),
    lambda p, c: d43.cascade(memory(clock=c), lmdb(p / "a", clock=c)),
    lambda p, c: d43.cascade(memory(clock=c), Wrapper(memory(clock=c))),
    lambda p, c: d43.open(f"sqlite:///{p}/s.db", clock=c)],
    ids=["memory", "disk", "any", "native", "nested", "records"])
def test_values_with_their_deadlines_of_any_store(tmp_path, make):
    clock = ManualClock()
    with make(tmp_path, clock) as store:
        store.set("a", 1, ttl=10)
        store["b"] = [2]
        for _ in range(2):
            (a, left), (b, none), (c, nothing) = with_deadlines(store, ["a", "b", "c"])
            assert (a, b, none, c, nothing) == (1, [2], None, MISSING, None) and 9.9 < left < 10.1


def test_a_cascade_that_was_never_made_is_no_layer():
    with pytest.raises(d43.ClosedError, match="never made"):
        d43.cascade(memory(), d43.Cascade.__new__(d43.Cascade))
