"""A transaction's view that one thread reads from while another ends it."""

import subprocess
import sys

CODE = """
import sys, threading
from door43fast.errors import ClosedError
from door43fast.lmdb import LmdbStore

VALUE = bytes(range(256)) * 8192        # in chunks: the GIL is let go for while it is read
with LmdbStore(sys.argv[1], durability="none") as s:
    for i in range(8):
        s[f"{i}"] = VALUE
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for i in range(8):
                s[f"{i}"] = VALUE
                s.get("0")              # takes what is idle in the pool

    faults = []

    def read(view, ready):
        ready.set()
        try:
            while True:
                for key, _, value in view.scan():
                    if value != VALUE:
                        faults.append((key, "another value"))
                if view.read("3")[1] != VALUE:
                    faults.append("another value")
        except ClosedError:
            pass
        except BaseException as error:
            faults.append(repr(error))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(int(sys.argv[2])):
        view = s._snapshot()
        ready = threading.Event()
        reader = threading.Thread(target=read, args=(view, ready))
        reader.start()
        ready.wait()
        enders = [threading.Thread(target=view.close) for _ in range(2)]
        for one in enders: one.start()
        for one in enders: one.join()
        reader.join(30)
        assert not reader.is_alive()
    stop.set()
    writer.join()
    assert not faults, faults[:3]
    assert sum(r.transaction is not None for r in s.readers()) == 0, s.readers()
"""


def test_a_view_that_is_read_ends_once_the_call_is_over(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path / "s"), "60"], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr)
