"""Time, tags, packed batches, compression and the rest, as far as they are LMDB's own."""

import os
import random

import numpy as np
import pytest

from door43fast import errors
from door43fast.native.clock import ManualClock


def test_expired_records_are_gone_at_once_and_reaped_later(make):
    clock = ManualClock()
    store = make(clock=clock, ttl=10)
    events = []
    store.subscribe("*", events.append)
    store["a"] = b"1"
    store.set("b", b"2", ttl=5)
    store.set("c", b"3", ttl=20)
    assert store.touch("b", None) and store.ttl("b") is None
    assert store.ttl("a") == 10
    clock.advance(12)
    assert store.get("a") is None and "a" not in store and store.get_many(["a", "b"]) == [None, b"2"]
    assert list(store) == ["b", "c"] and store.count() == 2 and len(store) == 3
    assert store.expire() == 1 and len(store) == 2
    assert [(e.op, e.key, e.reason) for e in events[-1:]] == [("delete", "a", "expire")]
    store.set("c", b"4", ttl=100)
    clock.advance(50)
    assert store["c"] == b"4" and store.expire() == 0
    store.set("c", b"gone", ttl=0)
    assert "c" not in store and store.verify()["checked"] == 1


def test_writes_reap_a_few_by_the_way(make):
    clock = ManualClock()
    store = make(clock=clock)
    store.set_many({f"k{i}": b"v" for i in range(100)}, ttl=1)
    clock.advance(2)
    for i in range(10):
        store[f"w{i}"] = b"v"
    assert len(store) == 100 + 10 - 40
    assert store.expire() == 60 and store.stats()["expirations"] == 100
    assert store.verify()["checked"] == 10


def test_many_due_records_are_reaped_in_steps(make):
    clock = ManualClock()
    store = make(clock=clock)
    store.set_many({f"k{i}": b"v" for i in range(1000)}, ttl=1)
    clock.advance(1)
    assert store.expire() == 1000 and len(store) == 0


def test_a_wall_clock_that_is_set_back(make):
    clock = ManualClock()
    store = make(clock=clock)
    store.set("k", b"v", ttl=10)
    clock.advance(-100)
    assert store["k"] == b"v" and store.ttl("k") == 110


def test_tags_by_generation(make):
    store = make()
    store.set("a", b"1", tags=["red"])
    store.set("b", b"2", tags=["red", "blue"])
    store.set("c", b"3", tags=("blue",))
    store.invalidate("red")
    assert list(store) == ["c"] and store.get("a") is None
    store.set("a", b"new", tags=["red"])
    assert store["a"] == b"new"
    assert store.touch("a", 50) and store["a"] == b"new"
    store.invalidate("red")
    assert not store.touch("a", 50) and list(store.scan()) == [("c", b"3")]
    assert store.add("a", b"again")
    with pytest.raises(TypeError):
        store.set("x", b"", tags="red")


def test_incr_keeps_deadline_and_tags(make):
    clock = ManualClock()
    store = make(clock=clock)
    store.set("n", 5, ttl=10, tags=["t"])
    clock.advance(4)
    assert store.incr("n", 2) == 7 and store.ttl("n") == 6
    store.invalidate("t")
    assert store.incr("n") == 1 and store.ttl("n") is None
    store["s"] = "text"
    with pytest.raises(TypeError, match="'s'"):
        store.incr("s")


def test_a_publication_loses_against_a_write(make):
    store, other = make(), make()
    for write in (lambda: store.set("k", b"w"), lambda: store.delete("k"), store.clear, lambda: other.set("k", b"o"),
                  lambda: store.set_many({"k": b"m"}), lambda: store.pop("k", None)):
        store["k"] = b"old"
        store.delete("k")

        def fn(write=write):
            write()
            return b"computed"

        assert store.get_or_compute("k", fn) == b"computed"
        assert store.get("k") != b"computed"
    store.delete("k")
    assert store.get_or_compute("k", lambda: b"computed") == store["k"] == b"computed"


def test_packed_batches(make):
    store = make(keys="int", compression="zstd")
    keys = np.arange(1000, dtype=np.int64)
    rows = np.repeat(keys.astype("<i8"), 16).view(np.uint8)
    store.set_packed(keys, rows, np.arange(1001) * 128)
    wanted = np.array([3, 5000, 999, 3])
    packed = store.get_packed(wanted)
    assert list(packed.found) == [True, False, True, True]
    assert packed[0] == packed[3] == rows[3 * 128:4 * 128].tobytes()
    out = np.full((4, 128), 9, np.uint8)
    store.get_packed(wanted, out=out)
    assert out[1].sum() == 0 and bytes(out[2]) == rows[999 * 128:].tobytes()
    assert store.get_many(wanted)[1] is None and store.contains_many(wanted) == [True, False, True, True]
    assert sum(len(k) for k, _ in store.scan_packed(chunk=300)) == 1000
    assert [len(k) for k, _ in store.scan_packed(chunk=300)] == [300, 300, 300, 100]
    store[7] = "text"
    with pytest.raises(TypeError, match="key 7 does not hold bytes"):
        store.get_packed([7])


def test_ranges_in_both_directions_against_a_sorted_list(make):
    rng = random.Random(3)
    store = make()
    keys = sorted({"".join(rng.choice("aé\0z\U0001f600") for _ in range(rng.randint(1, 5))) for _ in range(900)})
    store.set_many((k, k) for k in rng.sample(keys, len(keys)))
    assert list(store) == keys
    for _ in range(200):
        prefix, start, stop = (rng.choice(["", *keys[:400]])[:2], rng.choice([None, *keys]), rng.choice([None, *keys]))
        limit = rng.choice([None, 0, 1, 7, 500])
        right = [k for k in keys if k.startswith(prefix) and (start is None or k >= start)
                 and (stop is None or k < stop)]
        for reverse in (False, True):
            got = [k for k, v in store.scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit) if k == v]
            assert got == (right[::-1] if reverse else right)[:limit]
        assert store.count(prefix) == len(list(store.keys(prefix)))


def test_a_scan_lets_its_consumer_write(make):
    store = make()
    store.set_many((f"k{i:04}", b"v") for i in range(500))
    for key, _ in store.scan():
        store[key] = b"seen"
        store.delete(key) if key.endswith("7") else None
    assert len(store) == 450 and set(v for _, v in store.scan()) == {b"seen"}


def test_a_scan_with_a_limit_skips_what_has_expired(make):
    clock = ManualClock()
    store = make(clock=clock)
    store.set_many({f"a{i:03}": b"" for i in range(300)}, ttl=1)
    store["b"] = b"found"
    clock.advance(1)
    assert list(store.scan(limit=1)) == [("b", b"found")]


def test_backup_is_whole_compact_and_new(make, tmp_path):
    store = make()
    store.set_many((f"k{i}", os.urandom(1000)) for i in range(1000))
    store.delete_many([f"k{i}" for i in range(500)])
    store.backup(tmp_path / "copy")
    copy = make("copy")
    assert dict(copy.scan()) == dict(store.scan())
    assert copy.stats()["bytes"] < store.stats()["bytes"] * 0.7
    with pytest.raises(errors.ConfigError, match="not empty"):
        store.backup(tmp_path / "copy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "store"]


def test_a_backup_that_was_broken_off_or_is_being_written_is_left_alone(make, tmp_path):
    store = make()
    (tmp_path / "copy.partial").mkdir()
    (tmp_path / "copy.partial" / "data.mdb").write_bytes(b"of another process")
    with pytest.raises(errors.ConfigError, match="being written"):
        store.backup(tmp_path / "copy")
    assert (tmp_path / "copy.partial" / "data.mdb").read_bytes() == b"of another process"


def test_readonly_refuses_every_write(make):
    store = make()
    store["k"] = b"v"
    store.close()
    store = make(readonly=True)
    assert store["k"] == b"v" and not store.capabilities.writes
    for call in (lambda: store.set("k", b""), lambda: store.delete("k"), lambda: store.set_many({}),
                 lambda: store.delete_many([]), store.clear, lambda: store.incr("n"), lambda: store.touch("k", 1),
                 lambda: store.add("k", b""), lambda: store.pop("k"), store.expire, lambda: store.invalidate("t"),
                 lambda: store.set_packed([], b"", [0]), lambda: store.replace("k", b"v", b"w")):
        with pytest.raises(errors.ReadOnlyError):
            call()
    with store.transaction() as t:
        assert t["k"] == b"v"


def test_values_of_every_kind_come_back(make):
    import datetime
    store = make(compression="zstd")
    values = [b"", "", b"\0", "é" * 5000, "\ud800 alone", 0, -1, 2**63, 2**80, 1.5, True, None, [1, [2]], {"a": None},
              bytes(100_000), datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), (1, 2)]
    for i, value in enumerate(values):
        store[f"k{i}"] = value
    for i, value in enumerate(values):
        got = store[f"k{i}"]
        assert got == value or got == list(value)
        assert type(got) is type(value) or isinstance(value, tuple)
    assert store.get("k11", 7) is None


def test_a_value_may_be_deleted_in_the_loader_of_its_own_listener(make):
    store = make()
    seen = []

    def listen(event):
        seen.append((event.op, event.key))
        if event.op == "set" and event.key == "a":
            store.delete("a")
            store["b"] = b"from the listener"

    store.subscribe("*", listen)
    store["a"] = b"1"
    store.flush()
    assert seen == [("set", "a"), ("delete", "a"), ("set", "b")]
    assert list(store) == ["b"]
