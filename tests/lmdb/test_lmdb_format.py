"""What lies on disk is what docs/format.md says: read by py-lmdb, checked by PyPI's xxhash and zstandard."""

import struct

import pytest
import xxhash
import zstandard
from lmdb_tables import tables

from door43fast.native.clock import ManualClock
from door43fast.tagged import tags_of

def sound(key, frame):
    """The checksum, recomputed by another hand."""
    return struct.unpack_from("<Q", frame)[0] == xxhash.xxh3_64_intdigest(frame[8:], seed=xxhash.xxh3_64_intdigest(key))


def test_the_tables_and_the_plain_frame(make, judge):
    store = make()
    store["k"] = b"value"
    store["t"] = "text"
    store["n"] = {"a": 1}
    path = store.path
    store.close()
    held = tables(judge, path)
    assert held["main"] == ["chunks", "data", "expiry", "long", "meta", "tags"]
    assert held["meta"][b"door43fast"] == (1).to_bytes(4, "little")
    assert held["meta"][b"keys"] == b"str"
    assert len(held["meta"][b"store"]) == 16
    assert held["data"][b"k"][8:] == bytes([1, 0, 0, 0, 0, 0, 0, 0]) + b"value"
    assert held["data"][b"t"][8:] == bytes([1, 0, 1, 0, 0, 0, 0, 0]) + b"text"
    assert held["data"][b"n"][10] == 2
    assert all(sound(key, frame) for key, frame in held["data"].items())
    assert held["expiry"] == held["tags"] == {}


def test_deadline_tags_pin_and_stale_window(make, judge):
    clock = ManualClock()
    store = make(clock=clock)
    store.invalidate("red")
    store.set("k", b"v", ttl=2, tags=["red", "blue"], pin=True)
    path = store.path
    now = round(clock.seconds * 1e9)
    store.close()
    held = tables(judge, path)
    frame = held["data"][b"k"]
    assert sound(b"k", frame)
    assert frame[9] == 1 | 4 | 8 | 128 and frame[11] == 2
    assert struct.unpack_from("<q", frame, 16)[0] == now + 2_000_000_000
    red, blue = (xxhash.xxh3_128_digest(name) for name in (b"red", b"blue"))
    assert frame[24:72] == red + struct.pack("<Q", 1) + blue + struct.pack("<Q", 0)
    names = struct.pack("<I", 3) + b"red" + struct.pack("<I", 4) + b"blue"
    assert frame[72:] == b"v" + names + struct.pack("<I", len(names))
    assert held["expiry"] == {struct.pack(">Q", now + 2_000_000_000) + xxhash.xxh3_128_digest(b"k"): b"k"}
    generation = struct.pack("<Q", 1)
    checksum = xxhash.xxh3_64_intdigest(generation, seed=xxhash.xxh3_64_intdigest(red))
    assert held["tags"] == {red: generation + struct.pack("<Q", checksum)}


NAMELESS = """
import lmdb, struct, sys, xxhash
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as txn:
    data = env.open_db(b"data", txn, create=False)
    frame = txn.get(b"k", db=data)
    size, = struct.unpack("<I", frame[-4:])
    rest = frame[8:9] + bytes([frame[9] & ~128]) + frame[10:-4 - size]
    sum = xxhash.xxh3_64_intdigest(rest, seed=xxhash.xxh3_64_intdigest(b"k"))
    txn.put(b"k", struct.pack("<Q", sum) + rest, db=data)
env.close()
"""


def test_a_record_from_before_the_names_of_tags_does_not_pass_for_one_without(make, judge):
    store = make()
    store.set("k", 5, tags=("red", "blue"), ttl=100)
    store.close()
    judge(NAMELESS, store.path)
    store = make()
    assert tags_of(store, ["k", "none"]) == [None, ()]
    assert store["k"] == 5 and store.incr("k") == 6 and store.touch("k", 50) and tags_of(store, ["k"]) == [None]
    assert store["k"] == 6 and store.verify()["errors"] == []
    store.invalidate("blue")
    assert "k" not in store and tags_of(store, ["k"]) == [()]
    store.set("k", 7, tags=("red",))
    assert tags_of(store, ["k"]) == [("red",)]


def test_tags_of_a_large_and_of_a_compressed_value(make):
    store = make(compression="zstd")
    large, text = bytes(range(256)) * 8192, b"In the beginning " * 100
    store.set("large", large, tags=("x", "long" * 500))
    store.set("text", text, tags=("y",))
    with store.writer("stream", tags=("z", "x")) as file:
        file.write(b"piece")
    assert store["large"] == large and store["text"] == text and store["stream"] == b"piece"
    assert store.get_packed(["stream", "text"])[1] == text
    assert tags_of(store, ["large", "text", "stream"]) == [("x", "long" * 500), ("y",), ("z", "x")]
    with pytest.raises(ValueError, match="1048576 bytes together"):
        store.set("text", b"", tags=("a" * (1 << 20),))
    assert store["text"] == text and store.verify()["errors"] == []


def test_a_compressed_value_is_a_zstd_frame_of_the_size_that_is_recorded(make, judge):
    store = make(compression="zstd")
    text = b"In the beginning " * 100
    store["k"] = text
    store["short"] = b"x" * 20
    path = store.path
    store.close()
    held = tables(judge, path)
    frame = held["data"][b"k"]
    assert frame[9] == 16 and len(frame) < 100
    assert struct.unpack_from("<Q", frame, 16)[0] == len(text)
    assert zstandard.ZstdDecompressor().decompress(frame[24:]) == text
    assert held["data"][b"short"][9] == 0
    assert make().get("k") == text     # a store without compression reads it


def test_integers_are_eight_bytes_in_the_order_of_the_numbers(make, judge):
    store = make(keys="int")
    numbers = [-2**63, -1, 0, 1, 2**63 - 1]
    store.set_many((n, b"") for n in reversed(numbers))
    assert list(store) == numbers
    path = store.path
    store.close()
    assert list(tables(judge, path)["data"]) == [(n + 2**63).to_bytes(8, "big") for n in numbers]


def test_what_py_lmdb_finds_damaged_is_nothing(make, judge):
    store = make()
    for i in range(200):
        store[f"k{i}"] = bytes(i * 50)
    store.delete_many([f"k{i}" for i in range(0, 200, 3)])
    store.clear("k1")
    path = store.path
    store.close()
    assert judge("import sys, lmdb.verify as v; sys.argv[1:] = [sys.argv[1]]; import json, subprocess; "
                 "r = subprocess.run([sys.executable, '-m', 'lmdb', 'verify', '-e', sys.argv[1]], "
                 "capture_output=True, text=True); json.dump([r.returncode, r.stdout], sys.stdout)",
                 path) == [0, "verify: OK\n"]
