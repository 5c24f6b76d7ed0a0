"""The memory of a large result serves the next one; it is bounded, given back, and never shared by two results."""

import os
import sys
import threading
import time

import pytest

import door43fast as d43
from door43fast.native.packed import PackedBuilder
from door43fast.native.spans import kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere results are of the C heap")

MIB = 1 << 20
TURNS = 300
PARTS = 16              # so that the room a builder foresees is what it needs


def result(size: int, mark: int = 1):
    builder = PackedBuilder(PARTS)
    for part in range(PARTS):
        builder.add(part, bytes([mark]) * (size // PARTS))
    return builder.build()


def holds(packed, size: int, mark: int) -> bool:
    return packed.data.size == size and packed.data.min() == packed.data.max() == mark


def given_back() -> bool:
    end = time.monotonic() + 30
    while kept() and time.monotonic() < end:
        time.sleep(0.05)
    return kept() == 0


@pytest.fixture(autouse=True)
def nothing_kept():
    assert given_back()


def place(packed) -> int:
    return packed.data.ctypes.data


def test_the_next_result_stands_where_the_last_one_stood():
    first = result(20 * MIB, 1)
    where = place(first)
    assert kept() == 0
    del first
    assert 20 * MIB <= kept() <= 32 * MIB
    second = result(19 * MIB, 2)
    assert place(second) == where and kept() == 0
    assert holds(second, 19 * MIB, 2)


def test_results_that_live_share_nothing():
    held = [result(5 * MIB, mark) for mark in range(6)]
    del held[1], held[3]
    held += [result(5 * MIB, mark) for mark in range(6, 10)]
    assert all(holds(packed, 5 * MIB, mark) for packed, mark in zip(held, [0, 2, 3, 5, 6, 7, 8, 9], strict=True))
    assert len({place(packed) for packed in held}) == 8


def test_a_result_much_smaller_or_larger_than_what_is_kept_takes_other_memory():
    large = result(40 * MIB)
    where = place(large)
    del large
    was = kept()
    assert place(result(8 * MIB)) != where and place(result(80 * MIB)) != where
    assert kept() > was             # each was laid beside it


def test_not_more_than_eight_are_kept_and_not_more_than_256_mib():
    held = [result(4 * MIB) for _ in range(12)]
    del held
    assert 8 * 4 * MIB <= kept() <= 8 * 6 * MIB
    assert given_back()
    held = [result(60 * MIB) for _ in range(6)]
    del held
    assert 120 * MIB <= kept() <= 256 * MIB
    assert given_back()
    result(260 * MIB)
    assert kept() == 0              # larger than all that may be kept


def test_what_nobody_takes_goes_back_to_the_system():
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    result(100 * MIB)
    assert kept() >= 100 * MIB and resident() > before + 90 * MIB
    assert given_back()
    assert resident() < before + 10 * MIB


def test_what_little_is_left_of_a_large_room_moves_out_of_it():
    builder = PackedBuilder(1000)
    builder.add("large", b"a" * MIB)            # the builder expects a thousand like it, and makes room for sixteen
    for n in range(999):
        builder.add(n, b"small")
    packed = builder.build()
    assert kept() >= 16 * MIB
    assert packed[0] == b"a" * MIB and packed[999] == b"small"


def test_a_child_keeps_nothing():
    held = result(30 * MIB, 3)
    result(20 * MIB)
    was = kept()
    assert was
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        good = kept() == 0 and holds(held, 30 * MIB, 3)
        result(20 * MIB)
        good = good and kept() > 0 and given_back()     # by a thread of its own
        os.write(writes, b"good" if good else b"bad")
        os._exit(0)
    os.close(writes)
    said = os.read(reads, 10)
    os.close(reads)
    os.waitpid(child, 0)
    assert said == b"good"
    assert given_back()


def test_threads_that_build_without_the_gil_never_meet_in_one_span(tmp_path):
    wrong = []
    with d43.LmdbStore(tmp_path, durability="none") as store:
        for mark in range(4):
            store.set_many({f"{mark} {n}": bytes([mark]) * 100_000 for n in range(50)})

        def work(mark: int) -> None:
            keys = [f"{mark} {n}" for n in range(50)]
            for turn in range(TURNS):
                if not holds(store.get_packed(keys), 5_000_000, mark):
                    wrong.append((mark, turn))

        workers = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []
