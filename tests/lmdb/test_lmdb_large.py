"""Values of more than a mebibyte: kept in chunks, whole for every way of reading, and none left over."""

import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest
from lmdb_tables import tables

from door43fast.errors import ClosedError, ConflictError, CorruptError, KeyTooLongError, ReadOnlyError
from door43fast.lmdb import LmdbStore

MIB = 1 << 20
CHUNK = 262_144 - 32
BIG = random.Random(1).randbytes(3 * MIB + 7)
STREAM = int(os.environ.get("DOOR43FAST_STREAM_MIB", "96"))


def chunks(store):
    return store.stats()["chunks"]


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"journal": True}])
def test_every_way_of_reading_gives_the_whole(make, options, tmp_path):
    store = make(**options)
    held = {"bytes": BIG, "text": "héllo " * 400_000, "zeroes": bytes(5 * MIB), "list": [BIG, 1], "small": b"s"}
    for key, value in held.items():
        store[key] = value
    assert {key: store[key] for key in held} == held == dict(store.scan()) == dict(store.items())
    assert store.get_many([*held, "none"]) == [*held.values(), None]
    packed = store.get_packed(["bytes", "small", "zeroes", "none"])
    assert [packed[0], packed[1], packed[2]] == [BIG, b"s", bytes(5 * MIB)] and not packed.found[3]
    assert {key: value for names, values in store.scan_packed("z") for key, value in zip(names, values)} == {
        b"zeroes": bytes(5 * MIB)}
    with store.transaction() as t:
        assert t["bytes"] == BIG and dict(t.scan("z")) == {"zeroes": bytes(5 * MIB)}
        t["new"] = BIG
    assert store["new"] == BIG and store.verify()["checked"] == 6
    store.close()
    store = make(**options)
    assert store["list"] == [BIG, 1] and store.get("new") == BIG
    if "compression" in options:
        store.backup(tmp_path / "copy")
        assert (tmp_path / "copy" / "data.mdb").stat().st_size < 10 * MIB       # little but the three random ones


def test_packed_rows_of_one_size(make):
    import numpy

    store = make()
    store.set_packed(["a", "b"], BIG[:2 * MIB] + bytes(2 * MIB), [0, 2 * MIB, 4 * MIB])
    out = numpy.empty((2, 2 * MIB), dtype="uint8")
    store.get_packed(["a", "b"], out=out)
    assert out[0].tobytes() == BIG[:2 * MIB] and not out[1].any()
    store["c"] = BIG
    with pytest.raises(ValueError, match=str(len(BIG))):
        store.get_packed(["a", "c"], out=out)


def test_whatever_ends_a_value_takes_its_chunks_along(make):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    store = make(clock=clock)

    def ends(act, left=0):
        store.set_many({"k": BIG, "j": b"small"})
        assert chunks(store) == -(-len(BIG) // CHUNK) + 1
        act()
        assert chunks(store) == left, act
        assert store.verify()["errors"] == []

    ends(lambda: store.delete("k"))
    ends(lambda: store.set("k", b"small"))
    ends(lambda: store.set("k", BIG), left=14)
    ends(lambda: store.set_many({"k": b"small", "l": b"new"}))
    ends(lambda: store.delete_many(["k"]))
    ends(lambda: store.pop("k") == BIG or pytest.fail("pop gave something else"))
    ends(lambda: store.replace("k", BIG, b"small"))
    ends(lambda: store.clear())
    ends(lambda: store.clear("k"))
    ends(lambda: store.touch("k", 0))
    ends(lambda: store._commit({}, {"k": None}))
    ends(lambda: (store.touch("k", 100), store.touch("k", None)), left=14)
    ends(lambda: (store.set("k", BIG, ttl=10), clock.advance(11), store.expire()))
    ends(lambda: (store.set("k", BIG, ttl=10), clock.advance(11), store.set("other", b"reaps by the way")))
    store.set("k", BIG, tags=("t",))
    store.invalidate("t")
    assert store.get("k") is None and store.verify()["errors"] == []
    store["k"] = b"small"
    assert chunks(store) == 0


def test_what_another_process_wrote_in_chunks_is_seen_and_freed(make):
    """A store that has no large value of its own looks at the records that it replaces once there may be any."""
    ours = make()
    ours["k"] = b"small"
    code = "import sys; from door43fast.lmdb import LmdbStore\n" \
           "s = LmdbStore(sys.argv[1], durability='none'); s['k'] = bytes(3 << 20); s.close()"
    subprocess.run([sys.executable, "-c", code, ours.path], check=True, timeout=60)
    assert ours["k"] == bytes(3 * MIB) and chunks(ours) > 0
    ours["k"] = b"small"
    assert chunks(ours) == 0 and ours.verify()["errors"] == []


def test_only_a_store_with_large_values_is_marked(make, judge):
    store = make(journal=True)
    store["k"] = bytes(MIB)
    path = store.path
    store.close()
    assert tables(judge, path)["meta"][b"door43fast"] == (0x10001).to_bytes(4, "little")
    store = make()
    store["k"] = bytes(MIB + 1)
    store.close()
    assert tables(judge, path)["meta"][b"door43fast"] == (0x30001).to_bytes(4, "little")


def test_a_store_of_before_gets_the_table(make, judge):
    store = make()
    store["k"] = b"v"
    path = store.path
    store.close()
    judge("""
import lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as t:
    t.drop(env.open_db(b"chunks", t, create=False))
""", path)
    with LmdbStore(path, readonly=True) as before:
        assert before["k"] == b"v" and before.verify()["checked"] == 1
    store = make()
    store["big"] = BIG
    assert store["k"] == b"v" and store["big"] == BIG and store.verify()["checked"] == 2


def flip(path, needle, bit=3):
    file = pathlib.Path(path) / "data.mdb"
    data = bytearray(file.read_bytes())
    data[data.rindex(needle)] ^= 1 << bit
    file.write_bytes(data)


def test_a_flipped_bit_in_a_chunk_is_found_and_the_chunks_before_it_are_read(make):
    store = make()
    store["hurt"], store["well"] = BIG, b"w"
    path = store.path
    store.close()
    flip(path, BIG[2 * CHUNK + 100:2 * CHUNK + 120])
    store = make()
    for read in (lambda: store["hurt"], lambda: store.get_many(["hurt"]), lambda: list(store.scan()),
                 lambda: store.get_packed(["hurt"]), lambda: list(store.scan_packed()), lambda: store.pop("hurt")):
        with pytest.raises(CorruptError):
            read()
    with pytest.raises(CorruptError, match="chunk 2 of the record b'hurt'"):
        store.verify()
    with store.reader("hurt") as file:
        assert file.read(2 * CHUNK) == BIG[:2 * CHUNK]
        with pytest.raises(CorruptError, match="chunk 2 .*hurt"):
            file.read(1)
        file.seek(3 * CHUNK)
        assert file.read(10) == BIG[3 * CHUNK:3 * CHUNK + 10]
    assert store["well"] == b"w"
    store["hurt"] = BIG
    assert store["hurt"] == BIG and store.verify()["errors"] == []


TAMPER = """
import lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16)
with env.begin(write=True) as t:
    chunks, data = env.open_db(b"chunks", t), env.open_db(b"data", t)
    exec(sys.argv[2])
"""


@pytest.mark.parametrize(("act", "match"), [
    ("t.delete([k for k, v in t.cursor(chunks) if k[0] == 2][3], db=chunks)", "chunk 3 of the record b'k'"),
    ("[t.delete(k, db=chunks) for k in [k for k, v in t.cursor(chunks)]]", "large value of the record b'k' is missing"),
    ("t.delete([k for k, v in t.cursor(chunks) if k[0] == 1][0], db=chunks)",
     "large value of the record b'k' is missing"),
    ("t.delete(b'k', db=data)", "belongs to no record"),
])
def test_verify_finds_what_is_missing_and_what_is_left_over(make, judge, act, match):
    store = make()
    store["k"] = BIG
    path = store.path
    store.close()
    judge(TAMPER, path, act)
    with pytest.raises(CorruptError, match=match):
        make().verify()


# Streams


def test_a_reader_says_that_its_version_is_gone(make):
    store = make()
    store["k"] = BIG
    file = store.reader("k")
    assert file.read(10) == BIG[:10]
    assert not [one for one in store.readers() if one.transaction is not None]     # it keeps no page from writers
    store["k"] = bytes(3 * MIB)
    assert file.read(10) == BIG[10:20]          # of the chunk that it has
    file.seek(-10, os.SEEK_END)
    with pytest.raises(ConflictError, match="'k' was replaced or deleted"):
        file.read(1)


def test_a_compressed_value_is_read_and_written_in_chunks(make):
    store = make(compression="zstd")
    with store.writer("k") as file:
        for i in range(40):
            file.write(b"In the beginning %d " % i * 10_000)
    value = b"".join(b"In the beginning %d " % i * 10_000 for i in range(40))
    assert store["k"] == value and store.stats()["bytes"] < 2 * MIB
    with store.reader("k") as file:
        file.seek(5 * MIB)
        assert file.read(20) == value[5 * MIB:5 * MIB + 20]
    assert store.verify()["errors"] == []


@pytest.mark.parametrize("codec", ["raw", "pickle", "msgpack"])
@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_streams_of_a_store_with_a_codec(make, codec, size):
    """Where it makes something else of bytes, they go through it whole."""
    store = make(codec=codec)
    with store.writer("k") as file:
        file.write(BIG[:size])
    assert store["k"] == BIG[:size] and store.reader("k").read() == BIG[:size] and chunks(store) >= (size > MIB)


def test_refusals_come_before_the_first_byte(make, tmp_path):
    store = make()
    for key, options, error in (("x" * 65536, {}, KeyTooLongError), ("", {}, ValueError), (7, {}, TypeError),
                                ("k", {"ttl": "soon"}, TypeError), ("k", {"tags": [7]}, TypeError)):
        with pytest.raises(error):
            store.writer(key, **options)
    store["k"] = BIG
    with LmdbStore(store.path, readonly=True, durability="none") as reading:
        assert reading.reader("k").read() == BIG
        with pytest.raises(ReadOnlyError):
            reading.writer("k")


def locks(store):
    return [one.name for one in pathlib.Path(store.path).glob("writing-*")]


def test_events_journal_and_counts_of_a_stream(make):
    store, seen = make(journal=True), []
    with store.subscribe("*", seen.append, values=True):
        with store.writer("k", pin=True) as file:
            file.write(BIG)
            assert len(locks(store)) == 1 and not seen
    assert locks(store) == []
    assert [(one.op, one.key, one.value) for one in seen] == [("set", "k", None)]
    assert [(one.op, one.key) for one in store.changes()] == [("set", "k")] and store.stats()["sets"] == 1


def test_clear_and_others_leave_a_value_that_is_being_written(make):
    store = make()
    store["old"] = BIG
    with store.writer("k") as file:
        file.write(BIG)
        store.clear()
        store.expire()
        make().verify()
        assert len(store) == 0
    assert store["k"] == BIG and store.verify()["checked"] == 1


def test_a_fork_leaves_the_writer_to_its_process(make):
    store = make()
    with store.writer("k") as file:
        file.write(BIG[:MIB])
        pid = os.fork()
        if pid == 0:
            try:
                file.write(b"x")
            except ClosedError:
                file.close()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        file.write(BIG[MIB:])
    assert store["k"] == BIG


KILLED = """
import os, sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability="none")
file = store.writer("k")
for i in range(1000):
    file.write(os.urandom(300_000))
    print(i, flush=True)
"""


@pytest.mark.parametrize("how", ["open", "expire"])
def test_what_a_killed_writer_left_is_removed(make, how):
    store = make()
    store["k"] = BIG
    rows = chunks(store)
    with subprocess.Popen([sys.executable, "-c", KILLED, store.path], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            process.stdout.readline()
        store.expire()                          # it is alive: nothing of its is touched
        assert chunks(store) > rows and len(locks(store)) == 1
        process.send_signal(signal.SIGKILL)
    assert chunks(store) > rows and store.verify()["errors"] == []
    if how == "open":
        store.close()
        store = make()
    else:
        store.expire()
    assert (chunks(store), locks(store), store["k"]) == (rows, [], BIG)


def test_a_killed_set_leaves_no_chunk(make):
    """Large values of one set are one transaction with their record."""
    code = "import os, random, sys; from door43fast.lmdb import LmdbStore\n" \
           "s = LmdbStore(sys.argv[1], durability='none'); print('r', flush=True)\n" \
           "while True: s[f'k{random.randrange(3)}'] = os.urandom(random.randrange(1 << 20, 5 << 20))"
    store = make()
    for turn in range(5):
        with subprocess.Popen([sys.executable, "-c", code, store.path], stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05 + 0.03 * turn)
            process.send_signal(signal.SIGKILL)
        assert store.verify()["errors"] == []


RESIDENT = """
import json, os, sys
from door43fast.lmdb import LmdbStore

def anonymous():
    with open("/proc/self/status") as file:         # the map is the system's memory: what is ours is anonymous
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

piece = os.urandom(1 << 20)
store = LmdbStore(sys.argv[1], durability="none")
with store.writer("warm") as file:
    file.write(piece * 2)
store.reader("warm").read()
before = most = anonymous()
with store.writer("k") as file:
    for i in range(int(sys.argv[2])):
        file.write(i.to_bytes(8, "little") + piece[8:])
        most = max(most, anonymous())
with store.reader("k") as file:
    for i in range(int(sys.argv[2])):
        assert file.read(1 << 20) == i.to_bytes(8, "little") + piece[8:]
        most = max(most, anonymous())
print(json.dumps((most - before) >> 10))
"""


def test_streaming_takes_a_piece_of_memory(judge, tmp_path, capsys):
    taken = judge(RESIDENT, tmp_path / "s", STREAM, limit=1800)
    with capsys.disabled():
        print(f" [{STREAM} MiB in and out: {taken} MiB above the start] ", end="")
    assert taken < 32


def test_values_of_many_sizes_do_not_bloat_the_file(make):
    rng = random.Random(4)
    store = make()
    sizes = {}
    most = 0
    for _ in range(300):
        key, size = f"k{rng.randrange(12)}", rng.randrange(MIB, 4 * MIB)
        store[key] = bytes(size)
        sizes[key] = size
        most = max(most, sum(sizes.values()))
    assert store.stats()["bytes"] <= 1.6 * most


def test_the_disk_is_full_for_a_stream(tmp_path, judge):
    assert judge("""
import json, resource, signal, sys
from door43fast.errors import MapFullError
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1])
store["k"] = b"before"
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, resource.RLIM_INFINITY))
try:
    with store.writer("k") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    print("null")
except MapFullError:
    print(json.dumps([store["k"] == b"before", store.verify()["errors"], store.stats()["chunks"]]))
""", tmp_path) == [True, [], 0]
