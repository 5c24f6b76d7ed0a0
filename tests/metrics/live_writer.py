"""A process that has a store open, writes to it and publishes its metrics, until its input ends."""

import sys
import threading

import door43fast as d43


def main(path):
    with d43.open(path, journal=True, publish_metrics=0.1) as store:
        store.measure(1)
        done = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
        number = 0
        store["k0"] = 0
        print("ready", flush=True)
        while not done.wait(0.002):
            number += 1
            store[f"k{number}"] = number
            store.get(f"k{number}"), store.get("missing")


if __name__ == "__main__":
    main(sys.argv[1])
