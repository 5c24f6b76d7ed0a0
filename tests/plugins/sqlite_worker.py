"""A process that works on a SQLite store: what it does is named by its first argument."""

import sys

from door43fast.plugins.sqlite import SqliteStore

what, path, *rest = sys.argv[1:]
store = SqliteStore(path=path, durability=rest[0] if rest else "none", busy_timeout=60)
if what == "count":
    for _ in range(int(rest[1])):
        store.incr("n")
        with store.transaction() as t:
            t[f"by {rest[2]}"] = t.get(f"by {rest[2]}", 0) + 1
elif what == "hold":
    with store._lock, store._writing():
        print("held", flush=True)
        sys.stdin.readline()
elif what == "write":       # acknowledges each write
    n = int(store.get("n", 0))
    while True:
        n += 1
        store.set_many({"n": n, f"k{n % 50}": n, f"pad{n % 7}": b"x" * (n % 9000)})
        print(n, flush=True)
elif what == "set":
    store[rest[1]] = rest[2]
store.close()
