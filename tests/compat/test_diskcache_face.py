"""The same assertions against diskcache itself, which is the judge, and against our face of it."""

import io
import multiprocessing
import pickle
import threading
import time

import diskcache
import pytest

from door43fast.compat import diskcache as face

VALUES = [0, -7, 2**40, 1.5, "", "text", "\u05d0\u05d1", b"", b"\x00\xff", None, True,
          [1, "a"], {"a": [1, None]}, (1, 2), {1, 2}, b"x" * 100_000, "y" * 100_000]
KEYS = ["a", "", b"a", b"", 1, 0, -5, 2**62, 1.5, ("a", 1), ("a", ("b", 2.5))]


@pytest.fixture(params=[diskcache.Cache, face.Cache], ids=["diskcache", "door43fast"])
def kind(request):
    return request.param


@pytest.fixture
def cache(kind, tmp_path):
    with kind(str(tmp_path / "cache")) as opened:
        yield opened


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_was_set_is_what_comes_back(cache, value):
    assert cache.set("k", value) is True
    assert cache["k"] == value and type(cache["k"]) is type(value)
    assert "k" in cache and len(cache) == 1
    assert cache.pop("k") == value
    assert cache.get("k") is None and "k" not in cache and len(cache) == 0


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_keys(cache, key):
    cache[key] = "v"
    assert cache.get(key) == "v" and key in cache
    assert list(cache) == [key] and type(list(cache)[0]) is type(key)
    assert list(reversed(cache)) == [key] and list(cache.iterkeys()) == [key]
    assert cache.peekitem() == (key, "v")
    assert cache.delete(key) is True and cache.delete(key) is False
    with pytest.raises(KeyError):
        del cache[key]
    with pytest.raises(KeyError):
        cache[key]


def test_one_and_one_point_zero_are_one_key(cache):
    cache[1] = "int"
    cache[1.0] = "float"
    assert (len(cache), cache[1]) == (1, "float")
    cache["1"] = "text"
    cache[b"1"] = "bytes"
    assert (len(cache), cache[1.0], cache["1"], cache[b"1"]) == (3, "float", "text", "bytes")


def test_a_stored_none_is_told_from_a_miss(cache):
    cache["k"] = None
    assert cache.get("k", 5) is None and cache["k"] is None
    assert cache.get("absent", 5) == 5
    assert cache.add("k", 1) is False


def test_expiry_and_tag_come_with_the_value(cache):
    before = time.time()
    cache.set("k", "v", expire=100, tag="t")
    value, expires, tag = cache.get("k", expire_time=True, tag=True)
    assert (value, tag) == ("v", "t") and before + 99 < expires < time.time() + 101
    assert cache.get("k", tag=True) == ("v", "t")
    assert cache.get("k", expire_time=True) == ("v", expires)
    cache.set("k", "w")
    assert cache.get("k", expire_time=True, tag=True) == ("w", None, None)
    assert cache.get("absent", 0, expire_time=True, tag=True) == (0, None, None)
    assert cache.get("absent", 0, tag=True) == (0, None)
    cache.set("k", "v", expire=100, tag="t")
    popped = cache.pop("k", expire_time=True, tag=True)
    assert popped[0] == "v" and popped[1] > before and popped[2] == "t"
    assert cache.pop("k", 0, expire_time=True, tag=True) == (0, None, None)


@pytest.mark.parametrize("expire", [0, -5])
def test_what_expires_at_once_is_gone(cache, expire):
    cache["k"] = "old"
    assert cache.set("k", "v", expire=expire) is True
    assert cache.get("k") is None and "k" not in cache
    assert cache.add("k", "w") is True and cache["k"] == "w"
    assert cache.touch("k", expire) is True and cache.get("k") is None
    assert cache.touch("k", 100) is False


def test_touch_gives_a_new_expiry_and_keeps_the_tag(cache):
    cache.set("k", "v", expire=100, tag="t")
    assert cache.touch("k") is True
    assert cache.get("k", expire_time=True, tag=True) == ("v", None, "t")
    assert cache.touch("k", 50) is True
    assert time.time() + 49 < cache.get("k", expire_time=True)[1] < time.time() + 51
    assert cache.touch("absent") is False


def test_add_sets_what_is_missing(cache):
    assert cache.add("k", 1, expire=100, tag="t") is True
    assert cache.add("k", 2, tag="u") is False
    value, expires, tag = cache.get("k", expire_time=True, tag=True)
    assert (value, tag) == (1, "t") and expires > time.time()


def test_incr_and_decr(cache):
    assert cache.incr("n") == 1
    assert cache.incr("n", 10) == 11
    assert cache.decr("n", 5) == 6
    assert cache.decr("n", 7) == -1
    assert cache.incr("x", 1.5) == 1.5 and cache.incr("x", 1) == 2.5
    assert cache.incr("from", 2, default=100) == 102
    with pytest.raises(KeyError):
        cache.incr("absent", default=None)
    with pytest.raises(KeyError):
        cache.decr("absent", default=None)
    cache.set("k", 5, expire=100, tag="t")
    assert cache.incr("k") == 6
    value, expires, tag = cache.get("k", expire_time=True, tag=True)
    assert (value, tag) == (6, "t") and expires > time.time()
    cache["s"] = "text"
    with pytest.raises(TypeError):
        cache.incr("s")


def test_increments_of_many_threads_are_all_counted(cache):
    def count():
        for _ in range(25):
            cache.incr("n", retry=True)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache["n"] == 100


def test_evict_by_tag(cache):
    for number in range(30):
        cache.set(number, number, tag="even" if number % 2 == 0 else "odd")
    cache["none"] = 1
    assert cache.evict("even") == 15
    assert cache.evict("even") == 0 and cache.evict("unknown") == 0
    assert sorted(key for key in cache if key != "none") == list(range(1, 30, 2)) and len(cache) == 16
    assert cache.get(1, tag=True) == (1, "odd")


def test_expire_takes_what_is_due_and_clear_takes_all(cache):
    cache["stays"] = 1
    for number in range(5):
        cache.set(number, number, expire=1000 * (number + 1))
    assert cache.expire() == 0
    assert cache.expire(now=time.time() + 2500) == 2
    assert sorted(map(str, cache)) == ["2", "3", "4", "stays"]
    assert cache.clear() == 4
    assert (len(cache), list(cache), cache.clear()) == (0, [], 0)
    with pytest.raises(KeyError):
        cache.peekitem()


def test_clear_keeps_no_tag_from_being_told(cache):
    cache.set("k", 1, tag="t")
    cache.clear()
    cache.set("k", 2, tag="t")
    assert cache.get("k", tag=True) == (2, "t") and len(cache) == 1 and cache.evict("t") == 1


def test_iteration_in_the_order_of_keys(cache):
    keys = [4, 1, 3.5, -2, "b", "a", "\u05d0", b"b", b"a"]
    for key in keys:
        cache[key] = 1
    assert sorted(map(repr, cache)) == sorted(map(repr, keys))
    assert list(reversed(cache)) == list(cache)[::-1]
    ordered = [-2, 1, 3.5, 4, "a", "b", "\u05d0", b"a", b"b"]
    assert list(cache.iterkeys()) == ordered and list(cache.iterkeys(reverse=True)) == ordered[::-1]


def test_files(cache, tmp_path):
    data = bytes(range(256)) * 400
    assert cache.set("k", io.BytesIO(data), read=True) is True
    assert cache["k"] == data
    with cache.get("k", read=True) as opened:
        assert opened.read(10) == data[:10] and opened.read() == data[10:]
    with cache.read("k") as opened:
        assert opened.read() == data
    with pytest.raises(KeyError):
        cache.read("absent")
    assert cache.add("l", io.BytesIO(b"abc" * 20_000), read=True) is True and cache["l"] == b"abc" * 20_000


def test_memoize(cache):
    calls = []

    @cache.memoize(expire=100, tag="squares")
    def square(number, power=2):
        """Documented."""
        calls.append(number)
        return number ** power

    assert [square(3), square(3), square(3, power=2), square(3, power=3), square(-3)] == [9, 9, 9, 27, 9]
    assert calls == [3, 3, 3, -3]
    assert square.__doc__ == "Documented." and square.__wrapped__(2) == 4
    assert cache[square.__cache_key__(3)] == 9
    assert cache.get(square.__cache_key__(3), tag=True) == (9, "squares")
    del cache[square.__cache_key__(3)]
    assert square(3) == 9 and len(calls) == 6
    assert cache.evict("squares") == 4
    with pytest.raises(TypeError):
        cache.memoize(square)


def test_memoize_tells_types_apart_and_leaves_arguments_out(cache):
    calls = []

    @cache.memoize(name="f", typed=True, ignore={1, "also"})
    def function(*args, **kwargs):
        calls.append(args)
        return len(calls)

    assert function(1, "x") == function(1, "y") == function(1, "z", also=3) == 1
    assert function(1.0, "x") == 2 and function(True, "x") == 3 and function("1", "x") == 4
    assert function(None, "x") == function(None, "y") == 5
    assert function.__cache_key__(1, "x") == function.__cache_key__(1, "y", also=9) != function.__cache_key__(1.0, "x")


def test_memoize_with_no_time_keeps_nothing(cache):
    calls = []
    function = cache.memoize(expire=0)(lambda number: calls.append(number) or number)
    assert function(1) == function(1) == 1 and calls == [1, 1] and len(cache) == 0


def test_queues(cache):
    assert [cache.push(letter) for letter in "abc"] == [500000000000000, 500000000000001, 500000000000002]
    assert cache.push("front", side="front") == 499999999999999
    assert cache.peek() == (499999999999999, "front") and cache.peek(side="back") == (500000000000002, "c")
    assert cache.pull() == (499999999999999, "front") and cache.pull(side="back") == (500000000000002, "c")
    assert cache.push(1, prefix="q", tag="t", expire=100) == "q-500000000000000"
    assert cache.push(2, prefix="q") == "q-500000000000001"
    assert cache.peek("q", tag=True) == (("q-500000000000000", 1), "t")
    item, expires, tag = cache.pull("q", expire_time=True, tag=True)
    assert item == ("q-500000000000000", 1) and expires > time.time() and tag == "t"
    assert cache.pull("q") == ("q-500000000000001", 2)
    assert cache.pull("q") == (None, None) and cache.pull("q", default=0, tag=True) == (0, None)
    assert [cache.pull()[1], cache.pull()[1], cache.pull()] == ["a", "b", (None, None)]


def test_a_transaction_is_all_or_nothing(cache):
    cache.set("a", 1, expire=100, tag="t")
    with cache.transact():
        cache["b"] = 2
        assert cache["b"] == 2 and "b" in cache
        assert cache.incr("a") == 2 and cache.pop("absent", 7) == 7
        with cache.transact():
            assert cache.add("c", 3, tag="u") is True and cache.add("a", 9) is False
            assert cache.get("c", tag=True) == (3, "u")
        assert cache.push("x") == 500000000000000
        assert cache.touch("c", 50) is True
    value, expires, tag = cache.get("a", expire_time=True, tag=True)
    assert (value, tag) == (2, "t") and time.time() + 90 < expires < time.time() + 101
    value, expires, tag = cache.get("c", expire_time=True, tag=True)
    assert (value, tag) == (3, "u") and time.time() + 40 < expires < time.time() + 51
    with pytest.raises(ZeroDivisionError), cache.transact():
        cache["b"] = 20
        cache.delete("c")
        cache.pull()
        with cache.transact():
            cache["d"] = 1 / 0
    assert cache["b"] == 2 and cache["c"] == 3 and "d" not in cache and cache.pull() == (500000000000000, "x")


def test_transactions_of_many_threads_lose_nothing(cache):
    cache["total"] = cache["count"] = 0

    def add():
        for number in range(20):
            with cache.transact(retry=True):
                total = cache["total"]
                cache.incr("count")
                cache["total"] = total + number

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache["count"], cache["total"]) == (80, 4 * sum(range(20)))


def test_a_block_that_waits_too_long_says_so(kind, tmp_path):
    timeout = diskcache.Timeout if kind is diskcache.Cache else face.Timeout
    inside, leave = threading.Event(), threading.Event()
    with kind(str(tmp_path / "cache"), timeout=0.05) as cache:

        def stay():
            with cache.transact():
                inside.set()
                leave.wait(30)

        thread = threading.Thread(target=stay)
        thread.start()
        inside.wait(30)
        try:
            with pytest.raises(timeout), cache.transact():
                pass
        finally:
            leave.set()
            thread.join()
        with cache.transact():
            cache["k"] = 1
        assert cache["k"] == 1


def test_statistics_are_counted_when_enabled(cache):
    cache["k"] = 1
    cache.get("k")
    assert cache.stats(enable=True) == (0, 0)
    for key in ("k", "k", "absent"):
        cache.get(key)
    assert cache["k"] == 1
    assert cache.stats(enable=False, reset=True) == (3, 1)
    cache.get("k")
    assert cache.stats() == (0, 0)


def test_care(cache):
    cache["k"] = b"x" * 10_000
    assert cache.volume() > 10_000
    assert cache.check() == [] and cache.check(fix=True) == []
    assert cache.cull() == 0 and cache["k"] == b"x" * 10_000


def test_closed_and_used_again(kind, tmp_path):
    cache = kind(str(tmp_path / "cache"))
    cache["k"] = 1
    cache.close()
    cache.close()
    assert cache["k"] == 1
    with cache as entered:
        assert entered is cache
    assert cache.get("k") == 1
    cache.close()
    with kind(str(tmp_path / "cache"), timeout=5) as again:
        assert again["k"] == 1 and again.timeout == 5 and again.directory == str(tmp_path / "cache")


def test_pickled_by_its_directory(cache):
    cache["k"] = 1
    other = pickle.loads(pickle.dumps(cache))
    assert other["k"] == 1 and other.directory == cache.directory and other.timeout == cache.timeout
    other["k"] = 2
    assert cache["k"] == 2
    other.close()


def _add(cache, key):
    for _ in range(50):
        cache.incr(key, retry=True)
    cache.set("tagged", 1, tag="of the child")


def test_shared_by_processes(kind, cache):
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=_add, args=(cache, "n")) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    assert cache["n"] == 100 and cache.get("tagged", tag=True) == (1, "of the child")


def test_a_directory_of_its_own(kind):
    import shutil
    with kind() as cache:
        cache["k"] = 1
        assert cache["k"] == 1
    shutil.rmtree(cache.directory)
