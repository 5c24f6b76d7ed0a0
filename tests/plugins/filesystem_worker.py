"""A process that works on a file-system store: what it does is named by its first argument."""

import itertools
import os
import sys

from door43fast.plugins.filesystem import FilesystemStore

what, path, *rest = sys.argv[1:]
if what == "die":           # at the n-th step that changes a name in the file system
    steps = itertools.count(1)
    for name in ("replace", "unlink", "rmdir", "makedirs"):
        def dying(*arguments, call=getattr(os, name), **options):
            if next(steps) == int(rest[0]):
                os._exit(9)
            return call(*arguments, **options)
        setattr(os, name, dying)
store = FilesystemStore(path=path, durability="none", busy_timeout=60)
if what == "die":
    with store.transaction() as t:
        for i in range(4):
            t[f"a/{i}"] = "new"
        t.delete("old/1")
        t["b/c/d"] = "new"
    print("done")
elif what == "count":
    for _ in range(int(rest[0])):
        store.incr("n")
        with store.transaction() as t:
            t[f"by {rest[1]}"] = t.get(f"by {rest[1]}", 0) + 1
elif what == "write":       # acknowledges each write
    n = int(store.get("n", 0))
    while True:
        n += 1
        store.set_many({"n": n, f"k/{n % 50}": n, f"pad/{n % 7}": b"x" * (n % 9000)})
        print(n, flush=True)
elif what == "set":
    store[rest[0]] = rest[1]
store.close()
