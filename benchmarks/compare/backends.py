"""What a registration, a check and an opening cost; SQLite's batches beside single reads and diskcache."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable
from typing import Any

import door43fast as d43
from door43fast import config
from door43fast.host import detect, memory_granted, recommend
from door43fast.plugins import Registry
from door43fast.profiles import BIBLE_READER
from door43fast.plugins.sqlite import SqliteOptions, SqliteStore

from benchmarks.compare.lmdb import directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, values

PLAN = {"path": "cache.db", "durability": "batch", "ttl": "5m", "wal_bytes": "64MB", "busy_timeout": "10s"}


def get_many(quick: bool) -> Result:
    """4,096 random keys of 20,000: in one batch, one by one, and from diskcache."""
    names = keys(20_000)
    items = dict(zip(names, map(str, values(20_000, 32)), strict=True))
    wanted = [names[i * 7919 % 20_000] for i in range(4096)]
    with directory() as base, SqliteStore(path=base / "s.db", durability="none") as store:
        store.set_many(items)
        contenders = [Contender(CONTROL, lambda _: deque(map(items.get, wanted), 0)),
                      Contender(OURS, lambda _: store.get_many(wanted)),
                      Contender("loop", lambda _: deque(map(store.get, wanted), 0))]
        missing = []
        if importlib.util.find_spec("diskcache"):
            import diskcache

            cache = diskcache.Cache(str(base / "diskcache"))
            with cache.transact():
                for name, value in items.items():
                    cache.set(name, value)
            contenders.append(Contender("diskcache", lambda _: deque(map(cache.get, wanted), 0)))
        else:
            missing.append("diskcache")
        return interleave("SQLite get_many, 4,096 random keys", contenders, len(wanted), 5 if quick else 21, missing)


class Plugin:
    """A plugin that opens nothing."""

    Options = SqliteOptions

    @staticmethod
    def open(options: Any) -> Any:
        return options


def overheads(quick: bool) -> Result:
    """Registration, validation, detection of the host, advice, and opening of each backend, in nanoseconds each."""
    with directory() as base, d43.MemoryStore() as store:
        count = iter(range(1 << 30))

        def register(_: Any) -> None:
            Registry(discover=False).register("plugin", Plugin)
        return interleave("plugin layer", [
            Contender(CONTROL, lambda _: dict(PLAN)),
            Contender("registration", register),
            Contender("validation", lambda _: config.checked(SqliteOptions, PLAN, "plan")),
            Contender("detection", lambda _: memory_granted()),
            Contender("detection of all", lambda _: detect(base)),
            Contender("recommendation", lambda _: recommend(expected_bytes=10**8, path=base / "r")),
            Contender("a profile, changed", lambda _: BIBLE_READER.extended("n", memory={"ttl": 5}).plan("p")),
            Contender("open namespace", lambda _: d43.namespace(store, "n").close()),
            Contender("open memory", lambda _: d43.open("memory:").close()),
            Contender("open lmdb", lambda _: d43.open(f"lmdb:///{base}/l").close()),
            Contender("open sqlite", lambda _: d43.open(f"sqlite:///{base}/s.db").close()),
            # What making new files costs is that of the disk's syncs.
            Contender("make lmdb", lambda _: d43.open(f"lmdb:///{base}/l{next(count)}").close()),
            Contender("make sqlite", lambda _: d43.open(f"sqlite:///{base}/s{next(count)}.db").close()),
        ], 1, 9 if quick else 51)


def namespaces(quick: bool) -> Result:
    """What a namespace of an LMDB store costs beside the store: one key at a time, and 1,000 in a batch."""
    names = keys(1_000)
    items = dict(zip(names, values(1_000, 300), strict=True))
    with directory() as base, d43.LmdbStore(base / "s", durability="none") as store:
        space = d43.namespace(store, "n", max_bytes="1GB")
        contenders = [Contender(CONTROL, lambda _: deque(map(items.get, names), 0))]
        for name, one in (("namespace", space), ("store", store)):
            one.set_many(items)
            contenders += [
                Contender(f"{name} get", lambda _, one=one: deque(map(one.get, names), 0)),
                Contender(f"{name} get_many", lambda _, one=one: one.get_many(names)),
                Contender(f"{name} set", lambda _, one=one: deque((one.set(key, b"x") for key in names), 0)),
                Contender(f"{name} set_many", lambda _, one=one: one.set_many(items))]
        return interleave("a namespace beside its store, a key", contenders, len(names), 5 if quick else 21)


CASES: dict[str, Callable[[bool], Result]] = {"sqlite_get_many": get_many, "plugin_layer": overheads,
                                              "namespaces": namespaces}
