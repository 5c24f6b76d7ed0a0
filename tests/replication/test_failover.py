"""50,000 operations, a stalled replica, a killed process, a promotion, catch-up: nothing acknowledged is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.errors import FencedError
from door43fast.replication import promote
from door43fast.testing.redis_servers import redis_server
from replication_sets import digest, held, until
from replication_writer import THREADS, Model, noted, opened, operation

COUNT = 50_000


def writer(folder, redis, consistency):
    script = Path(__file__).with_name("replication_writer.py")
    return subprocess.Popen([sys.executable, str(script), str(folder), redis, consistency, str(COUNT)],
                            stdout=subprocess.PIPE)


def begun(folder):
    """How many operations all threads have begun."""
    return sum(os.path.getsize(folder / f"acknowledged{n}") // 10 if (folder / f"acknowledged{n}").exists() else 0
               for n in range(THREADS))


def as_after_a_prefix(folder, store):
    """For each thread, the operations that a member shows are the first so many: all that were acknowledged, and of
    those begun later any, without a gap. How many operations these are."""
    records, total = held(store), 0
    for thread in range(THREADS):
        started, acknowledged = noted(folder, thread)
        mine = {key: value for key, value in records.items() if key.startswith(f"{thread}/")}
        model, lasts = Model(), []
        for i in range(started + 1):
            operation(model, thread, i)
            if i >= acknowledged and model == mine:
                lasts.append(i)
        assert lasts, f"thread {thread}: not the state after {acknowledged} of {started} operations or more"
        total += lasts[-1] + 1
    return total


@pytest.mark.parametrize("consistency", ["strong", "quorum"])
def test_a_killed_writer_and_a_promotion(tmp_path, consistency):
    with redis_server(tmp_path / "redis") as server:
        process = writer(tmp_path, server.url, consistency)
        try:
            until(lambda: begun(tmp_path) > COUNT // 4, 120)
            server.process.send_signal(signal.SIGSTOP)      # the replica on Redis is stalled for a while
            time.sleep(1)
            server.process.send_signal(signal.SIGCONT)
            until(lambda: begun(tmp_path) > COUNT * 3 // 4, 240)
            server.process.send_signal(signal.SIGSTOP)      # and again, when the writer is killed
            time.sleep(0.3)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
        server.process.send_signal(signal.SIGCONT)
        copy = d43.LmdbStore(tmp_path / "copy", journal=True, durability="none")
        redis = d43.open(server.url)
        assert promote(copy, [redis], consistency=consistency) == 1
        assert as_after_a_prefix(tmp_path, copy) > COUNT // 2
        with pytest.raises(FencedError):        # whoever opens the set as it was is no writer
            opened(str(tmp_path), server.url, consistency)
        old = d43.LmdbStore(tmp_path / "primary", durability="none")
        with d43.replicated(copy, [redis, old], consistency, timeout=60, overwrite=True) as store:
            store.set_many({f"new/{i}": i for i in range(1000)})
            store.wait_for()
            assert digest(copy) == digest(redis) == digest(old)
            assert [found.different for found in store.compare()] == [(), ()]


def test_a_killed_writer_that_comes_back(tmp_path):
    """The same without a promotion: the primary is opened again, and its replicas go on by its journal."""
    with redis_server(tmp_path / "redis") as server:
        process = writer(tmp_path, server.url, "quorum")
        try:
            until(lambda: begun(tmp_path) > COUNT // 10, 120)
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
        finally:
            process.kill()
            process.wait()
        server.process.send_signal(signal.SIGCONT)
        with opened(str(tmp_path), server.url, "quorum") as store:
            store.wait_for(timeout=60)
            as_after_a_prefix(tmp_path, store.primary)
            assert digest(store.primary) == digest(store.replicas[0]) == digest(store.replicas[1])
            assert [row["copies"] for row in store.stats()["replication"]["replicas"]] == [0, 0]
