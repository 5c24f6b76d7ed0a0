"""The cascade beside the memory store alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import door43fast as d43
from door43fast import reference
from door43fast.layers import Call, Wrapper

from benchmarks.compare.lmdb import directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import drawn, keys, values


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


def three(base: Path) -> dict[str, Any]:
    """Stacks of three layers, by name."""
    disk, memory = d43.LmdbStore, lambda: d43.MemoryStore(max_bytes=64 << 20)
    return {
        "memory, memory, LMDB": d43.cascade(memory(), d43.cascade(memory(), disk(base / "a", durability="none"))),
        "memory, LMDB, LMDB": d43.cascade(memory(), Over(disk(base / "b", durability="none"),
                                                         disk(base / "c", durability="none"))),
        "memory, LMDB, Python": d43.cascade(memory(), Over(disk(base / "d", durability="none"),
                                                           reference.MemoryStore())),
    }


class Over(Wrapper):
    """One store over another, in Python: both are written to, the upper one is read. Others may write to each."""

    def __init__(self, upper: Any, lower: Any) -> None:
        super().__init__(upper)
        self.lower = lower

    def _watched(self) -> tuple[Any, ...]:
        return self.slow, self.lower

    def _change(self, call: Call) -> Any:
        call.on(self.lower)
        return call.on(self.slow)

    def close(self) -> None:
        super().close()
        self.lower.close()


def hit_of_three(quick: bool) -> Result:
    """A hit in the memory tier of three layers, hot, beside the memory store alone."""
    wanted = keys(1000) * 20
    items = dict(zip(keys(10_000), values(10_000, 32), strict=True))
    with directory() as base, d43.MemoryStore(max_bytes=64 << 20) as alone:
        stacks = three(base)
        for store in (*stacks.values(), alone):
            store.set_many(items)
            store.get_many(list(items))
        contenders = [Contender(name, lambda _, get=get: deque(map(get, wanted), 0))
                      for name, get in ((CONTROL, items.get), ("MemoryStore", alone.get),
                                        *((name, store.get) for name, store in stacks.items()))]
        result = interleave("hit in memory over two layers", contenders, len(wanted), 9 if quick else 41)
        for store in stacks.values():
            store.close()
        result.samples[OURS] = result.samples["memory, memory, LMDB"]
        return result


def batch(quick: bool) -> Result:
    """A batch that finds a third of its keys in each of three layers, where they stay, beside a loop of ``get``."""
    count = 3_000 if quick else 30_000
    stored = keys(count)
    items = dict(zip(stored, values(count, 32), strict=True))
    wanted = drawn(count, count)
    with directory() as base:
        bottom = d43.LmdbStore(base / "store", durability="none")
        middle = d43.cascade(d43.MemoryStore(), bottom, promote="never")
        stack = d43.cascade(d43.MemoryStore(), middle, promote="never")
        bottom.set_many({key: items[key] for key in stored[2 * count // 3:]})
        middle.set_many({key: items[key] for key in stored[count // 3: 2 * count // 3]})
        stack.set_many({key: items[key] for key in stored[:count // 3]})
        contenders = [Contender(CONTROL, lambda _: [items.get(key) for key in wanted]),
                      Contender("loop", lambda _: [stack.get(key) for key in wanted]),
                      Contender(OURS, lambda _: stack.get_many(wanted))]
        result = interleave("get_many through three layers", contenders, len(wanted), 5 if quick else 15)
        stack.close()
        return result


CASES: dict[str, Callable[[bool], Result]] = {
    "cascade_hit": hit, "cascade_hit_of_three": hit_of_three, "cascade_batch": batch}
