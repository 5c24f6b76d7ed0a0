"""A commit fails; before the thread that made it knows, another process commits under its number, and memory is read.

Prints what the other wrote under, what number the failed commit had, and what was read then and afterwards.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading

import door43fast as d43

OTHER = """
import sys
import door43fast as d43
with d43.LmdbStore(sys.argv[1], durability="none") as store:
    print("open", flush=True)
    for value in sys.stdin:
        store["a"] = value.strip()
        print(store.stats()["transactions"], flush=True)
"""
LIMIT = 60


def main(path):
    # With a journal, since without one a read that finds news waits for whoever is in the middle of a write.
    below = d43.LmdbStore(path, durability="none", journal=True)
    with d43.cascade(d43.MemoryStore(), below) as store, subprocess.Popen(
            [sys.executable, "-c", OTHER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        store["a"] = "ours"
        assert store["a"] == "ours"
        told, tell = os.pipe()
        wait, release = os.pipe()
        raised = []

        def fail():
            ctypes.CDLL(os.environ["LD_PRELOAD"]).d43_stop_behind(tell, wait)
            try:
                store["large"] = bytes(8 << 20)
            except d43.MapFullError as error:
                raised.append(error)
        number = below.stats()["transactions"] + 1
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))      # the other began before it
        writer = threading.Thread(target=fail)
        writer.start()
        os.read(told, 1)
        other.stdin.write("theirs\n")
        other.stdin.flush()
        taken = int(other.stdout.readline())
        between = store["a"]
        os.write(release, b"1")
        writer.join(LIMIT)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store["b"] = "ours again"
        print(json.dumps({"number": number, "taken": taken, "between": between, "after": store["a"],
                          "b": store["b"], "raised": len(raised)}))
        other.stdin.close()


main(sys.argv[1])
