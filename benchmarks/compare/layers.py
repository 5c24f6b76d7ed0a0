"""Write-back beside write-through, and a warm start beside a cold one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import door43fast as d43
from door43fast.layers import WriteBuffer

from benchmarks.compare.lmdb import directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, values


def write_back(quick: bool) -> Result:
    """Single sets of ``open(path)``, each synced under ``commit``, beside ``write="back"``, its last flush included."""
    names = keys(200 if quick else 1000)
    value = values(1, 300)[0]
    items: dict[Any, Any] = {}

    def sets(store: Any, flush: bool) -> None:
        deque((store.set(key, value) for key in names), 0)
        if flush:
            store.flush()

    with directory() as base:
        stores = {f"{write}, {durability}": d43.open(base / f"{write}-{durability}", write=write, durability=durability)
                  for write in ("through", "back") for durability in ("commit", "batch")}
        contenders = [Contender(CONTROL, lambda _: deque((items.__setitem__(key, value) for key in names), 0))]
        for name, store in stores.items():
            contenders.append(Contender(name, lambda _, store=store, name=name: sets(store, name.startswith("back"))))
        result = interleave("single sets, the last flush included", contenders, len(names), 3 if quick else 9)
        for store in stores.values():
            store.close()
    result.samples[OURS] = result.samples["back, commit"]
    return result


def dirty_reads(quick: bool) -> Result:
    """Reads of keys that are dirty, beside those of the same keys below, without a memory tier."""
    names = keys(1000)
    items = dict(zip(names, values(1000, 300), strict=True))
    with directory() as base:
        flushed = d43.LmdbStore(base / "s", durability="none")
        dirty = WriteBuffer(d43.LmdbStore(base / "d", durability="none"), delay=1e6)
        through = WriteBuffer(d43.LmdbStore(base / "t", durability="none"), delay=1e6)
        for store in (flushed, dirty, through):
            store.set_many(items)
        through.flush()
        contenders = [Contender(CONTROL, lambda _: deque(map(items.get, names), 0)),
                      Contender(OURS, lambda _: deque(map(dirty.get, names), 0)),
                      Contender("dirty, get_many", lambda _: dirty.get_many(names)),
                      Contender("a buffer with nothing dirty", lambda _: deque(map(through.get, names), 0)),
                      Contender("LmdbStore", lambda _: deque(map(flushed.get, names), 0))]
        result = interleave("get of a dirty key", contenders, len(names), 5 if quick else 21)
        for store in (flushed, dirty, through):
            store.close()
    return result


def warm_start(quick: bool) -> Result:
    """The first reads after ``open``, cold and warm; and the openings themselves, as nanoseconds for each read."""
    names = keys(2_000 if quick else 10_000)
    items = dict(zip(names, values(len(names), 300), strict=True))
    with directory() as base:
        with d43.open(base / "s", warm=True) as store:
            store.set_many(items)
            store.get_many(names)

        def opening(warm: bool) -> Any:
            return lambda: d43.open(base / "s", warm=warm)

        def reads(store: Any) -> None:
            deque(map(store.get, names), 0)

        def close(store: Any) -> None:
            store.close()
        contenders = [Contender(CONTROL, lambda _: deque(map(items.get, names), 0)),
                      Contender("cold", reads, opening(False), close), Contender(OURS, reads, opening(True), close),
                      Contender("open and close, cold", lambda _: opening(False)().close()),
                      Contender("open and close, warm", lambda _: opening(True)().close())]
        return interleave("first reads after open", contenders, len(names), 5 if quick else 15)


CASES: dict[str, Callable[[bool], Result]] = {"write_back": write_back, "dirty_reads": dirty_reads,
                                              "warm_start": warm_start}
