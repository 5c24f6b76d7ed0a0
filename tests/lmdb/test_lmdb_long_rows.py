"""The table of long keys: what docs/format.md says of it, keys with one hash, and rows that are not what they say."""

import pathlib
import struct

import pytest
import xxhash
from long_keys import HEAD, group, put, rows, twins
from lmdb_tables import tables

from door43fast.errors import CorruptError, FormatError, KeyTooLongError
from door43fast.lmdb import LmdbStore

LONG = 0x80000


def place(key, number=0):
    return key[:HEAD] + xxhash.xxh3_128_digest(key) + bytes([number])


def taken_apart(row):
    size, = struct.unpack_from("<I", row)
    return row[4:4 + size], row[4 + size:]


def sound(key, frame):
    return struct.unpack_from("<Q", frame)[0] == xxhash.xxh3_64_intdigest(frame[8:], seed=xxhash.xxh3_64_intdigest(key))


def test_rows_are_as_the_format_says(make, judge):
    store = make()
    keys = ["k" * 512, "k" * 513, "é" * 400, "x" * 65535]
    store["k" * 511] = b"short"
    path = store.path
    store.close()
    assert int.from_bytes(tables(judge, path)["meta"][b"door43fast"], "little") == 1, "no long key, no mark"
    store = make()
    store.set_many({key: key[:3].encode() for key in keys})
    store.set("k" * 600, "text", ttl=1e6)
    store.close()
    held = rows(judge, path)
    assert set(held) == {place(key.encode()) for key in [*keys, "k" * 600]} and all(len(key) == 511 for key in held)
    for key, row in held.items():
        name, frame = taken_apart(row)
        assert key == place(name) and sound(name, frame)
        assert frame[16:] == name.decode()[:3].encode() or frame[9] == 1
    main = tables(judge, path)
    assert int.from_bytes(main["meta"][b"door43fast"], "little") == 1 | LONG
    assert list(main["data"]) == [b"k" * 511]
    assert list(main["expiry"].values()) == [b"k" * 600]
    assert main["main"] == ["chunks", "data", "expiry", "long", "meta", "tags"]


def test_what_others_write_by_the_format_is_read(make, judge):
    store = make()
    store["a" * 600] = b"ours"
    path = store.path
    store.close()
    key = b"a" * 599 + b"b"
    frame = bytes([1, 0, 0, 0, 0, 0, 0, 0]) + b"theirs"
    frame = struct.pack("<Q", xxhash.xxh3_64_intdigest(frame, seed=xxhash.xxh3_64_intdigest(key))) + frame
    put(judge, path, (b"", place(key), struct.pack("<I", len(key)) + key + frame))
    store = make()
    assert list(store.scan()) == [("a" * 600, b"ours"), (key.decode(), b"theirs")]
    assert store[key.decode()] == b"theirs" and store.verify()["checked"] == 2


def test_keys_with_one_hash_are_told_apart(make, judge):
    names = twins(6)
    assert len({xxhash.xxh3_128_digest(name) for name in names}) == 1 < len(set(names))
    assert len({xxhash.xxh3_64_digest(name) for name in names}) == 1
    store = make(keys="bytes")
    model = {}
    for i, name in enumerate(names[:4]):
        assert store.get(name) is None and name not in store and not store.delete(name)
        store[name] = model[name] = b"%d" % i
        assert dict(store.scan()) == model
    path = store.path
    store.close()
    assert set(rows(judge, path)) == {place(names[0], number) for number in range(4)}
    store = make(keys="bytes")
    assert store.get_many(names) == [b"0", b"1", b"2", b"3", None, None]
    assert store.contains_many(names) == [True] * 4 + [False] * 2
    # Where one in the midst is gone, those behind it are found still, and its number is the next one's.
    assert store.delete(names[1]) and store.delete(names[0])
    assert store.get_many(names) == [None, None, b"2", b"3", None, None]
    store[names[5]], store[names[3]] = b"5", b"three"
    assert list(store.scan()) == [(names[2], b"2"), (names[3], b"three"), (names[5], b"5")]
    assert list(store.scan(reverse=True, stop=names[5])) == [(names[3], b"three"), (names[2], b"2")]
    assert store.verify()["checked"] == 3
    assert store.pop(names[2]) == b"2" and store.touch(names[5], 100) and store.ttl(names[5]) > 90
    store.close()
    assert set(rows(judge, path)) == {place(names[0], number) for number in (0, 3)}


def test_more_keys_of_one_hash_than_there_are_numbers_are_refused(make):
    store = make(keys="bytes")
    names = twins(257)
    store.set_many({name: b"" for name in names[:256]})
    for write in (lambda: store.set(names[256], b""), lambda: store.set_many({names[256]: b"", b"k": b""})):
        with pytest.raises(KeyTooLongError, match="256 other keys.*shorten"):
            write()
    assert len(store) == store.count() == 256 and names[256] not in store and not store.delete(names[256])
    store[names[7]] = b"again"
    assert store.delete(names[8]) and store.set(names[256], b"now") is None
    assert list(store) == sorted([*names[:8], *names[9:]]) and store.verify()["checked"] == 256


READS = {
    "get": lambda s, k: s.get(k), "item": lambda s, k: s[k], "many": lambda s, k: s.get_many(["a", k]),
    "in": lambda s, k: k in s, "contains_many": lambda s, k: s.contains_many([k]), "ttl": lambda s, k: s.ttl(k),
    "packed": lambda s, k: s.get_packed([k]), "scan": lambda s, k: list(s.scan()),
    "reverse": lambda s, k: list(s.scan(reverse=True)), "keys": lambda s, k: list(s.keys("h")),
    "count": lambda s, k: s.count(), "scan_packed": lambda s, k: list(s.scan_packed()), "pop": lambda s, k: s.pop(k),
    "replace": lambda s, k: s.replace(k, b"", b""), "add": lambda s, k: s.add(k, b""),
    "reader": lambda s, k: s.reader(k), "transaction": lambda s, k: s._read(k), "verify": lambda s, k: s.verify(),
}


def hostile(key, row):
    """Rows in the place of a sound one, each with what is wrong about it."""
    name, frame = taken_apart(row)
    size = struct.pack("<I", len(name))
    other = name[:-1] + b"!"
    return {
        "empty": b"", "a part of the size": b"\x01\x02", "nothing but the size": size,
        "the size of a short key": struct.pack("<I", 511) + row[4:],
        "a size of nothing": bytes(4) + row[4:], "the largest size": b"\xff" * 4 + row[4:],
        "a size beyond the bound": struct.pack("<I", 65536) + b"h" * 65536 + frame,
        "a size beyond the row": struct.pack("<I", len(row)) + row[4:],
        "one byte more": struct.pack("<I", len(name) + 1) + row[4:],
        "one byte less": struct.pack("<I", len(name) - 1) + row[4:],
        "another key": size + other + frame, "another head": size + b"!" + name[1:] + frame,
        "no frame": size + name, "half a frame": size + name + frame[:10],
        "a flipped bit": row[:-1] + bytes([row[-1] ^ 1]),
    }


@pytest.mark.parametrize("what", list(hostile(b"", struct.pack("<I", 600) + b"h" * 600 + b"f" * 30)))
def test_a_hostile_row_is_corrupt_for_every_way_of_reading_and_can_be_written_over(make, judge, what):
    store = make()
    names = group(3)
    store.set_many({name: b"value" for name in ["a", *names]})
    path = store.path
    store.close()
    at = place(names[1].encode())
    bad = hostile(at, rows(judge, path)[at])[what]
    put(judge, path, (at, at, bad))
    store = make()
    assert store[names[0]] == b"value" and store.get_many(["a", names[2]]) == [b"value"] * 2
    for name, read in READS.items():
        with pytest.raises(CorruptError):
            pytest.fail(f"{name} gave {read(store, names[1])!r}")
    for name in ("get", "many", "in", "packed"):
        with pytest.raises(CorruptError) as caught:
            READS[name](store, names[1])
        assert caught.value.key == names[1]
    store[names[1]] = b"new"
    assert store[names[1]] == b"new" and store.verify()["checked"] == 4
    store.close()
    put(judge, path, (at, at, bad))
    store = make()
    assert store.delete(names[1]) and list(store) == ["a", names[0], names[2]]
    with pytest.raises(KeyError):
        store.ttl("nothing")
    assert store.verify()["checked"] == 3


@pytest.mark.parametrize("wrong", ["short", "long head", "number", "hash"])
def test_a_row_in_the_place_of_another_is_found_by_verify(make, judge, wrong):
    store = make()
    name = group(1)[0].encode()
    store[name.decode()] = b"value"
    path = store.path
    store.close()
    at = place(name)
    row = rows(judge, path)[at]
    put(judge, path, (at, {"short": at[:100], "long head": b"i" + at[1:], "number": at[:-1] + b"\x07",
                           "hash": at[:500] + b"!" + at[501:]}[wrong], row))
    store = make()
    if wrong == "number":           # that is where it would be if six others had come and gone
        assert store[name.decode()] == b"value" and store.verify()["checked"] == 1
        return
    for read in (store.verify, lambda: list(store), lambda: list(store.scan(reverse=True)), store.count):
        with pytest.raises(CorruptError):
            read()
    store.clear()
    assert len(store) == 0 and store.verify()["checked"] == 0


def test_verify_finds_a_key_that_is_there_twice(make, judge):
    store = make()
    name = group(1)[0]
    store[name] = b"value"
    path = store.path
    store.close()
    at = place(name.encode())
    row = rows(judge, path)[at]
    put(judge, path, (b"", at[:-1] + b"\x01", row))
    with pytest.raises(CorruptError, match="is not found by its key"):
        make().verify()


def test_a_file_that_others_wrote_to_has_its_long_keys_checked_at_the_opening(make):
    """A record whose row is damaged may be the one that is asked for: no other key is missing for sure."""
    store = make()
    names = group(3)
    store.set_many({name: b"value" for name in names})
    file = pathlib.Path(store.path) / "data.mdb"
    store.close()
    at = place(names[1].encode())
    file.write_bytes(file.read_bytes().replace(at, at[:500] + b"!" + at[501:]))
    store = make()
    for missing in (names[1], "another", "another" * 100):
        with pytest.raises(CorruptError, match="may have been"):
            store.get(missing)
    assert store[names[0]] == b"value"


OLD = """
import lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as txn:
    txn.drop(env.open_db(b"long", txn))
"""


def test_a_store_of_before_gets_the_table(make, judge):
    store = make()
    store["a"] = b"1"
    path = store.path
    store.close()
    judge(OLD, path)
    assert tables(judge, path)["main"] == ["chunks", "data", "expiry", "meta", "tags"]
    with LmdbStore(path, readonly=True, durability="none") as reading:
        assert reading["a"] == b"1" and list(reading) == ["a"] and len(reading) == reading.count() == 1
        assert reading.get("a" * 600) is None and reading.get_many(["a", "a" * 600]) == [b"1", None]
        assert reading.verify()["checked"] == 1
    store = make()
    store["a" * 600] = b"2"
    assert list(store) == ["a", "a" * 600]


WRITE = """
import sys
from door43fast.lmdb import LmdbStore
with LmdbStore(sys.argv[1], durability="none") as store:
    store["a" * 600] = b"2"
"""


def test_who_opened_a_store_of_before_to_read_is_told_of_long_keys(make, judge):
    """It has no table for them, and says so instead of that they are not there."""
    store = make()
    store["a"] = b"1"
    path = store.path
    store.close()
    judge(OLD, path)
    with LmdbStore(path, readonly=True, durability="none") as reading:
        judge(WRITE, path)
        for read in (lambda: reading.get("a" * 600), lambda: list(reading), reading.count, lambda: len(reading),
                     lambda: reading.get_many(["a", "b" * 600]), lambda: "a" * 600 in reading):
            with pytest.raises(FormatError, match="open it again"):
                read()
        assert reading["a"] == b"1"
    with LmdbStore(path, readonly=True, durability="none") as reading:
        assert reading["a" * 600] == b"2"
