"""py-lmdb under the workload, as a process of its own: ``python -m door43fast.cli.lmdb_peer``.

Takes items, workload and folder as MessagePack on standard input; prints rates as JSON. It must not import our LMDB.
"""

from __future__ import annotations

import sys
from typing import Any

import lmdb
import msgspec

from door43fast.cli import measure
from door43fast.cli.measure import Reader
from door43fast.cli.workload import Workload


def main() -> None:
    """Fill a directory, read it, print the rates."""
    task = msgspec.msgpack.decode(sys.stdin.buffer.read())
    folder = task["folder"]
    environment = lmdb.open(folder, map_size=1 << 34)
    with environment.begin(write=True) as transaction:
        cursor = transaction.cursor()
        cursor.putmulti((key.encode(), value) for key, value in task["items"])
    environment.close()

    def opened() -> tuple[Reader, Any]:
        env = lmdb.open(folder, map_size=1 << 34)

        def single(keys: list[str]) -> int:
            count = 0
            for key in keys:
                with env.begin() as transaction:
                    if transaction.get(key.encode()) is not None:
                        count += 1
            return count

        def batch(keys: list[str]) -> int:
            with env.begin() as transaction:
                found = dict(transaction.cursor().getmulti([key.encode() for key in keys]))
            return len([found.get(key.encode()) for key in keys])

        def scan(prefix: str) -> int:
            start = prefix.encode()
            found = []
            with env.begin() as transaction:
                cursor = transaction.cursor()
                if cursor.set_range(start):
                    for key, value in cursor:
                        if not key.startswith(start):
                            break
                        found.append((key.decode(), value))
            return len(found)

        return Reader(single, batch, scan), env.close

    rates = measure.cold_and_warm(folder, opened, Workload(**task["work"]))
    sys.stdout.buffer.write(msgspec.json.encode(rates))


if __name__ == "__main__":
    main()
