"""The key index over the map against a dict: own writes, other stores, other processes, damage, growth, fork."""

import json
import os
import random
import subprocess
import sys
import threading

import pytest

from door43fast.errors import ClosedError, ConfigError, CorruptError
from door43fast.lmdb import LmdbStore

WRITER = """
import json, sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability="none")
for line in sys.stdin:
    for step in json.loads(line):
        if step[0] == "set":
            store.set(step[1], step[2].encode())
        elif step[0] == "delete":
            store.delete(step[1])
        elif step[0] == "many":
            store.set_many({key: value.encode() for key, value in step[1].items()})
        else:
            store.clear(step[1])
    print("done", flush=True)
"""


@pytest.fixture
def foreign():
    """Another process that writes to a directory: call it with a path, then what it gives with the steps."""
    started = []

    def start(path):
        process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        started.append(process)

        def write(*steps):
            process.stdin.write(json.dumps(steps) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        return write

    yield start
    for process in started:
        process.communicate()


def warm(store, names):
    """Read until the index is in use and holds ``names``."""
    for _ in range(3):
        store.get_many(names)
        store.get_many(names * (1 + 512 // len(names)))
    assert store.stats()["index_bytes"] > 0


def check(store, model, names):
    """Every way of reading by key gives what the model holds."""
    expected = [model.get(name) for name in names]
    assert store.get_many(names) == expected
    assert store.get_packed(names).tolist() == expected
    assert store.contains_many(names) == [value is not None for value in expected]
    for name, value in list(zip(names, expected, strict=True))[:50]:
        assert store.get(name) == value


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_a_dict_says_whoever_writes(make, foreign, seed):
    """Steps of 0 to 6 foreign commits between reads: fewer and more than the list of free pages surely tells of."""
    rng = random.Random(seed)
    store = make()
    other = make()
    write = foreign(store.path)
    names = [f"key-{number:05d}" for number in range(3000)]
    model = {name: f"{name} {rng.random()}".encode() for name in names[::2]}
    store.set_many(model)
    warm(store, names)

    def value():
        return "x" * rng.choice([0, 1, 100, 100, 100, 3000, 9000]) + str(rng.random())

    for _ in range(250):
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            name, new, who = rng.choice(names), value(), rng.choice([store, other])
            kind = rng.randrange(6)
            if kind < 3:
                who.set(name, new.encode())
                model[name] = new.encode()
            elif kind == 3:
                who.delete(name)
                model.pop(name, None)
            elif kind == 4:
                some = {name: value().encode() for name in rng.sample(names, 40)}
                who.set_many(some)
                model.update(some)
            else:
                with who.transaction() as t:
                    t[name] = new.encode()
                model[name] = new.encode()
        steps = []
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 6])):
            name, new = rng.choice(names), value()
            kind = rng.randrange(20)
            if kind < 12:
                steps.append(("set", name, new))
                model[name] = new.encode()
            elif kind < 16:
                steps.append(("delete", name))
                model.pop(name, None)
            elif kind < 19:
                some = {name: value() for name in rng.sample(names, 30)}
                steps.append(("many", some))
                model.update({name: new.encode() for name, new in some.items()})
            else:
                prefix = name[:7]
                steps.append(("clear", prefix))
                model = {name: held for name, held in model.items() if not name.startswith(prefix)}
        if steps:
            write(*steps)
        check(store, model, rng.sample(names, rng.choice([1, 60, 400])))
    check(store, model, names)
    assert dict(store.scan()) == model
    store.verify()


def test_deadlines_and_tags_count_in_the_index_too(make):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    clock.advance(1000)
    store = make(clock=clock)
    names = [f"k{number}" for number in range(600)]
    store.set_many({name: b"v" for name in names})
    store.set("mortal", b"m", ttl=10)
    store.set("tagged", b"t", tags=("a",))
    warm(store, [*names, "mortal", "tagged"])
    assert store.get("mortal") == b"m" and store.get("tagged") == b"t"
    clock.advance(11)
    assert store.get("mortal") is None
    assert store.get_many(["mortal", "k1"]) == [None, b"v"]
    store.invalidate("a")
    assert store.get("tagged") is None and store.get_packed(["tagged"]).tolist() == [None]


@pytest.mark.parametrize("codec", ["auto", "json"])
def test_values_of_every_kind_come_back_from_it(make, codec):
    store = make(codec=codec)
    values = ["text", "späße ☃", {"a": [1]}, None, 7, True, "x" * 5000]
    items = {f"k{number}": values[number % len(values)] for number in range(700)}
    store.set_many(items)
    warm(store, list(items))
    assert store.get_many(list(items)) == list(items.values())
    assert [store.get(name, "none") for name in items] == list(items.values())


def test_a_bounded_index_forgets_and_stays_right(make):
    small, none = make("small", index_bytes=4096), make("none", index_bytes=0)
    names = [f"key {number}" for number in range(5000)]
    items = {name: name.encode() for name in names}
    for store in (small, none):
        store.set_many(items)
    for _ in range(3):
        assert small.get_many(names) == none.get_many(names) == list(items.values())
    assert small.stats()["index_bytes"] <= 4096
    assert none.stats()["index_bytes"] == 0


def test_it_grows_with_the_store(make):
    store = make()
    names = [f"key {number}" for number in range(20_000)]
    warm_at = 1000
    for start in range(0, len(names), warm_at):
        part = names[start:start + warm_at]
        store.set_many({name: name.encode() for name in part})
        held = names[:start + warm_at]
        assert store.get_many(held) == [name.encode() for name in held]
    assert 8 * len(names) < store.stats()["index_bytes"] < 64 * len(names)


def test_the_map_may_grow_under_it(make):
    store = make(map_size=1 << 20)
    names = [f"key {number}" for number in range(2000)]
    store.set_many({name: b"x" * 100 for name in names})
    warm(store, names)
    for turn in range(5):
        store.set_many({f"{turn} {name}": b"y" * 500 for name in names})
        check(store, {name: b"x" * 100 for name in names}, names)


def test_stamps_of_one_page_may_run_over(make):
    """A page that dies thousands of times: its stamp begins anew, and nothing old counts again."""
    store = make()
    names = [f"k{number}" for number in range(200)]
    store.set_many({name: b"0" for name in names})
    warm(store, names)
    for turn in range(80_000):
        store.set(names[turn % 7], b"%d" % turn)
        if turn % 11 == 0:
            store.get_many(names)
        assert store.get(names[turn % 7]) == b"%d" % turn
    assert store.get_many(names[7:]) == [b"0"] * 193


def test_threads_see_their_own_writes(make):
    store = make()
    names = [f"key {number}" for number in range(4000)]
    store.set_many({name: b"0" for name in names})
    warm(store, names)
    failed = []

    def work(own, rng):
        held = dict.fromkeys(own, b"0")
        for _ in range(300):
            for name in rng.sample(own, 3):
                held[name] = b"%d" % rng.getrandbits(60)
                store.set(name, held[name])
            some = rng.sample(own, 200)
            if store.get_many(some) != [held[name] for name in some]:
                failed.append(own[0])
            if store.get_packed(some).tolist() != [held[name] for name in some]:
                failed.append(own[0])
            if any(store.get(name) != held[name] for name in some[:50]):
                failed.append(own[0])

    threads = [threading.Thread(target=work, args=(names[at::4], random.Random(at))) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_batch_is_of_one_instant_beside_a_writer(make):
    """All records carry one number, which one transaction changes: a batch never mixes two."""
    store = make()
    names = [f"key {number:05d}" for number in range(5000)]
    store.set_many(dict.fromkeys(names, b"0"))
    warm(store, names)
    stop = threading.Event()

    def write():
        turn = 0
        while not stop.is_set():
            turn += 1
            store.set_many(dict.fromkeys(names, b"%d" % turn))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            assert len(set(store.get_many(names))) == 1
            assert len(set(store.get_packed(names))) == 1
    finally:
        stop.set()
        writer.join()


def test_closing_ends_reads_cleanly(make):
    for _ in range(10):
        store = make()
        names = [f"key {number}" for number in range(1000)]
        store.set_many(dict.fromkeys(names, b"v"))
        warm(store, names)
        wrong = []

        def read(store=store, names=names, wrong=wrong):
            try:
                while True:
                    if set(store.get_many(names)) != {b"v"} or store.get(names[0]) != b"v":
                        wrong.append(1)
            except ClosedError:
                pass

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        store.close()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_forked_child_has_an_index_of_its_own(make):
    store = make()
    names = [f"key {number}" for number in range(1000)]
    store.set_many(dict.fromkeys(names, b"v"))
    warm(store, names)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert store.get(names[0]) == b"v"
            warm(store, names)
            store.set(names[1], b"child")
            assert store.get(names[1]) == b"child" and store.get(names[2]) == b"v"
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.get(names[1]) == b"child" and store.get_many(names[:3]) == [b"v", b"child", b"v"]


def test_flipped_bytes_give_an_error_or_the_right_bytes(make):
    """The file is hurt while the index is warm: what it points to is checked as what the tree finds."""
    rng = random.Random(5)
    store = make()
    items = {f"key {number:04d}": rng.randbytes(rng.choice([10, 100, 3000])) for number in range(800)}
    store.set_many(items)
    names = list(items)
    warm(store, names)
    hurt = 0
    with open(os.path.join(store.path, "data.mdb"), "r+b") as file:
        data = file.read()
        # Pages of the tree's branches are left alone: LMDB itself trusts those.
        leaves = [at for at in range(0, len(data), 4096) if data[at + 10:at + 12] == b"\2\0"]
        for _ in range(400):
            at = rng.choice(leaves) + rng.randrange(2048, 4096)
            file.seek(at)
            file.write(bytes([data[at] ^ 1 << rng.randrange(8)]))
            file.flush()
            for name in rng.sample(names, 40):
                try:
                    value = store.get(name)
                except CorruptError:
                    hurt += 1
                else:
                    assert value is None or value == items[name]
            file.seek(at)
            file.write(data[at:at + 1])
            file.flush()
    assert hurt > 0
    assert store.get_many(names) == list(items.values())


def test_the_file_does_not_bloat_beside_readers(make, foreign):
    """Constant rewriting beside a store that read and idles, and one that scans."""
    idle = make()
    items = {f"key {number:05d}": "v" * 500 for number in range(10_000)}
    idle.set_many({name: value.encode() for name, value in items.items()})
    live = idle.stats()["bytes"]
    names = list(items)
    warm(idle, names)
    write = foreign(idle.path)
    rng = random.Random(1)
    scan = idle.scan()
    for turn in range(300):
        write(*[("set", name, "w" * 500) for name in rng.sample(names, 60)])
        next(scan)
        if turn % 50 == 0:
            idle.get_many(names[:1000])
    assert idle.stats()["bytes"] <= 2 * live


def test_it_pauses_among_writes_and_comes_back(make):
    store = make()
    names = [f"k{number}" for number in range(600)]
    store.set_many(dict.fromkeys(names, b"0"))
    warm(store, names)
    assert not store.stats()["index_paused"]
    for turn in range(400):
        store.set(names[turn % 600], b"1")
        assert store.get(names[turn % 600]) == b"1"
    assert store.stats()["index_paused"]
    for _ in range(3):
        assert store.get_many(names) == [b"1"] * 400 + [b"0"] * 200
    assert not store.stats()["index_paused"]


def test_a_transaction_reads_its_own_pages(make):
    """What a writer has changed lies outside the map until it commits; it is no damage."""
    store = make()
    items = {f"key {number:04d}": b"v" * 50 for number in range(500)}
    store.set_many(items)
    assert store.delete_many(list(items)[::2] * 2) == 250
    store.set_many(items)
    with pytest.raises(CorruptError), store.transaction() as t:
        for name in items:
            del t[name]
        raise CorruptError("to undo it")
    with store.transaction() as t:
        for name in list(items)[::3]:
            t[name] = b"w"
            t.delete(name)
    assert store.count() == 500 - 167
    store.verify()


def test_an_index_option_that_disagrees_is_named(make):
    make(index_bytes=0)
    with pytest.raises(ConfigError, match="index_bytes=0.*index_bytes=4096"):
        make(index_bytes=4096)
    with pytest.raises(ConfigError, match="index_bytes=-1 is out of range"):
        LmdbStore("unused", index_bytes=-1)
