"""Recordings of reads beyond the conformance suite: blocks, threads, forks, failures, torn files, kinds of keys."""

import os
import resource
import signal
import subprocess
import sys
import threading

import numpy
import pytest

import door43fast as d43
from door43fast import recordings, reference, traces
from door43fast.errors import FormatError

BLOCK = 16384


def read(path):
    return recordings.decoded(path.read_bytes(), str(path))


def names(keys):
    return [hash(key) & recordings.WORD for key in keys]


class Odd:
    """A key whose hash and comparison are Python code that reads the store."""

    store = None

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return self.number

    def __eq__(self, other):
        if Odd.store is not None:
            store, Odd.store = Odd.store, None
            store.get("inside")
            Odd.store = store
        return isinstance(other, Odd) and self.number == other.number


def test_blocks_follow_one_another(tmp_path):
    keys = [f"key{i % 5000}" for i in range(3 * BLOCK + 77)]
    store = d43.MemoryStore(max_entries=1000)
    with store.record_trace(tmp_path / "t") as recording:
        for key in keys:
            if store.get(key) is None:
                store[key] = 1
    got = read(tmp_path / "t")
    assert got.hashes.tolist() == names(keys) and got.whole
    assert recording.asked == recording.recorded == got.asked == len(keys) == sum(
        store.stats()[count] for count in ("hits", "misses"))
    assert traces.read(tmp_path / "t") == names(keys)


@pytest.mark.parametrize("policy", ["lru", "s3fifo", "none"])
@pytest.mark.parametrize("options", [{}, {"ttl": 100}, {"idle": 100}], ids=str)
def test_every_kind_of_key_and_read(tmp_path, policy, options):
    store = d43.MemoryStore(max_entries=100, policy=policy, **options)
    kinds = ["text", "te" + "xt", "é", "\U0001f4d6", 7, -1, 1 << 70, 1.5, b"bytes", ("a", 1), None, frozenset([1]),
             type("Text", (str,), {})("subclass"), Odd(77)]
    store.set_many({key: 1 for key in kinds})
    store.set("tagged", 1, tags=("t",), pin=True)
    missing = ["absent", 8, 2.5, b"absent", ("b",), Odd(78), type("Text", (str,), {})("absent")]
    kinds.append("tagged")
    with store.record_trace(tmp_path / "t"):
        for key in kinds + missing:
            store.get(key)
        store.get_many(kinds + missing)
        store.get_many(tuple(kinds + missing))
        store.invalidate("t")
        assert store.get_many(iter(["tagged", "tagged"])) == [None, None] and store.get("tagged") is None
        assert store._lookup("absent") == (0, None)
    assert read(tmp_path / "t").hashes.tolist() == names((kinds + missing) * 3 + ["tagged"] * 3 + ["absent"])


def test_arrays_of_keys_are_recorded_as_the_keys_that_they_hold(tmp_path):
    store = d43.MemoryStore()
    numbers = numpy.array([5, -1, 1 << 61, 1000000, 5], dtype=numpy.int64)
    texts = numpy.array(["one", "two", "é", "a longer one that is there", "one"])
    plain = numpy.array([b"one", b"two", b"three"])
    store.set_many({5: 1, 1 << 61: 1, "one": 1, "é": 1, b"two": 1})
    with store.record_trace(tmp_path / "t"):
        for keys in (numbers, texts, plain):
            store.get_many(keys)
    assert read(tmp_path / "t").hashes.tolist() == names([*numbers.tolist(), *texts.tolist(), *plain.tolist()])


def test_a_comparison_that_reads_is_recorded_in_its_turn(tmp_path):
    store = d43.MemoryStore()
    store[Odd(5)] = 1
    with store.record_trace(tmp_path / "t"):
        Odd.store = store
        try:
            assert store.get(Odd(5)) == 1
        finally:
            Odd.store = None
    assert read(tmp_path / "t").hashes.tolist() == names(["inside"]) + [5]


def test_a_growing_table_and_expired_entries(tmp_path):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    store = d43.MemoryStore(clock=clock)
    asked = []
    with store.record_trace(tmp_path / "t"):
        for i in range(3000):       # so that keys are read while two tables stand
            store[f"k{i}"] = i
            store.get(f"k{i // 2}"), store.get(f"absent{i}")
            asked += [f"k{i // 2}", f"absent{i}"]
        store.set("late", 1, ttl=1)
        clock.advance(2)
        assert store.get("late") is None and store.get_many(["late"]) == [None]
    assert read(tmp_path / "t").hashes.tolist() == names([*asked, "late", "late"])


@pytest.mark.parametrize("make", [d43.MemoryStore, reference.MemoryStore])
def test_threads_lose_nothing(tmp_path, make):
    store = make(max_entries=50)
    count = 40_000 if make is d43.MemoryStore else 4_000
    recording = store.record_trace(tmp_path / "t")

    def work(number):
        for i in range(count):
            if store.get(f"{number}/{i % 97}") is None:
                store[f"{number}/{i % 97}"] = i
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording.stop()
    got = read(tmp_path / "t").hashes.tolist()
    for number in range(4):
        mine = set(names(f"{number}/{i}" for i in range(97)))
        assert [name for name in got if name in mine] == names(f"{number}/{i % 97}" for i in range(count))


def test_stopping_while_others_read(tmp_path):
    store = d43.MemoryStore(max_entries=50)
    done = threading.Event()

    def work():
        while not done.is_set():
            for i in range(200):
                store.get(f"k{i}")
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(50):
        recording = store.record_trace(tmp_path / f"{turn}")
        store.get("mine")
        recording.stop()
        assert read(tmp_path / f"{turn}").whole and recording.recorded >= 1
    done.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("make", [d43.MemoryStore, reference.MemoryStore])
def test_a_child_of_a_fork_records_nothing_of_its_parents(tmp_path, make):
    store = make(max_entries=50)
    recording = store.record_trace(tmp_path / "t")
    for _ in range(3):
        store.get("parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(30)
            assert not recording.active
            for i in range(2 * BLOCK):
                store.get("child")
            recording.stop()
            with store.record_trace(tmp_path / "own"):
                store.get("child")
            store.close()
            status = 0
        finally:
            os._exit(status)
    store.get("parent")
    assert os.waitpid(child, 0)[1] == 0
    store.get("parent")
    assert recording.active
    store.close()
    got = read(tmp_path / "t")
    assert got.hashes.tolist() == names(["parent"] * 5) and got.whole
    assert read(tmp_path / "own").hashes.tolist() == names(["child"])
    assert read(tmp_path / "own").seed == got.seed


def test_two_recordings_into_one_file_are_refused(tmp_path):
    one, two = d43.MemoryStore(), reference.MemoryStore()
    with one.record_trace(tmp_path / "t"):
        with pytest.raises(FileExistsError, match="another recording"):
            two.record_trace(tmp_path / "t")
        one.get("a")
    assert read(tmp_path / "t").hashes.tolist() == names(["a"])
    with two.record_trace(tmp_path / "t"):
        two.get("b")
    assert read(tmp_path / "t").hashes.tolist() == names(["b"])


@pytest.mark.parametrize("make", ["d43.MemoryStore", "reference.MemoryStore"])
@pytest.mark.parametrize("end", ["stop", "close", "exit", "drop"])
def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path, make, end):
    """A limit on the size of files stands for the disk."""
    program = f"""
import resource, signal, sys, warnings
import door43fast as d43
from door43fast import reference
warnings.simplefilter("always")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
store = {make}(max_entries=10)
recording = store.record_trace({str(tmp_path / "t")!r})
store["a"] = 1
for _ in range(100_000):
    store.get("a")
assert store["a"] == 1
end = {end!r}
if end == "stop":
    try:
        recording.stop()
    except OSError as error:
        print(error)
    recording.stop()
elif end == "close":
    store.close()
elif end == "drop":
    del store, recording
    import gc
    gc.collect()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    if make == "reference.MemoryStore" and end == "drop":       # it ends with the process
        end = "exit"
    said = done.stdout if end == "stop" else done.stderr
    assert done.returncode == 0 and "ended early" in said and "File too large" in said and str(tmp_path / "t") in said
    assert "Traceback" not in done.stderr
    got = read(tmp_path / "t")
    assert not got.whole and len(got.hashes) == 2 * BLOCK and len(set(got.hashes.tolist())) == 1


def test_a_device_that_is_full_is_told_at_once():
    store = d43.MemoryStore()
    with pytest.raises(OSError, match="No space left") as raised:
        store.record_trace("/dev/full")
    assert raised.value.filename == "/dev/full"


def test_a_process_that_ends_without_stopping_loses_nothing(tmp_path):
    program = f"""
import door43fast as d43
store = d43.MemoryStore()
store.record_trace({str(tmp_path / "t")!r})
for i in range(100):
    store.get(i)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert read(tmp_path / "t").hashes.tolist() == names(range(100)) and read(tmp_path / "t").whole


def test_a_killed_process_leaves_what_can_be_read(tmp_path):
    program = f"""
import os, signal, time
import door43fast as d43
store = d43.MemoryStore()
recording = store.record_trace({str(tmp_path / "t")!r})
for i in range({3 * BLOCK + 5}):
    store.get(i)
while recording.recorded < {3 * BLOCK}:
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], timeout=60)
    got = read(tmp_path / "t")
    assert got.hashes.tolist() == names(range(3 * BLOCK)) and not got.whole


def test_every_cut_and_every_changed_byte_is_recognised(tmp_path):
    store = d43.MemoryStore()
    with store.record_trace(tmp_path / "t"):
        for i in range(10):
            store.get(i)
    data = (tmp_path / "t").read_bytes()
    assert len(data) == 64 + 32 + 80
    for size in range(len(data)):
        if size < 64:
            with pytest.raises(FormatError, match="t is"):
                recordings.decoded(data[:size], "t")
        else:
            got = recordings.decoded(data[:size], "t")
            assert not got.whole and len(got.hashes) == 0
    for at in range(len(data)):
        spoilt = bytearray(data)
        spoilt[at] ^= 64
        try:
            assert not recordings.decoded(bytes(spoilt), "t").whole
        except FormatError:
            assert at < 64
    assert not recordings.decoded(data + b"more", "t").whole


def test_a_newer_format_is_refused(tmp_path):
    data = bytearray(recordings.header(1.0))
    data[8] = 2
    with pytest.raises(FormatError, match="format 2"):
        recordings.decoded(bytes(data), "t")


def test_the_reference_writes_the_same_file(tmp_path):
    keys = [f"k{i}" for i in range(BLOCK + 10)]
    for name, make in (("a", d43.MemoryStore), ("b", reference.MemoryStore)):
        with make() as store, store.record_trace(tmp_path / name):
            store.get_many(keys)
    ours, theirs = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    assert ours[:32] == theirs[:32] and ours[64:] == theirs[64:]       # all but when it began


def test_a_stack_records_what_its_memory_tier_is_asked_for(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store["a"] = 1
        with store.record_trace(tmp_path / "t"):
            store.get("a"), store["a"], store.get_many(["a", "b"]), store.get("b")  # noqa: B018
    assert read(tmp_path / "t").hashes.tolist() == names(["a", "a", "a", "b", "b"])


@pytest.mark.parametrize("form", ["str", "bytes", "int", "any"])
def test_a_store_on_disk_records_one_name_a_key_however_it_is_asked(tmp_path, form):
    keys = {"str": ["a", "é", "\U0001f4d6", "k" * 400], "bytes": [b"a", b"\xff", b"\x00"], "int": [1, -1, 1 << 62],
            "any": ["a", 1, 1.5, b"x", ("a", 2)]}[form]
    with d43.open(tmp_path / "s", memory=0, keys=form) as store:
        store[keys[0]] = b"value"
        with store.record_trace(tmp_path / "t"):
            for key in keys:
                store.get(key)
            store.get_many(keys)
            store.get_packed(keys)
            if form == "int":
                store.get_packed(numpy.array(keys, numpy.int64))
            assert keys[0] in store and store.contains_many(keys) and list(store.scan()) and store.ttl(keys[0]) is None
        counts = store.stats()
    got = read(tmp_path / "t").hashes.tolist()
    turns = 4 if form == "int" else 3
    assert got == got[:len(keys)] * turns and len(set(got)) == len(keys)
    assert counts["hits"] + counts["misses"] == len(got)
    if form == "bytes":
        assert got[:3] == names(keys)


def test_a_stack_says_what_the_disk_below_was_asked_for(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store.slow["a"] = [1]
        with store.slow.record_trace(tmp_path / "t"):
            store.get_packed(["x"]), store.get("y")  # noqa: B018
        assert read(tmp_path / "t").hashes.tolist() == names(["x"])     # the rest goes by the memory tier


def test_a_store_that_goes_first_ends_nothing_halfway(tmp_path):
    store = d43.MemoryStore()
    recording = store.record_trace(tmp_path / "t")
    store.get("a")
    del store
    recording.stop()
    assert read(tmp_path / "t").hashes.tolist() == names(["a"])


def test_memory_is_bounded(tmp_path):
    """A slow disk is waited for: what lies before the writer is at most 64 blocks."""
    store = d43.MemoryStore()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with store.record_trace(tmp_path / "t"):
        keys = [f"k{i}" for i in range(10_000)]
        for _ in range(200):
            store.get_many(keys)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10
    assert len(read(tmp_path / "t").hashes) == 2_000_000
