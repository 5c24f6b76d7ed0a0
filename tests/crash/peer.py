"""py-lmdb, in a process of its own: for each directory that it reads, what it finds there, as one line of JSON.

The checksum of each record by its key, and what its verifier, which walks over the file without LMDB, has against it.
"""

import json
import sys

import lmdb
from lmdb.verify import verify


def hashes(path):
    with lmdb.open(path, readonly=True, max_dbs=16) as env, env.begin() as txn:
        records = list(txn.cursor(env.open_db(b"data", txn, create=False)))
        for _, row in txn.cursor(env.open_db(b"long", txn, create=False)):
            size = int.from_bytes(row[:4], "little")        # of the key, which stands before its frame
            records.append((row[4:4 + size], row[4 + size:]))
    return {key.decode(): int.from_bytes(frame[:8], "little") for key, frame in records}


if __name__ == "__main__":
    for line in sys.stdin:
        path = line.rstrip("\n")
        print(json.dumps([hashes(path), [str(error) for error in verify(path)]]), flush=True)
