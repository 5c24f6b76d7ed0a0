"""Transactions over tiers: the upper tiers hold nothing of one before the durable tier has committed it."""

import errno
import resource
import threading

import pytest

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.layers import Wrapper
from door43fast.testing.faults import Faulty

LIMIT = 60


class Stack:
    """A cascade of so many tiers of memory over a durable store, with a place for faults between."""

    def __init__(self, path, kind, tiers):
        def opened():
            return d43.LmdbStore(path, durability="none") if kind in ("lmdb", "native") else d43.open(
                f"sqlite:///{path}", durability="none")
        durable, self.other = opened(), opened()        # the other is another's, as in another process
        self.faulty = durable if kind == "native" else Faulty(durable)
        self.reading = None
        if kind == "sqlite":    # whose single values are read so, with what they have left to live
            self.faulty._with_deadlines = lambda keys: self.met(durable._with_deadlines(keys))
        self.memories, self.store = [], self.faulty
        for _ in range(tiers):
            self.memories.append(d43.MemoryStore())
            self.store = d43.cascade(self.memories[-1], self.store)

    def during_a_read(self, fn):
        """Have ``fn`` called when the next read of the durable store has its answer, and not given it yet."""
        self.reading = fn
        self.faulty.meanwhile(lambda: self.met(None), "get")

    def met(self, answer):
        fn, self.reading = self.reading, None
        if fn is not None:
            fn()
        return answer

    def held(self, key):
        """What each tier of memory has, without asking for it in the others."""
        return [memory.get(key, MISSING) for memory in self.memories]

    def check(self, *keys):
        """No tier of memory has anything but what the durable one has; and a read gives that."""
        self.store.get("what others have changed leaves the memory before a read")
        for key in keys:
            truth = self.other.get(key, MISSING)
            assert all(value in (MISSING, truth) for value in self.held(key)), (key, truth, self.held(key))
            assert self.store.get(key, MISSING) == truth


@pytest.fixture(params=[("lmdb", 1), ("lmdb", 2), ("sqlite", 1), ("sqlite", 2)], ids=lambda one: f"{one[0]}-{one[1]}")
def stack(request, tmp_path):
    stack = Stack(tmp_path / "store", *request.param)
    with stack.store:
        stack.store.set_many({"a": "old", "b": "old", "gone": "old"})
        for key in ("a", "b", "gone"):
            stack.store.get(key)
        assert stack.held("a") == ["old"] * len(stack.memories)
        yield stack
    stack.other.close()


def work(stack, conflict=False):
    with stack.store.transaction() as t:
        assert t["a"] == "old"
        if conflict:
            stack.other["a"] = "of another"
        t["a"] = t["b"] = t["c"] = "new"
        del t["gone"]


def test_before_the_commit_a_reader_sees_what_was_there(stack):
    seen = []

    def look():     # in another thread, in the middle of the commit
        thread = threading.Thread(target=lambda: seen.append([
            stack.store.get_many(["a", "b", "c", "gone"]), stack.store.get("a"), stack.held("a"), stack.held("c")]))
        thread.start()
        thread.join(LIMIT)
    stack.faulty.meanwhile(look, "_commit", after=False)
    work(stack)
    assert seen == [[["old", "old", None, "old"], "old", ["old"] * len(stack.memories),
                     [MISSING] * len(stack.memories)]]
    assert stack.store.get_many(["a", "b", "c", "gone"]) == ["new", "new", "new", None]
    stack.check("a", "b", "c", "gone")


def test_a_value_that_was_promoted_during_the_commit_is_not_the_old_one_afterwards(stack):
    """Who missed before the commit and has the old value in hand puts it into no tier after it."""
    for memory in stack.memories:
        memory.delete("a")
    stack.during_a_read(lambda: work(stack))        # and before it is promoted
    assert stack.store.get("a") == "old" and stack.reading is None
    stack.check("a", "b", "c", "gone")
    assert stack.store["a"] == "new"


def test_a_conflict_leaves_nothing_of_it(stack):
    with pytest.raises(d43.ConflictError):
        work(stack, conflict=True)
    stack.check("a", "b", "c", "gone")
    assert stack.store.get_many(["a", "b", "c", "gone"]) == ["of another", "old", None, "old"]


@pytest.mark.parametrize("kind", ["error", "lost"])
def test_an_error_at_the_commit_leaves_nothing_that_is_not_below(stack, kind):
    stack.faulty.fail(kind, "_commit")
    with pytest.raises(d43.BackendUnavailableError):
        work(stack)
    stack.check("a", "b", "c", "gone")
    assert stack.store["a"] == ("new" if kind == "lost" else "old")


def test_an_error_in_the_block_reaches_no_tier(stack):
    with pytest.raises(LookupError), stack.store.transaction() as t:
        t["a"] = "new"
        raise LookupError
    assert stack.held("a") == ["old"] * len(stack.memories)
    stack.check("a")


class Hasty(Wrapper):
    """What must not be: it tells the memory above before it commits."""

    def __init__(self, stack):
        super().__init__(stack.faulty)
        self.memories = stack.memories

    def _commit(self, reads, writes, ranges=()):
        for memory in self.memories:
            memory.set_many({key: held[0] for key, held in writes.items() if held is not None})
        self.slow._commit(reads, writes, ranges)


@pytest.mark.parametrize("proof", [test_before_the_commit_a_reader_sees_what_was_there])
def test_these_tests_see_a_cascade_that_is_hasty(stack, proof):
    stack.store = d43.cascade(stack.memories[0], Hasty(stack))
    with pytest.raises(AssertionError):
        proof(stack)


@pytest.mark.parametrize("tiers", [1, 2])
def test_a_disk_that_is_full_at_the_commit(tmp_path, tiers):
    """The file may not grow, so the commit of LMDB itself fails."""
    stack = Stack(tmp_path / "store", "native", tiers)
    with stack.store as store:
        store["a"] = store["b"] = "old"
        store.get_many(["a", "b"])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "store" / "data.mdb").stat().st_size, hard))
        try:
            with pytest.raises(d43.Error) as caught, store.transaction() as t:
                t["a"] = "new"
                t.set_many((f"large {i}", b"x" * 100_000) for i in range(20))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert isinstance(caught.value, d43.MapFullError), errno.errorcode
        stack.check("a", "b", "large 0")
        assert store["a"] == "old"
    stack.other.close()


@pytest.mark.parametrize("tiers", [1, 2])
def test_readers_beside_transactions_of_which_some_fail(tmp_path, tiers):
    """Of those that fail the values are negative. Nobody ever sees one, nor what was before one that has returned."""
    stack = Stack(tmp_path / "store", "native", tiers)
    wrong, returned, ended = [], [0], threading.Event()
    with stack.store as store:
        store.set_many({"x": 0, "y": 0, "other": 0})

        def read():
            while not ended.is_set():
                for key in ("x", "y"):
                    least = returned[0]     # while one is under way its value may be seen, and then the one before
                    value = store[key]
                    if value < least:
                        wrong.append((key, least, value))
                values = store.get_many(["x", "y"])
                if min(values) < 0:
                    wrong.append(values)
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        refused = 0
        for n in range(1, 150):
            fails = n % 3 == 0
            try:
                with store.transaction() as t:
                    assert t["other"] is not None
                    t["x"] = t["y"] = -n if fails else n
                    if fails:
                        stack.other["other"] = n
                returned[0] = n
            except d43.ConflictError:
                refused += 1
        ended.set()
        for reader in readers:
            reader.join(LIMIT)
        assert wrong == [] and refused == 49
        stack.check("x", "y", "other")
    stack.other.close()
