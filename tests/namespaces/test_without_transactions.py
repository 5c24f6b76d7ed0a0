"""Namespaces in a store without transactions: exact while all is well, put back after a failure, and after a kill a
book that says too much, never too little."""

import threading

import pytest

import door43fast as d43
from door43fast import namespaces
from untransacted import Died, Untransacted


@pytest.fixture
def base(tmp_path):
    with Untransacted(path=tmp_path / "base") as base:
        yield base


def counted(space):
    return space._counted()


def book(space):
    return space._book().entries, space._book().bytes


def fill(space):
    space.set("a", b"1" * 10, ttl=3600)
    space.set("b", b"2" * 20, tags=("t",))
    space.set("c", b"3" * 30)


WRITES = {
    "one more": lambda space: space.set("d", b"4" * 40),
    "one larger": lambda space: space.set("a", b"1" * 100),
    "one smaller": lambda space: space.set("c", b"3"),
    "many": lambda space: space.set_many({"c": b"", "d": b"4" * 40, "e": b"5"}),
    "one gone": lambda space: space.delete("b"),
    "many gone": lambda space: space.delete_many("abc"),
    "a tag gone": lambda space: space.invalidate("t"),
    "all gone": lambda space: space.clear(),
}


def test_it_declares_what_it_is(base):
    space = d43.namespace(base, "one")
    assert not space.capabilities.transactions and not space.capabilities.shared and space.capabilities.persistent
    with pytest.raises(d43.UnsupportedError):
        space.transaction()


@pytest.mark.parametrize("policy", ["none", "fifo"])
def test_the_book_is_exact(base, policy):
    space, other = d43.namespace(base, "one", policy=policy), d43.namespace(base, "other")
    fill(other)
    held = dict(other.items())
    for name, write in WRITES.items():
        fill(space)
        write(space)
        assert book(space) == counted(space), name
        assert space.verify()["errors"] == [] and dict(other.items()) == held
    assert namespaces.drop(base, "one") == 0 and dict(other.items()) == held
    assert [one.name for one in namespaces.listed(base)] == ["other"]
    assert namespaces.drop(base, "other") == 3 and base.count() == 0


def test_quotas_hold(base):
    space = d43.namespace(base, "one", max_entries=3, policy="fifo")
    for number in range(20):
        space[f"k{number}"] = number
    assert dict(space.items()) == {"k17": 17, "k18": 18, "k19": 19}
    strict = d43.namespace(base, "two", max_entries=2)
    strict.set_many({"a": 1, "b": 2})
    with pytest.raises(d43.QuotaError):
        strict["c"] = 3
    assert dict(strict.items()) == {"a": 1, "b": 2} and strict.verify()["errors"] == []


def fails(base):
    base.left = None        # there is room again for what is put back
    return OSError("the disk is full")


@pytest.mark.parametrize("policy", ["none", "fifo"])
@pytest.mark.parametrize("what", WRITES)
def test_what_fails_on_the_way_is_put_back(tmp_path, what, policy):
    """At each place where a write can fail: nothing has changed, and the next write goes through."""
    for left in range(100):
        with Untransacted(path=tmp_path / str(left)) as base:
            space = d43.namespace(base, "one", policy=policy)
            fill(space)
            held, stood, heard = dict(space.items()), book(space), []
            for wish in ({"pattern": "*"}, {"tag": "t"}):
                space.subscribe(callback=heard.append, **wish)
            base.left, base.fault = left, fails
            try:
                WRITES[what](space)
            except OSError:
                space.flush()
                assert dict(space.items()) == held and book(space) == stood == counted(space)
                assert space.verify()["errors"] == [] and heard == []
                WRITES[what](space)
            else:
                assert left > 2
                break
            assert book(space) == counted(space) and heard
    else:
        pytest.fail("it never came through")


@pytest.mark.parametrize("policy", ["none", "fifo"])
@pytest.mark.parametrize("what", WRITES)
def test_a_process_that_dies_leaves_a_book_that_says_too_much(tmp_path, what, policy):
    """At each place: each key has its old value or its new one, and quotas are kept by what comes next."""
    for left in range(100):
        path = tmp_path / str(left)
        with Untransacted(path=path) as base:
            space = d43.namespace(base, "one", policy=policy)
            fill(space)
            before = dict(space.items())
            base.left, base.fault = left, lambda base: Died()
            died = False
            try:
                WRITES[what](space)
            except Died:
                died = True
            base.left = None
            base.close()
        with Untransacted(path=path) as base:
            space = d43.namespace(base, "one")
            entries, size = counted(space)
            said = book(space)
            assert said[0] >= entries and said[1] >= size
            assert died or said == (entries, size)
            with d43.MemoryStore() as model:
                after = d43.namespace(model, "one", policy=policy)
                fill(after)
                WRITES[what](after)
                after = dict(after.items())
            for key in {*before, *after, *space}:
                assert space.get(key) in (before.get(key), after.get(key))
            assert (space.verify()["errors"] == []) == (said == (entries, size))
            space.recount()
            assert book(space) == counted(space) and space.verify()["errors"] == []
            if policy == "fifo":        # and what is held can make room
                space.limit(max_entries=2)
                space.set_many({"x": b"1", "y": b"2"})
                assert dict(space.items()) == {"x": b"1", "y": b"2"}
                space["z"] = b"3"
                assert dict(space.items()) == {"y": b"2", "z": b"3"} and space.verify()["errors"] == []
        if not died:
            return
    pytest.fail("it never came through")


def test_threads_count_exactly(base):
    space = d43.namespace(base, "one")

    def work(number):
        for turn in range(30):
            space.incr("n")
            space[f"{number}/{turn % 5}"] = bytes(turn)
            if turn % 3 == 0:
                space.delete(f"{number}/{turn % 5}")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert space["n"] == 120 and book(space) == counted(space) and space.verify()["errors"] == []


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_dropping_and_opening_at_once_loses_nothing_new(base):
    """Whoever opens the name again while it is dropped waits, and what is then written stays."""
    for turn in range(20):
        space = d43.namespace(base, "one")
        space.set_many({f"k{number}": turn for number in range(20)})
        begun = threading.Event()

        def dropping(begun=begun):
            begun.set()
            namespaces.drop(base, "one")
        thread = threading.Thread(target=dropping)
        thread.start()
        begun.wait(30)
        while True:
            try:
                fresh = d43.namespace(base, "one")
                fresh["new"] = turn
                break
            except d43.ClosedError:     # it was still the one that goes
                continue
        thread.join(30)
        there = "one" in [one.name for one in namespaces.listed(base)]
        if there and not fresh.closed:
            assert fresh["new"] == turn and fresh.verify()["errors"] == []


def test_another_process_that_reads_through_memory_sees_the_news(tmp_path):
    """As far as one in the same process can stand for it: another store object over the same files."""
    class Shared(Untransacted):
        capabilities = Untransacted.capabilities._replace(shared=True)

    with Shared(path=tmp_path / "base") as one, Shared(path=tmp_path / "base") as other:
        writer = d43.namespace(one, "one")
        reader = d43.cascade(d43.MemoryStore(max_bytes=1 << 20), d43.namespace(other, "one"))
        for turn in range(5):
            writer["k"] = turn
            assert reader["k"] == turn and reader["k"] == turn
        assert reader.stats()["layers"][0]["hits"] == 5
