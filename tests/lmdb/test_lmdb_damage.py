"""One flipped bit: an error that names the record, and never other bytes."""

import pathlib
import random

import pytest

from door43fast.errors import CorruptError
from door43fast.lmdb import LmdbStore


def flip(path, needle, offset, bit):
    """Flip one bit of data.mdb, ``offset`` bytes from where ``needle`` stands."""
    file = pathlib.Path(path) / "data.mdb"
    data = bytearray(file.read_bytes())
    at = data.rindex(needle) + offset
    data[at] ^= 1 << bit
    file.write_bytes(data)


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}])
@pytest.mark.parametrize("where", ["payload", "header", "checksum"])
def test_a_flipped_bit_is_found_by_every_way_of_reading(make, options, where):
    store = make(**options)
    rng = random.Random(7)
    value = rng.randbytes(100_000)
    store["before"], store["hurt"], store["later"] = b"b", value, b"l"
    path = store.path
    store.close()
    start = value[:32]
    flip(path, start, {"payload": 50_000, "header": -3, "checksum": -16}[where], 3)
    store = make(**options)
    assert store["before"] == b"b" and store["later"] == b"l"
    for read in (lambda: store.get("hurt"), lambda: store["hurt"], lambda: store.get_many(["before", "hurt"]),
                 lambda: list(store.scan()), lambda: "hurt" in store, lambda: store.ttl("hurt"),
                 lambda: store.contains_many(["hurt"]), lambda: store.get_packed(["hurt"]),
                 lambda: list(store.scan_packed()), lambda: store.pop("hurt"), store.count, store.verify):
        with pytest.raises(CorruptError, match="hurt"):
            read()
    assert store.delete("hurt")
    assert store.verify()["checked"] == 2
    assert store.get("hurt") is None


def test_a_damaged_record_can_be_set_anew(make):
    store = make()
    store["hurt"] = b"needle" * 1000
    path = store.path
    store.close()
    flip(path, b"needle" * 100, 5, 0)
    store = make()
    store.set("hurt", b"new", ttl=100)
    assert store["hurt"] == b"new" and store.verify()["checked"] == 1


def test_a_value_under_the_key_of_another_is_refused(make):
    """The checksum covers the key: two records whose places were exchanged do not pass for each other."""
    store = make()
    store["aaaaaaaa"], store["bbbbbbbb"] = b"first", b"second"
    path = pathlib.Path(store.path) / "data.mdb"
    store.close()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"aaaaaaaa", b"aaaaaaac"))
    store = make()
    with pytest.raises(CorruptError):
        store["aaaaaaac"]


def test_every_bit_of_a_small_record(tmp_path):
    with LmdbStore(tmp_path / "s", durability="none") as store:
        store.set("key", b"needle", tags=["t"], ttl=1e6)
    file = tmp_path / "s" / "data.mdb"
    whole = file.read_bytes()
    at = whole.rindex(b"needle")
    for bit in range(8 * (16 + 8 + 24 + 6)):
        hurt = bytearray(whole)
        hurt[at + 5 - bit // 8] ^= 1 << bit % 8
        file.write_bytes(hurt)
        with LmdbStore(tmp_path / "s", durability="none") as store:
            with pytest.raises(CorruptError):
                store["key"]


def test_verify_sees_a_row_of_the_expiry_table_that_is_missing(make, judge):
    store = make()
    store.set("k", b"v", ttl=1000)
    path = store.path
    store.close()
    judge("""
import lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as t:
    db = env.open_db(b"expiry", t)
    row, key = next(iter(t.cursor(db)))
    t.delete(row, db=db)
    t.put(row[:7] + b"\\xff" + row[8:], b"other", db=db)
""", path)
    store = make()
    with pytest.raises(CorruptError, match="2 of 1 records.*'k'.*no row in the table of deadlines"):
        store.verify()


@pytest.mark.parametrize("policy", ["clock", "fifo"])
def test_verify_sees_a_record_that_would_never_be_evicted(make, judge, policy):
    store = make(max_bytes=1 << 20, policy=policy)
    for start in range(0, 6000, 500):
        store.set_many({f"k{number}": b"v" * 100 for number in range(start, start + 500)})
        store.get_many([f"k{number}" for number in range(0, 6000, 2)])     # these are given another round
        store.set_many({f"{'long ' * 200}{number}": b"v" * 100 for number in range(start, start + 50)})
    assert store.stats()["evictions"] > 500
    last = next(reversed([key for key in store if key[0] == "k"]))
    store.set("pinned", b"v", pin=True)
    assert store.verify()["errors"] == []
    path = store.path
    store.close()
    judge("""
import lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as t:
    db = env.open_db(b"order", t)
    kept = [(place, row) for place, row in t.cursor(db) if row[8:] == sys.argv[2].encode()]
    for place, row in kept:
        t.delete(place, db=db)
""", path, last)
    store = make(max_bytes=1 << 20, policy=policy)
    with pytest.raises(CorruptError, match=rf"1 of \d+ records.*b'{last}' has no row in the order of eviction"):
        store.verify()
