"""A damaged store that is set aside, under the recorder: its directory. Says in its records what was acknowledged."""

import ctypes
import os
import sys
import warnings

from door43fast.lmdb import LmdbStore

note = ctypes.CDLL(None).d43_note
with LmdbStore(sys.argv[1]) as store:
    store["old"] = b"o" * 9000
note(b"damaged")
fd = os.open(f"{sys.argv[1]}/data.mdb", os.O_RDWR)
os.pwrite(fd, bytes(4096), 4096)
os.fsync(fd)
os.close(fd)
warnings.simplefilter("ignore")
with LmdbStore(sys.argv[1], on_damage="set_aside") as store:
    note(b"aside")
    store["new"] = b"n" * 9000
    note(b"written")
