"""A process that writes to a store with a journal, or listens to it: see test_following.py.

Arguments: what, path, and for a writer its name and how many; for a listener how many, after which number, and how it
listens: "callback", "queue" or "loop". A writer's values are the times of ``time.monotonic()`` at which it wrote.
"""

import asyncio
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import door43fast as d43

what, path, *rest = sys.argv[1:]


def listen(store, count, since, how):
    """(seq, origin, key, seconds that it took) of so many events."""
    heard = []

    def note(event):
        heard.append((event.seq, event.origin, event.key, time.monotonic() - event.value))
    options = {"values": True, "others": True, "since": since, "every": 0.005}
    if how == "callback":
        enough = threading.Event()
        subscription = store.subscribe("*", lambda event: (note(event), len(heard) >= count and enough.set()),
                                       **options)
        print("ready", flush=True)
        enough.wait(100)
        subscription.cancel()
    elif how == "queue":
        with store.subscribe("*", queue=count, **options) as events:
            print("ready", flush=True)
            for event in events:
                note(event)
                if len(heard) >= count:
                    break
    else:
        async def loop():
            async with store.aio.subscribe("*", queue=count, **options) as events:
                print("ready", flush=True)
                async for event in events:
                    note(event)
                    if len(heard) >= count:
                        break
        asyncio.run(loop())
    return heard


def main():
    with d43.open(path, journal=True, durability="none") as store:
        if what == "write":
            print("ready", flush=True)
            sys.stdin.readline()
            for i in range(int(rest[1])):
                store[f"{rest[0]}/{i}"] = time.monotonic()
                if i % 50 == 0:
                    time.sleep(0.001)
        else:
            json.dump(listen(store, int(rest[0]), int(rest[1]) if rest[1] else None, rest[2]), sys.stdout)


main()
