"""Many threads on one store, in a process of its own with a time limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("DOOR43FAST_THREAD_SECONDS", "2"))
STRESS = Path(__file__).with_name("stress.py")


@pytest.mark.parametrize("mode", ["mixed", "close", "fork"])
@pytest.mark.parametrize("engine", ["memory", "lmdb", "cascade", "reference"])
def test_threads(engine, mode):
    done = subprocess.run([sys.executable, "-X", "faulthandler", STRESS, engine, mode, str(SECONDS)],
                          capture_output=True, text=True, timeout=SECONDS * 5 + 60)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    calls = int(done.stdout.split()[-1])
    assert calls > 20 * SECONDS, f"only {calls} calls: the threads hardly ran"


@pytest.mark.parametrize("policy", ["none", "lru", "sieve", "s3fifo", "wtinylfu", "adaptive"])
def test_many_reads_and_few_writes_of_many_threads(policy):
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-W", "error", STRESS.with_name("readers.py"), policy,
                           str(SECONDS)], capture_output=True, text=True, timeout=SECONDS * 5 + 60)
    assert done.returncode == 0 and not done.stderr, (done.stdout + done.stderr)[-3000:]
    assert int(done.stdout.split()[-1]) > 20 * SECONDS, "the threads hardly ran"


def test_bare_reads_and_writes_of_many_threads():
    script = STRESS.with_name("churn.py")
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-W", "error", script, str(SECONDS)],
                          capture_output=True, text=True, timeout=SECONDS * 5 + 60)
    assert done.returncode == 0 and not done.stderr, (done.stdout + done.stderr)[-3000:]
    assert int(done.stdout.split()[-1]) > 20 * SECONDS, "the threads hardly ran"
