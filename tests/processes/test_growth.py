"""Processes that make one file grow at once, and one that must not grow: rewriting beside readers.

DOOR43FAST_THREAD_SECONDS says how long the rewriting goes on; 60 in the nightly run.
"""

import os
import subprocess
import sys
import time

from door43fast.lmdb import LmdbStore

SECONDS = float(os.environ.get("DOOR43FAST_THREAD_SECONDS", "5"))
RECORDS = 8000

GROWS = """
import sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability="none", map_size=1 << 20)
print("ready", flush=True)
sys.stdin.readline()
mine = int(sys.argv[2])
for i in range(150):
    store[f"{mine}/{i}"] = bytes([mine]) * (20_000 + 997 * i % 30_000)
    other = (mine + 1) % 4
    assert set(store.get(f"{other}/{i}", b"")) <= {other}
store.set_many({f"{mine}/batch/{i}": bytes([mine]) * 3000 for i in range(1000)})
"""


def run(code, *arguments):
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def test_four_processes_grow_one_map_at_once(tmp_path):
    path = tmp_path / "s"
    LmdbStore(path, durability="none", map_size=1 << 20).close()
    running = [run(GROWS, path, n) for n in range(4)]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, problems = process.communicate(timeout=120)
        assert process.returncode == 0, problems
    with LmdbStore(path, durability="none", map_size=1 << 20) as store:
        assert store.verify()["checked"] == 4 * 1150
        for n in range(4):
            assert all(store[f"{n}/{i}"] == bytes([n]) * (20_000 + 997 * i % 30_000) for i in range(150))
        assert store.stats()["map_size"] > 20 << 20


# Reads nothing for a while, with the store open; then all of it, again and again; until it is told to end.
READS = """
import sys, threading
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability=sys.argv[2])
store.get_many([f"k{i}" for i in range(1000)])
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), end.set())).start()
print("ready", flush=True)
rounds = 0
while not end.wait(0.01):
    if sys.argv[3] == "scanning":
        assert len(list(store.scan())) == int(sys.argv[4])
        rounds += 1
print(rounds, flush=True)
"""


def rewrite(path, durability, seconds):
    """Rewrite RECORDS beside an idle and a scanning process; bytes of the file, and of what lives in it.

    A reader that the system takes the processor from in the middle of a call keeps pages for so long: some tens of
    milliseconds, in which a writer that waits for no disk frees tens of megabytes. What lives is more than that.
    """
    sizes = [100, 900, 2500, 9000, 40_000]
    with LmdbStore(path, durability=durability) as store:
        store.set_many({f"k{i}": bytes(sizes[i % 5]) for i in range(RECORDS)})
        peers = [run(READS, path, durability, how, RECORDS) for how in ("idle", "scanning")]
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for i in range(RECORDS):
                store[f"k{(i * 7919 + turn) % RECORDS}"] = os.urandom(8) + bytes(sizes[(i + turn) % 5] - 8)
            turn += 1
        rounds = [process.communicate("end\n", timeout=60)[0] for process in peers]
        assert [process.returncode for process in peers] == [0, 0] and int(rounds[1]) > 0 and turn > 0
        store.backup(path.parent / "copy")
    with LmdbStore(path.parent / "copy") as copy:       # what is free is not in it
        live = copy.stats()["bytes"]
    return os.stat(path / "data.mdb").st_size, live


def test_rewriting_beside_readers_does_not_bloat_the_file(tmp_path, capsys):
    for durability in ("none", "commit", "batch"):
        path = tmp_path / durability / "s"
        path.parent.mkdir()
        size, live = rewrite(path, durability, SECONDS)
        with capsys.disabled():
            print(f" [{durability}, {SECONDS:g} s: {size / live:.2f} x the live {live >> 20} MiB] ", end="")
        assert size <= 2 * live, (durability, size, live)
