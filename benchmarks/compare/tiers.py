"""The cascade beside the memory store alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import door43fast as d43

from benchmarks.compare.lmdb import directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, values


def hit(quick: bool) -> Result:
    """A hit in the memory tier of ``open(path)``, hot, beside the same store without a disk below it."""
    wanted = keys(1000) * 20
    items = dict(zip(keys(10_000), values(10_000, 32), strict=True))
    with directory() as base, d43.open(base / "store") as stack, d43.MemoryStore(max_bytes=64 << 20) as alone:
        for store in (stack, alone):
            store.set_many(items)
        stack.get_many(list(items))
        contenders = [Contender(name, lambda _, get=get: deque(map(get, wanted), 0))
                      for name, get in ((CONTROL, items.get), (OURS, stack.get), ("MemoryStore", alone.get))]
        return interleave("cascade get, hit in memory", contenders, len(wanted), 9 if quick else 41)


CASES: dict[str, Callable[[bool], Result]] = {"cascade_hit": hit}
