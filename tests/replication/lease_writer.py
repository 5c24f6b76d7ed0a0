"""A process that has a replicated set open by a lease and writes a counter, telling each outcome in a line.

``python lease_writer.py FOLDER LEASE SECONDS``: until its input ends. At a line of input it stops itself, between two
writes: stopped in the middle of one it would keep the lock of the LMDB directory, and nobody could write there.
"""

import os
import signal
import sys
import threading
import time

import door43fast as d43

folder, url, seconds = sys.argv[1:]
ended, stop = threading.Event(), threading.Event()


def listen():
    for _ in sys.stdin:
        stop.set()
    ended.set()


def opened(name):
    return d43.LmdbStore(f"{folder}/{name}", durability="none", journal=True)


threading.Thread(target=listen, daemon=True).start()
lease = d43.open(url)
with d43.replicated(opened("m0"), [opened("m1")], lease=lease, lease_ttl=float(seconds)) as store:
    i = 0
    while not ended.is_set():
        i += 1
        try:
            store["count"] = i
            print("written", i, store.term, flush=True)
        except d43.FencedError:
            print("fenced", i, store.term, flush=True)
            time.sleep(0.05)
        except d43.Error as error:
            print("error", i, repr(error), flush=True)
            time.sleep(0.05)
        if stop.is_set():
            stop.clear()
            os.kill(os.getpid(), signal.SIGSTOP)
lease.close()
