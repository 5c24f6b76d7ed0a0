"""Keys of more than 511 bytes: some that begin alike, some that have one hash, and their table as py-lmdb reads it."""

import json
import tempfile

HEAD = 494              # bytes of a key that its row stands under


def group(count, head="h" * HEAD, tail=30):
    """Keys of one head, in order."""
    return [head + f"{i:0{tail}d}" for i in range(count)]


def twins(count, head=b"h" * HEAD):
    """Different keys with one head and one XXH3-128, and so one XXH3-64.

    XXH3 multiplies the halves of each eight bytes, after the secret is laid over them, and adds the product to one sum
    and the eight bytes to another. Where the lower half is the secret itself the product is 0, whatever the upper half
    is; so of two such places what the one has more and the other less cancels out. These are eight bytes each at 512
    and 576, and the first four of them are those of the secret at 64 and 72 of the 192 that XXH3 has by default.
    """
    made = []
    for i in range(count):
        key = bytearray(head + bytes(900 - len(head)))
        key[512:520] = bytes.fromhex("3c2852bb") + i.to_bytes(4, "little")
        key[576:584] = bytes.fromhex("88d0658b") + (2**31 - i).to_bytes(4, "little")
        made.append(bytes(key))
    return made


DUMP = """
import json, lmdb, sys
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=16)
with env.begin() as txn, txn.cursor(env.open_db(b"long", txn, create=False)) as cursor:
    json.dump([(k.hex(), v.hex()) for k, v in cursor], sys.stdout)
"""

PUT = """
import json, lmdb, sys
env = lmdb.open(sys.argv[1], max_dbs=16, map_size=1 << 30)
with env.begin(write=True) as txn:
    db = env.open_db(b"long", txn, create=False)
    for old, new, value in json.load(open(sys.argv[2])):
        if old:
            txn.delete(bytes.fromhex(old), db=db)
        if new:
            txn.put(bytes.fromhex(new), bytes.fromhex(value), db=db)
"""


def rows(judge, path):
    return {bytes.fromhex(k): bytes.fromhex(v) for k, v in judge(DUMP, path)}


def put(judge, path, *changes):
    """Each change is the place of a row to remove, the place of one to write, and that one; b"" for none."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:      # an argument may not be as long as a row
        json.dump([[part.hex() for part in change] for change in changes], file)
        file.flush()
        judge(PUT, path, file.name)
