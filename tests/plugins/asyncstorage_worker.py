"""A process that writes to a storage and dies at the n-th step that changes a name in the file system."""

import itertools
import os
import sys

from door43fast.plugins.asyncstorage import AsyncStorageStore

path, at, key, *value = sys.argv[1:]
steps = itertools.count(1)
store = AsyncStorageStore(path=path, durability="none")
for name in ("replace", "unlink"):
    def dying(*arguments, call=getattr(os, name), **options):
        if next(steps) == int(at):
            os._exit(9)
        return call(*arguments, **options)
    setattr(os, name, dying)
if value:
    store[key] = value[0] * int(value[1])
else:
    del store[key]
store.close()
