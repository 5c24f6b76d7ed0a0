"""Compression by trained dictionaries: what it saves, who can read it, and what damage does to it."""

import json
import multiprocessing
import random
import struct
import threading

import pytest
import xxhash
import zstandard
from lmdb_tables import tables

import door43fast as d43

WORDS = "ὁ καί αὐτός σύ δέ ἐν ἐγώ εἰμί λέγω εἰς οὐ ὅς οὗτος θεός ὅτι".split()


def verse(i):
    """Text with the markup of an aligned verse: long attributes that repeat from verse to verse."""
    rng = random.Random(i)
    parts = []
    for n in range(rng.randrange(3, 12)):
        word = rng.choice(WORDS)
        parts.append(f'\\zaln-s |x-strong="G{rng.randrange(9999)}" x-lemma="{word}" x-morph="Gr,N,,,,,NMS," '
                     f'x-occurrence="{n % 3 + 1}" x-content="{word}"\\*\\w word{rng.randrange(500)}\\w*\\zaln-e\\*')
    return "\n".join(parts)


VERSES = {f"en_ult@83/TIT/{i:04}": verse(i) for i in range(2000)}


@pytest.fixture
def trained(make):
    store = make(compression="zstd")
    store.train("en_ult@83/", samples=list(VERSES.values())[:1000])
    store.set_many(VERSES)
    return store


def stored(judge, path):
    return tables(judge, path)["data"]


def test_a_dictionary_makes_short_values_several_times_smaller(make, trained, judge):
    plain = make("plain", compression="zstd")
    plain.set_many(VERSES)
    paths = trained.path, plain.path
    trained.close()
    plain.close()
    small, large = (sum(map(len, stored(judge, path).values())) for path in paths)
    raw = sum(len(text.encode()) for text in VERSES.values())
    assert raw / small > 1.7 * raw / large > 5


def test_the_figures_of_a_training(make):
    store = make(compression="zstd")
    store.set_many(VERSES)
    told = store.train(size=20_000)
    assert told["dictionary"] == 1 and told["bytes"] <= 20_000 and told["samples"] <= len(VERSES)
    assert told["ratio"] > 4
    assert store.train("en_ult@83/")["dictionary"] == 2


def test_zstandard_reads_a_value_with_the_dictionary_that_its_frame_names(trained, judge):
    path = trained.path
    trained.close()
    held = tables(judge, path)
    row = held["meta"][b"dictionary\0\0\0\1"]
    size, = struct.unpack_from("<H", row, 8)
    assert struct.unpack_from("<Q", row)[0] == xxhash.xxh3_64_intdigest(
        row[8:], seed=xxhash.xxh3_64_intdigest(b"dictionary\0\0\0\1"))
    assert row[10:10 + size] == b"en_ult@83/"
    judge = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(row[10 + size:]))
    for key, text in VERSES.items():
        frame = held["data"][key.encode()]
        assert frame[9] == 16 and struct.unpack_from("<I", frame, 12)[0] == 1
        assert judge.decompress(frame[24:]).decode() == text


@pytest.mark.parametrize("read", [
    lambda s: {key: s[key] for key in s}, lambda s: dict(s.scan()),
    lambda s: dict(zip(VERSES, s.get_many(VERSES), strict=True)), lambda s: {key: s.pop(key) for key in VERSES},
], ids=["get", "scan", "get_many", "pop"])
def test_every_way_of_reading_a_store_that_was_opened_anew(make, trained, read):
    trained.close()
    assert read(make()) == VERSES       # also one that does not compress itself


def test_bytes_are_packed(make):
    store = make(compression="zstd")
    values = {key: text.encode() for key, text in VERSES.items()}
    store.train(samples=values.values())
    offsets = [0]
    for value in values.values():
        offsets.append(offsets[-1] + len(value))
    store.set_packed(list(values), b"".join(values.values()), offsets)
    assert list(store.get_packed(list(values))) == list(values.values())
    assert [bytes(v) for _, chunk in store.scan_packed() for v in chunk] == list(values.values())
    assert store.stats()["bytes"] < sum(map(len, values.values()))


def test_the_longest_prefix_counts_and_the_last_training(make, judge):
    store = make(compression="zstd")
    sample = list(VERSES.values())
    for prefix in ("", "a/", "a/b/", "a/"):
        store.train(prefix, samples=sample[:500], size=4096)
    for key in ("x", "a/x", "a/b/x"):
        store[key] = sample[0]
    with store.transaction() as t:
        t["a/t"] = sample[1]
    store.touch("a/x", 1000)
    path = store.path
    assert store["a/x"] == sample[0] and store["a/t"] == sample[1]
    store.close()
    held = stored(judge, path)
    assert {key: struct.unpack_from("<I", held[key], 12)[0] for key in held} == {
        b"x": 1, b"a/x": 4, b"a/b/x": 3, b"a/t": 4}


def test_old_values_stay_readable_after_another_training(make):
    store = make(compression="zstd")
    store.train(samples=VERSES.values(), size=8192)
    store["old"] = verse(1)
    store.train(samples=[verse(i)[::-1] for i in range(1000)], size=8192)
    store["new"] = verse(2)
    assert (store["old"], store["new"]) == (verse(1), verse(2))
    store.close()
    assert dict(make().scan()) == {"old": verse(1), "new": verse(2)}


def elsewhere(path):
    with d43.LmdbStore(path, compression="zstd", durability="none") as store:
        store.train("t/", samples=VERSES.values(), size=8192)
        store["t/1"] = verse(1)


def test_what_another_process_trained_is_read_and_then_used(make, judge):
    store = make(compression="zstd")
    store["before"] = b"x" * 1000
    process = multiprocessing.get_context("spawn").Process(target=elsewhere, args=(store.path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert store.get_many(["t/1", "before"]) == [verse(1), b"x" * 1000]
    store["t/2"] = verse(2)
    path = store.path
    store.close()
    assert struct.unpack_from("<I", stored(judge, path)[b"t/2"], 12)[0] == 1


def test_threads_meet_a_new_dictionary_at_once(make, trained):
    trained.close()
    store, wrong = make(), []

    def work():
        if store.get_many(VERSES) != list(VERSES.values()):
            wrong.append("other bytes")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_tiered_store_trains_its_slow_tier(tmp_path):
    with d43.open(tmp_path / "s", compression="zstd") as store:
        store.set_many(VERSES)
        assert store.train()["ratio"] > 4
        store.set_many(VERSES)
        assert dict(store.scan()) == VERSES


def test_refusals(make):
    with pytest.raises(d43.ConfigError, match='compression="zstd"'):
        make("plain").train()
    store = make(compression="zstd")
    with pytest.raises(ValueError, match="too few"):
        store.train()
    with pytest.raises(ValueError, match="too few"):
        store.train(samples=[b"a", "b"])
    for size in (1, 1 << 30, "8", True, None):
        with pytest.raises(d43.ConfigError, match="size="):
            store.train(samples=VERSES.values(), size=size)
    assert store.train(samples=VERSES.values())["dictionary"] == 1
    store.close()
    with pytest.raises(d43.ClosedError):
        store.train()
    with pytest.raises(d43.ReadOnlyError):
        make(compression="zstd", readonly=True).train(samples=VERSES.values())


DAMAGE = """
import json, sys
import lmdb
with lmdb.open(sys.argv[1], max_dbs=16) as env:
    meta = env.open_db(b"meta")
    with env.begin(write=True, db=meta) as txn:
        name = b"dictionary\\0\\0\\0\\1"
        if sys.argv[2] == "gone":
            txn.delete(name)
        else:
            row = bytearray(txn.get(name))
            row[5000] ^= 1
            txn.put(name, bytes(row))
"""


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_damaged_dictionary_is_an_error_and_never_other_bytes(make, trained, judge, damage):
    trained["plain"] = b"small"
    path = trained.path
    trained.close()
    judge(DAMAGE, path, damage)
    store = make()
    key = next(iter(VERSES))
    for call in (lambda: store[key], lambda: store.get_many([key]), lambda: list(store.scan()), lambda: store.pop(key)):
        with pytest.raises(d43.CorruptError, match="dictionary"):
            call()
    with pytest.raises(d43.CorruptError, match="dictionary"):
        store.verify()
    assert store["plain"] == b"small"
    assert json.dumps(store.get("absent")) == "null"
