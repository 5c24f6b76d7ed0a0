"""Nothing that may run Python code happens inside the gate of a store: else what it calls may wait for its own caller.

Each case is a process of its own, with a limit: before, it hung.
"""

import subprocess
import sys

import pytest

LIMIT = 20

BEGIN = """
import gc, sys, threading
import door43fast as d43
from door43fast.lmdb import LmdbStore

class Later:
    "In a cycle with itself: found by the collector, at whatever allocation comes then."
    def __init__(self, act):
        self.act, self.me = act, self
    def __del__(self):
        self.act()

def collected(act, call, after):
    "``call()``, while the collector runs ``act`` at the ``after``-th object that is made."
    ran = []
    gc.collect()
    Later(lambda: (gc.set_threshold(100000), ran.append(1), act()))
    gc.set_threshold(after)
    try:
        got = call()
    finally:
        gc.set_threshold(100000)
    gc.collect()
    assert ran
    return got

path = sys.argv[1]
"""

READS = {
    "text with a lone surrogate": ("'a\\udc80' * 20", "s.get('k')"),
    "a batch of objects": ("[1, 'x']", "s.get_many(['k'] * 9)[0]"),
    "a transaction": ("'a\\udc80' * 20", "read_in(s)"),
    "a scan": ("'a\\udc80' * 20", "next(s.scan('k'))[1]"),
    "pop": ("'a\\udc80' * 20", "s.pop('k')"),
    "the readers": ("b'x'", "s.readers() and b'x'"),
    "verify": ("b'x'", "s.verify() and b'x'"),
    "a packed scan": ("b'x'", "next(s.scan_packed())[1][0]"),
    "read to be written anew": ("'a\\udc80' * 20", "s.replace('k', s.get('k'), s.get('k')) and s.get('k')"),
}


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", BEGIN + code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=LIMIT)
    assert done.returncode == 0, (done.returncode, done.stderr)


@pytest.mark.parametrize("name", READS)
def test_a_finalizer_may_close_the_store_that_is_read(tmp_path, name):
    value, call = READS[name]
    run(f"""
def read_in(s):
    with s.transaction() as t:
        return t.get("k")

for after in range(1, 30):
    s = LmdbStore(path, durability="none", max_bytes=1 << 22, compression="zstd")
    s.set("k", {value}, tags=("a",))
    try:
        got = collected(s.close, lambda: {call}, after)
    except d43.ClosedError:
        continue
    assert got == {value}, got
""", tmp_path / "s")


@pytest.mark.parametrize("durability", ["batch", "none", "commit"])
def test_a_finalizer_may_write_while_the_first_write_is_announced(tmp_path, durability):
    run("""
for after in range(1, 60):
    with LmdbStore(f"{path}-{after}", durability=sys.argv[2]) as s:
        collected(lambda: s.set("other", b"2"), lambda: s.set("k", b"1"), after)
        assert s["k"] == b"1" and s["other"] == b"2"
    with LmdbStore(f"{path}-{after}", durability=sys.argv[2]) as s:
        assert s["k"] == b"1" and s["other"] == b"2"
""", tmp_path / "s", durability)


def test_a_finalizer_may_close_while_the_first_write_is_announced(tmp_path):
    run("""
import os
for after in range(1, 60):
    s = LmdbStore(path, durability="batch")
    try:
        collected(s.close, lambda: s.set("k", b"1"), after)
    except d43.ClosedError:
        pass
    assert not [name for name in os.listdir(path) if "unsynced" in name], os.listdir(path)
    with LmdbStore(path, durability="batch") as s:      # nobody is left inside, and no lock is held
        s["k"] = b"2"
""", tmp_path / "s")


def test_what_is_broken_off_leaves_nobody_inside(tmp_path):
    """A signal's handler may raise wherever Python code runs; a tracer does so at a place of our choice."""
    run("""
s = LmdbStore(path, durability="none")
s["k"] = b"1"
calls = []
def trace(frame, event, argument):
    calls.append(frame.f_code.co_name)
    if len(calls) == at:
        raise KeyboardInterrupt
for at in range(1, 40):
    calls.clear()
    threading.setprofile(None)
    sys.settrace(trace)
    try:
        t = s._snapshot()
    except KeyboardInterrupt:
        t = None
    finally:
        sys.settrace(None)
    if t is not None:
        t.close()
closed = threading.Thread(target=s.close, daemon=True)
closed.start()
closed.join(5)
assert not closed.is_alive(), "close() waits for a call that has ended"
""", tmp_path / "s")


def test_a_packed_batch_that_is_spoilt_while_it_is_told_of_holds_up_no_event(tmp_path):
    run("""
import numpy
spoilt = 0
for after in range(1, 40):
    with LmdbStore(f"{path}-{after}", durability="none") as s:
        heard = []
        s.subscribe("*", lambda event: heard.append(event.key))
        offsets = numpy.arange(9)
        def spoil():
            offsets[:] = -1
        try:
            collected(spoil, lambda: s.set_packed([f"k{i}" for i in range(8)], bytes(8), offsets), after)
        except ValueError:
            spoilt += 1
        s["last"] = b"1"
        s.flush()
        assert heard[-1] == "last", heard
assert spoilt
""", tmp_path / "s")


def test_a_finalizer_may_fork_while_a_write_is_told_of(tmp_path):
    run("""
import os, signal
signal.alarm(15)            # also the children's, which would be stuck else
def fork():
    if os.fork():
        assert os.wait()[1] == 0
for after in range(1, 25):
    with LmdbStore(f"{path}-{after}", durability="none") as s:
        parent, s["first"] = os.getpid(), b"1"
        heard = []
        s.subscribe("*", heard.append)
        collected(fork, lambda: s.set_many({f"k{i}": b"v" for i in range(9)}), after)
        s["last"] = b"1"
        s.flush()
        if os.getpid() != parent:
            os._exit(0 if s["k1"] == b"v" and heard[-1].key == "last" else 1)
        assert [event.key for event in heard] == [f"k{i}" for i in range(9)] + ["last"]
""", tmp_path / "s")
