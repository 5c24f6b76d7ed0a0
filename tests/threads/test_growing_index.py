"""The table of keys that are not there is given up when that of records grows, whoever is looking into it just then."""

import os
import subprocess
import sys

SECONDS = float(os.environ.get("DOOR43FAST_THREAD_SECONDS", 6))

CODE = """
import sys, tempfile, threading, time
from door43fast.lmdb import LmdbStore

absent = [f"no{i}" for i in range(4000)]
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    with tempfile.TemporaryDirectory() as folder, LmdbStore(folder, durability="none", map_size=1 << 24) as s:
        s.set_many({f"a{i}": b"x" for i in range(200)})
        ended, faults = [], []

        def look():
            while not ended:
                if any(value is not None for value in s.get_many(absent)):
                    faults.append("a value")

        def figures():
            while not ended:
                s.stats()

        threads = [threading.Thread(target=one) for one in (look, look, figures)]
        for one in threads: one.start()
        size = 200
        while size < 20000:
            size = size * 8 // 5        # more than half as many again: a new table
            s.set_many({f"a{i}": b"x" for i in range(size)})
            s.get_many(absent[:2000])
        ended.append(True)
        for one in threads: one.join()
        assert not faults
"""


def test_keys_that_are_not_there_are_looked_for_while_the_store_grows():
    done = subprocess.run([sys.executable, "-c", CODE, str(SECONDS)], capture_output=True, text=True,
                          timeout=SECONDS * 4 + 60)
    assert done.returncode == 0, (done.returncode, done.stderr)
