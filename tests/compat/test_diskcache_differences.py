"""Where the face of diskcache does otherwise, as docs/diskcache.md says."""

import datetime
import os
import threading

import diskcache
import lmdb
import numpy
import pytest

import door43fast
from door43fast import errors
from door43fast.compat.diskcache import Cache


class Point:
    """What only pickle stores."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x

    def __hash__(self):
        return hash(self.x)


def test_pickle_only_by_name(tmp_path):
    with Cache(tmp_path / "plain") as cache:
        for refused in (lambda: cache.set("k", Point(1)), lambda: cache.set(Point(1), 1), lambda: Point(1) in cache,
                        lambda: cache.get(None), lambda: cache.set((True,), 1), lambda: cache.add(frozenset(), 1)):
            with pytest.raises(TypeError, match='codec="pickle"'):
                refused()
        with pytest.raises(TypeError, match='codec="pickle"'):
            cache.memoize()(lambda point: point)(Point(1))
        assert len(cache) == 0
    with Cache(tmp_path / "pickled", codec="pickle") as cache:
        for key in (Point(1), None, True, frozenset({1}), (None, 1), ("door43fast.diskcache", "mine")):
            cache[key] = Point(2)
            assert cache[key] == Point(2) and list(cache) == [key] and cache.pop(key) == Point(2)
        calls = []
        function = cache.memoize(typed=True)(lambda point: calls.append(point) or point.x)
        assert function(Point(3)) == function(Point(3)) == 3 and len(calls) == 1
        assert cache[function.__cache_key__(Point(3))] == 3


def test_values_of_pickle_are_refused_by_a_cache_without_it(tmp_path):
    with Cache(tmp_path, codec="pickle") as cache:
        cache["k"] = Point(1)
        cache[Point(2)] = 1
    with Cache(tmp_path) as cache, pytest.raises(Exception, match="pickle"):
        cache["k"]


def test_more_types_without_pickle(tmp_path):
    with Cache(tmp_path) as cache:
        cache["when"] = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
        cache["array"] = numpy.arange(5)
        assert cache["when"].year == 2026 and cache["array"].tolist() == [0, 1, 2, 3, 4]


def test_the_store_underneath_has_the_same_keys(tmp_path):
    with Cache(tmp_path) as cache:
        cache.set("k", {"a": 1}, expire=100, tag="t")
        assert cache.store["k"] == {"a": 1} and 99 < cache.store.ttl("k") <= 100
        cache.store.invalidate("t")
        assert cache.get("k") is None and cache.get("k", tag=True) == (None, None)
    with door43fast.LmdbStore(tmp_path, keys="any", durability="batch") as store:
        store["other"] = 5
    with Cache(tmp_path) as cache:
        assert cache["other"] == 5


def test_a_tag_is_told_by_another_cache(tmp_path):
    with Cache(tmp_path) as cache:
        cache.set("k", 1, tag="t")
    with Cache(tmp_path) as cache:
        assert cache.get("k", tag=True) == (1, "t") and len(cache) == 1 and list(cache) == ["k"]
        with pytest.raises(TypeError, match="a tag is a str"):
            cache.set("k", 1, tag=5)


def test_settings(tmp_path):
    with pytest.warns(UserWarning, match="cull_limit, sqlite_synchronous"):
        Cache(tmp_path / "a", sqlite_synchronous=0, cull_limit=5).close()
    with pytest.raises(errors.ConfigError, match="did you mean 'statistics'"):
        Cache(tmp_path / "b", statistic=1)
    with Cache(tmp_path / "c", statistics=True) as cache:
        cache.get("absent")
        assert cache.stats() == (0, 1)


def test_a_size_limit_is_kept(tmp_path):
    for policy in ({}, {"eviction_policy": "least-recently-used"}):
        with Cache(tmp_path / str(len(policy)), size_limit=1 << 20, **policy) as cache:
            for number in range(600):
                cache.set(number, b"v" * 1000, tag="t")
                cache.get(0)
            assert cache.volume() <= 1 << 20 and 599 in cache and len(cache) > 100 and (0 in cache) == bool(policy)
            assert cache.get(599, tag=True) == (b"v" * 1000, "t")
            with pytest.raises(errors.BudgetError):
                cache[0] = b"v" * (1 << 20)
    with Cache(tmp_path / "none", size_limit=1 << 20, eviction_policy="none") as cache:
        with cache.transact():
            for number in range(1500):
                cache[number] = b"v" * 1000
        assert len(cache) == 1500 and cache.volume() > 1 << 20
    with pytest.raises(errors.ConfigError, match="least-recently-used"):
        Cache(tmp_path / "lfu", eviction_policy="least-frequently-used")


def test_a_directory_of_diskcache_is_not_written_over(tmp_path):
    with diskcache.Cache(str(tmp_path)) as old:
        old["k"] = 1
    with pytest.raises(errors.ConfigError, match="import-diskcache"):
        Cache(tmp_path)
    assert not os.path.exists(tmp_path / "data.mdb")


def test_a_write_outside_of_a_block_is_not_lost(tmp_path):
    with Cache(tmp_path) as cache:
        cache["n"] = 1
        with pytest.raises(errors.ConflictError), cache.transact():
            read = cache["n"]
            thread = threading.Thread(target=lambda: cache.incr("n", 10))
            thread.start()
            thread.join()
            cache["n"] = read + 1
        assert cache["n"] == 11
        with cache.transact():
            cache["n"] = cache["n"] + 1
        assert cache["n"] == 12


def test_a_damaged_record_is_found_and_deleted(tmp_path):
    with Cache(tmp_path, durability="commit") as cache:
        for number in range(50):
            cache[f"key {number}"] = f"value {number}" * 5
    environment = lmdb.open(str(tmp_path), max_dbs=16)
    with environment.begin(write=True) as transaction:
        table = environment.open_db(b"data", transaction)
        key = b"\x02key 7\x00"
        frame = bytearray(transaction.get(key, db=table))
        frame[-1] ^= 1
        transaction.put(key, bytes(frame), db=table)
    environment.close()
    with Cache(tmp_path, durability="commit") as cache:
        with pytest.raises(errors.CorruptError):
            cache["key 7"]
        assert "1 of 50 records" in str(cache.check()[0].message) and len(cache) == 50
        assert "key 7" in str(cache.check(fix=True)[-1].message)
        assert len(cache) == 49 and cache.check() == [] and "key 7" not in cache
