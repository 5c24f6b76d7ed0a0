"""A process that asks for what has to be computed: what it does is named by its first argument.

``one`` store is named by kind and path, as in ``sqlite /tmp/x``. Each computation adds a line to the file ``loads``.
"""

import asyncio
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import door43fast as d43


def opened(kind, path, **options):
    if kind == "lmdb":
        return d43.LmdbStore(path, durability="none", **options)
    if kind == "cascade":
        return d43.open(path, durability="none", **options)
    if kind == "redis":
        return d43.open(path, namespace=os.environ["NAMESPACE"], **options)
    if kind in ("parallel", "fallback", "nested"):      # over two layers, the first of another kind
        layers = [opened("sqlite" if kind == "fallback" else "lmdb", f"{path}-one"), opened("file", f"{path}-two")]
        store = d43.primary_fallback(*layers) if kind == "fallback" else d43.parallel(*layers)
        return d43.cascade(d43.MemoryStore(max_bytes=1 << 20), store) if kind == "nested" else store
    scheme = {"sqlite": "sqlite", "file": "file", "tiered": "sqlite"}[kind]
    if kind == "tiered":
        options["memory"] = "20MB"
    return d43.open(f"{scheme}:///{path}", durability="none", **options)


def loader(loads, seconds, value="value"):
    def load():
        with open(loads, "ab", buffering=0) as file:
            file.write(f"{os.getpid()}\n".encode())
        time.sleep(seconds)
        return value
    return load


def ask(store, threads, fn, key="k", **options):
    """The answers to so many threads that ask at once."""
    got = []
    workers = [threading.Thread(target=lambda: got.append(store.get_or_compute(key, fn, **options)))
               for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return got


async def ask_in_loop(store, tasks, fn, key="k"):
    return await asyncio.gather(*(store.aio.get_or_compute(key, fn) for _ in range(tasks)))


def main():
    what, kind, path, loads, *rest = sys.argv[1:]
    with opened(kind, path) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        if what == "threads":
            print(*ask(store, int(rest[0]), loader(loads, float(rest[1]))), flush=True)
        elif what == "tasks":
            print(*asyncio.run(ask_in_loop(store, int(rest[0]), loader(loads, float(rest[1])))), flush=True)
        elif what == "hold":        # computes until it is killed, or told to end
            def fn():
                loader(loads, 0)()
                print("computing", flush=True)
                sys.stdin.readline()
                return "late"
            print(store.get_or_compute("k", fn, deadline=float(rest[0]) if rest else 30), flush=True)
        elif what == "set":
            store[rest[0]] = rest[1]
        elif what == "delete":
            print(store.delete(rest[0]), flush=True)
        elif what == "both":
            store[rest[0]] = "short-lived"
            del store[rest[0]]
        elif what == "clear":
            store.clear()
        elif what == "cycle":
            mine, other, wait = rest
            def fn():
                print("computing", flush=True)
                sys.stdin.readline()
                return store.get_or_compute(other, fn_of_other, deadline=float(wait))
            def fn_of_other():
                return store.get_or_compute(mine, lambda: "never", deadline=float(wait))
            try:
                print("value", store.get_or_compute(mine, fn, deadline=float(wait)), flush=True)
            except d43.DeadlockError as error:
                print("deadlock", error, flush=True)


if __name__ == "__main__":
    main()
