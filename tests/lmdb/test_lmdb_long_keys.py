"""Keys of more than 511 bytes beside short ones: every operation, every mode of keys, in order."""

import random

import pytest
from long_keys import HEAD, group, twins

import door43fast as d43
from door43fast.errors import ConflictError, KeyTooLongError
from door43fast.native.clock import ManualClock
from door43fast.native.keys import KeyCodec
from door43fast.native.upkeep import compact

SIZES = [1, 2, 300, 490, 493, 494, 495, 500, 510, 511, 512, 513, 600, 1700, 5000]


def some_key(mode, rng):
    """A key that begins as many others do."""
    text = (rng.choice(["a", "b", "ab"]) * rng.choice(SIZES))[:rng.choice(SIZES)] + rng.choice(["", "0", "1", "\x00"])
    if mode == "str":
        return text
    if mode == "bytes":
        return text.encode() + rng.choice([b"", b"\xff", b"\x00"])
    return rng.choice([text, text.encode(), (text, rng.randrange(3)), (text, text), ("t", rng.randrange(3), text)])


@pytest.fixture(params=["str", "bytes", "any"])
def mode(request):
    return request.param


def test_random_steps_beside_a_dict(make, mode):
    """In the order of the encoded keys, which is what a scan promises."""
    store = make(keys=mode)
    rng = random.Random(mode)
    encode = KeyCodec(mode).encode
    model = {}

    def ordered(keys):
        return sorted(keys, key=encode)

    for _ in range(3000):
        key, roll = some_key(mode, rng), rng.random()
        if roll < 0.4:
            model[key] = rng.randbytes(rng.choice([0, 10, 3000]))
            store[key] = model[key]
        elif roll < 0.6:
            assert store.delete(key) == (model.pop(key, None) is not None)
        elif roll < 0.7:
            assert store.get(key) == model.get(key) and (key in store) == (key in model)
        elif roll < 0.75:
            some = [some_key(mode, rng) for _ in range(30)]
            assert store.get_many(some) == [model.get(one) for one in some]
            assert store.contains_many(some) == [one in model for one in some]
            assert list(store.get_packed(some)) == [model.get(one) for one in some]
        elif roll < 0.8:
            some = {some_key(mode, rng): b"many" for _ in range(10)}
            store.set_many(some)
            model.update(some)
        elif roll < 0.82:
            some = [some_key(mode, rng) for _ in range(10)]
            assert store.delete_many(some) == sum(model.pop(one, None) is not None for one in some)
        elif roll < 0.92:
            start, stop = (rng.choice([None, some_key(mode, rng)]) for _ in range(2))
            wanted = [one for one in ordered(model) if (start is None or encode(one) >= encode(start)) and
                      (stop is None or encode(one) < encode(stop))]
            limit = rng.choice([None, 0, 1, 7])
            assert list(store.scan(start=start, stop=stop, limit=limit)) == [(k, model[k]) for k in wanted[:limit]]
            assert [k for k, _ in store.scan(start=start, stop=stop, limit=limit, reverse=True)] == wanted[::-1][:limit]
        elif mode != "any":
            prefix = key[:rng.choice(SIZES)]
            wanted = [one for one in ordered(model) if one.startswith(prefix)]
            assert list(store.keys(prefix)) == wanted and store.count(prefix) == len(wanted)
            packed = [name for names, _ in store.scan_packed(prefix, chunk=5) for name in names]
            assert packed == [encode(one) for one in wanted]
            if roll > 0.99:
                store.clear(prefix)
                model = {one: value for one, value in model.items() if not one.startswith(prefix)}
        assert len(store) == len(model)
    assert list(store) == ordered(model) and store.verify()["checked"] == len(model)
    assert store.stats()["entries"] == len(model) > store.stats()["long_keys"] > 0


@pytest.mark.parametrize("count", [3000, 16384, 16385, 32768, 40_000])
def test_a_group_larger_than_what_is_sorted_at_once(make, count):
    store = make()
    names = group(count)
    rng = random.Random(count)
    shuffled = rng.sample(names, count)
    store.set_many((name, name[-9:].encode()) for name in shuffled)
    beside = [names[0][:HEAD], names[0][:HEAD] + "0", "i", names[0][:HEAD] + "z", names[0][:HEAD - 1]]
    store.set_many((name, b"") for name in beside)
    whole = sorted([*names, *beside])
    assert list(store) == whole
    assert [key for key, _ in store.scan(reverse=True)] == whole[::-1]
    assert [key.decode() for keys, _ in store.scan_packed(chunk=7000) for key in keys] == whole
    assert store.count() == len(whole) and store.count(names[0][:-3]) == 1000
    for limit in (None, 1, 1000, 20_000):
        start, stop = sorted(rng.sample(whole, 2))
        wanted = [key for key in whole if start <= key < stop]
        assert [key for key, _ in store.scan(start=start, stop=stop, limit=limit)] == wanted[:limit]
        assert [key for key, _ in store.scan(start=start, stop=stop, reverse=True, limit=limit)] == wanted[::-1][:limit]
    with store.transaction() as t:
        assert [key for key, _ in t.scan()] == whole
        t[names[5]] = "changed"
    some = names[:count // 2]
    assert store.delete_many(some) == len(some)
    store.clear(names[0][:HEAD + 1])
    assert list(store) == sorted(beside[:1] + beside[2:])


def test_the_longest_key_and_what_is_longer(make, mode):
    store = make(keys=mode)
    codec = KeyCodec(mode).encode
    fill = "k" if mode != "bytes" else b"k"
    longest = fill * (65535 - len(codec(fill * 600)) + 600)
    assert len(codec(longest)) == 65535
    store.set(longest, b"v", ttl=100)
    assert store[longest] == b"v" and list(store) == [longest] and longest + fill > longest
    for call in (store.get, store.delete, store.__contains__, lambda k: store.set(k, b""), store.incr, store.reader,
                 lambda k: store.get_many([k]), lambda k: store.set_many({k: b""}), lambda k: store.touch(k, 1)):
        with pytest.raises(KeyTooLongError, match="65536 bytes long.*65535.*shorten"):
            call(longest + fill)
    assert store.delete(longest) and len(store) == 0


def test_single_operations(make):
    clock = ManualClock()
    store = make(clock=clock)
    key, other = group(2)
    events = []
    store.subscribe("*", events.append, values=True)
    assert store.add(key, 1) and not store.add(key, 2) and store.incr(key, 5) == 6 and store.incr(other) == 1
    assert store.replace(key, 6, "text") and not store.replace(key, 6, "other")
    assert store.touch(key, 10) and store.ttl(key) == pytest.approx(10) and store.ttl(other) is None
    assert store.pop(other) == 1 and store.pop(other, None) is None and store.setdefault(other, 3) == 3
    store.set(other, 3, tags=["t"], pin=True)
    store.invalidate("t")
    assert other not in store and len(store) == 2
    clock.advance(11)
    assert store.expire() == 1 and len(store) == 1 and store.verify()["checked"] == 1
    store.flush()
    assert [(e.op, e.key, e.reason) for e in events[:2] + events[-1:]] == [
        ("set", key, "user"), ("set", key, "user"), ("delete", key, "expire")]
    assert store.get_or_compute(key, lambda: "made", ttl=5) == store.get_or_compute(key, lambda: "again") == "made"


def test_expiry_by_the_way_of_a_write_and_of_many_at_once(make):
    clock = ManualClock()
    store = make(clock=clock)
    names = group(700, tail=3000)
    seen = []
    store.subscribe("*", seen.append)
    store.set_many({name: b"v" for name in names}, ttl=1)
    clock.advance(2)
    store["k"] = b"v"
    assert len(store) == 697
    assert store.expire() == 696 and list(store) == ["k"] and store.verify()["checked"] == 1
    store.flush()
    assert sorted(e.key for e in seen if e.op == "delete") == names


def test_transactions_see_long_keys_and_their_conflicts(make):
    store = make()
    a, b, c = group(3)
    with store.transaction() as t:
        t[a], t["short"] = 1, 2
        assert t.get(b) is None and list(t.scan()) == [(a, 1), ("short", 2)]
    for spoil in (lambda: store.set(a, 9), lambda: store.delete(a)):
        with pytest.raises(ConflictError, match="hhh"):
            with store.transaction() as t:
                t.get(a)
                t["other"] = 1
                spoil()
    store.set_many({a: 1, c: 3})
    with pytest.raises(ConflictError, match="range"):
        with store.transaction() as t:
            assert [key for key, _ in t.scan(a[:HEAD])] == [a, c]
            t["other"] = 1
            store[b] = 2
    with store.transaction() as t:
        assert [key for key, _ in t.scan(a[:HEAD])] == [a, b, c]
        assert t.delete(b)
    assert list(store.scan("h")) == [(a, 1), (c, 3)]


def test_the_journal_tells_the_whole_key(make):
    store = make(journal=True)
    a, b, c = group(3, tail=3000)
    store[a] = 1
    store.set_many({b: 2, c: 3, "k": 4})
    store[a] = 5
    store.delete(b)
    store.clear(a[:HEAD + 2])
    told = list(store.changes())
    assert [(change.op, change.key) for change in told] == [
        ("set", a), ("set", b), ("set", c), ("set", "k"), ("set", a), ("delete", b), ("clear", a[:HEAD + 2])]
    assert told[0].base == 0 and told[4].base == told[0].hash != told[4].hash and told[5].base == told[1].hash
    assert list(store) == ["k"] and store.verify()["checked"] == 1


def test_large_values_and_streams(make):
    store = make()
    a, b = group(2)
    big = random.Random(1).randbytes(3 << 20)
    store[a] = big
    with store.writer(b) as file:
        file.write(big[:300_000])
        file.write(big[300_000:])
    assert store[a] == store[b] == big and store.reader(b).read() == big
    assert list(store.get_packed([a, b])) == [big, big] and store.verify()["checked"] == 2
    store[a] = b"small"
    assert store.pop(b) == big and store.stats()["chunks"] == 0
    store[b] = big
    store.touch(b, 100)
    assert store[b] == big
    store.clear("h")
    assert store.stats()["chunks"] == 0 and store.verify()["checked"] == 0


def test_a_budget_evicts_long_keys(make):
    events = []
    store = make(max_bytes=4 << 20, policy="fifo")
    store.subscribe("*", events.append)
    names = group(1500, tail=2000)
    for name in names:
        store[name] = b"v" * 2000
    assert store.stats()["bytes"] <= 4 << 20 and 0 < len(store) < 1500
    held = list(store)
    assert held == names[-len(held):] and store.verify()["checked"] == len(held)
    store.flush()
    assert [e.key for e in events if e.reason == "evict"] == names[:1500 - len(held)]
    assert store.get_many(names[-3:]) == [b"v" * 2000] * 3
    store.set_many({name: b"w" for name in names[:50]})
    assert store.stats()["bytes"] <= 4 << 20 and store.get_many(names[:50]) == [b"w"] * 50


def test_a_store_with_long_keys_is_given_a_budget(make):
    store = make()
    names = [*group(20), "a", "z"]
    store.set_many({name: b"v" for name in names})
    store.close()
    store = make(max_bytes=2 << 20)
    for i in range(3000):
        store[f"n{i}"] = b"v" * 1000
    assert not set(names) & set(store) and store.stats()["evictions"] > 22 and store.verify()["checked"] == len(store)


def test_a_dictionary_for_a_long_prefix(make):
    store = make(compression="zstd")
    prefix = "p" * 600
    verses = [f"In the beginning {i} was the Word {i * 7919} and the Word was with God {i ** 3}" for i in range(3000)]
    made = store.train(prefix, samples=verses, size=4096)
    store[prefix + "1"], store["p" * 599 + "q"] = verses[5], verses[5]
    assert store[prefix + "1"] == store["p" * 599 + "q"] == verses[5] and made["dictionary"] == 1
    path = store.path
    store.close()
    data = open(f"{path}/data.mdb", "rb").read()
    assert data.count(b"was the Word 39595") == 1, "only the one without the dictionary is plain"
    assert make(compression="zstd")[prefix + "1"] == verses[5]
    with pytest.raises(KeyTooLongError, match="prefix"):
        make("other", compression="zstd").train("p" * 65536, samples=verses)


def test_copies_hold_long_keys(make, tmp_path):
    store = make()
    model = {name: name[-5:] for name in [*group(100), "short"]}
    store.set_many(model)
    store.backup(tmp_path / "copy")
    path = store.path
    store.close()
    compact(path)
    for name in ("store", "copy"):
        assert dict(make(name).scan()) == model and make(name).verify()["checked"] == 101


def test_a_memory_tier_over_long_keys(tmp_path):
    with d43.open(tmp_path / "s", durability="none", memory="1MB") as store:
        a, b = group(2)
        store[a], store[b] = [1], b"2"
        assert store[a] == [1] and store.get_many([a, b]) == [[1], b"2"] and a in store
        with d43.LmdbStore(tmp_path / "s", durability="none") as other:
            other[a] = [2]
            assert store[a] == [2]
            other.delete(b)
            assert store.get(b) is None and store.get_many([a, b]) == [[2], None]
        assert list(store.scan()) == [(a, [2])] and store.verify()["checked"] == 1


def test_keys_of_one_hash_in_a_memory_tier_with_a_journal(tmp_path):
    """What another changed is dropped by the whole key, and its twin stays."""
    a, b = twins(2)
    with d43.open(tmp_path / "s", durability="none", memory="1MB", keys="bytes", journal=True) as store, \
            d43.LmdbStore(tmp_path / "s", durability="none", keys="bytes") as other:
        store[a], store[b] = "a", "b"
        assert store.get_many([a, b]) == ["a", "b"]
        other[a] = "changed"
        assert store.get_many([a, b]) == ["changed", "b"]
        assert store.stats()["coherence"]["emptied"] <= 1
