"""Eight processes on one directory, four of them writing, each with a memory of its own.

DOOR43FAST_THREAD_SECONDS says how long. No read that began after another process's write had returned may give what was
there before; what nobody writes stays in the memories; the last of every writer's numbers is what the store holds.
"""

import json
import os
import subprocess
import sys
from multiprocessing import shared_memory
from pathlib import Path

import door43fast as d43

SECONDS = float(os.environ.get("DOOR43FAST_THREAD_SECONDS", "2"))
WORKER = Path(__file__).with_name("worker.py")
PROCESSES, WRITERS, SHARED, CALM = 8, 4, 64, 2000


def shared(i):
    """As the worker has it."""
    return f"shared/{i}" if i % 2 else f"shared/{'long' * 150}/{i}"


def run(folder, journal):
    """What each process saw; the store is compared with the writers' own counts."""
    with d43.open(folder, durability="none", journal=journal) as store:
        store.set_many({f"calm/{i}": f"calm/{i}" for i in range(CALM)})
        store.set_many({shared(i): 0 for i in range(SHARED)})
    memory = shared_memory.SharedMemory(create=True, size=8 * SHARED)
    try:
        memory.buf[:8 * SHARED] = bytes(8 * SHARED)
        running = [subprocess.Popen([sys.executable, "-X", "faulthandler", WORKER, folder, str(n), str(WRITERS),
                                     str(SECONDS), memory.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True) for n in range(PROCESSES)]
        for process in running:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        seen = []
        for process in running:
            out, problems = process.communicate(timeout=SECONDS * 5 + 60)
            assert process.returncode == 0, problems[-3000:]
            seen.append(json.loads(out))
        counts = list(memory.buf.cast("Q")[:SHARED])
    finally:
        memory.close()
        memory.unlink()
    with d43.open(folder, durability="none", memory=0) as store:
        held = [store[shared(i)] for i in range(SHARED)]
        assert held == counts, "a write was lost"
        assert sum(held) == sum(one["writes"] for one in seen) > 0
        assert store.verify()["errors"] == []
        if journal:
            noted = [change for change in store.changes(CALM + SHARED) if change.key.startswith("shared/")]
            assert len(noted) == sum(held)
    return seen


def test_nothing_stale_and_what_nobody_writes_stays(tmp_path, capsys):
    seen = run(tmp_path / "s", {"max_bytes": None, "max_age": None})
    reads, hits = sum(one["reads"] for one in seen), sum(one["hits"] for one in seen)
    with capsys.disabled():
        print(f" [{SECONDS:g} s: {reads:,} reads, {sum(one['writes'] for one in seen):,} writes, "
              f"{100 * hits / reads:.1f} % of the untouched from memory] ", end="")
    for one in seen:
        assert one["stale"] == one["backward"] == one["wrong"] == 0, one
        assert one["reads"] > 20 * SECONDS, one
    assert hits >= 0.9 * reads, (hits, reads)


def test_nothing_stale_without_a_journal(tmp_path):
    for one in run(tmp_path / "s", None):
        assert one["stale"] == one["backward"] == one["wrong"] == 0 and one["coherence"]["dropped"] == 0, one
