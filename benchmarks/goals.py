"""The goals of the design, each as a row of the report: what is compared with what, and how far it shall be ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.interleave import CONTROL, OURS, Result


@dataclass(frozen=True)
class Goal:
    """One row. ``time``: ours at most ``goal`` times theirs; ``faster``: ours at least ``goal`` times as fast;
    ``smaller``: so many times smaller; ``amount``: at most ``goal`` of the result's unit; ``ahead``: less time than
    each of the others; ``near``: every sample within ``goal`` of 1; ``under``: at most ``goal`` milliseconds."""

    what: str
    case: str
    against: str
    kind: Literal["time", "faster", "smaller", "amount", "ahead", "near", "under"]
    goal: float = 1.0
    ours: str = OURS

    def words(self) -> str:
        return {"time": f"time ≤ {self.goal:.3g}×", "faster": f"≥ {self.goal:g}× faster",
                "smaller": f"≥ {self.goal:g}× smaller",
                "amount": f"≤ {self.goal:g} bytes", "ahead": "ahead of each",
                "near": f"within {self.goal:.0%}", "under": f"≤ {self.goal:g} ms"}[self.kind]

    def measured(self, result: Result) -> tuple[str, bool] | None:
        """What was measured in words, and whether the goal is met; None if a side is missing."""
        if self.kind == "near":
            shares = {name: result.median(name) for name in result.samples}
            return (", ".join(f"{name} {share:.3f}" for name, share in shares.items()),
                    all(abs(share - 1) <= self.goal for share in shares.values()))
        if self.ours not in result.samples:
            return None
        if self.kind == "under":
            took = result.median(self.ours) / 1e6
            return f"{took:.3g} ms", took <= self.goal
        if self.kind == "amount":
            amount = result.median(self.ours)
            theirs = ", ".join(f"{name} {result.median(name):.0f}" for name in result.samples if name != self.ours)
            return f"{amount:.0f} bytes ({theirs})", amount <= self.goal
        if self.kind == "ahead":
            names = [name for name in result.samples if name not in (self.ours, CONTROL)]
            others = {name: result.ratio(name, self.ours) for name in names}
            if not others:
                return None
            return (", ".join(f"{name} {ratio:.1f}×" for name, ratio in others.items() if ratio),
                    all(ratio is not None and ratio > 1 for ratio in others.values()))
        ratio = result.ratio(self.ours, self.against)
        if ratio is None:
            return None
        took = f"{result.median(self.ours):,.0f} / {result.median(self.against):,.0f} {result.unit}"
        if self.kind == "time":
            return f"{ratio:.3g}× ({took})", ratio <= self.goal
        if self.kind == "smaller":
            return f"{1 / ratio:.1f}× ({took})", 1 / ratio >= self.goal
        return f"{1 / ratio:.1f}× ({took})", 1 / ratio >= self.goal


GOALS = [
    Goal("memory `get`, hit, hot", "memory_hit", "dict", "time", 1.2),
    Goal("memory `get`, hit, hot", "memory_hit", "cachebox", "time", 0.9),
    Goal("memory `get`, hit, hot", "memory_hit", "other caches", "ahead"),
    Goal("memory `get`, hit, 100,000 keys", "memory_hit_100k", "dict", "time", 1.2),
    Goal("memory `get`, hit, 100,000 keys", "memory_hit_100k", "cachebox", "time", 0.9),
    Goal("memory `get`, hit, with a TTL", "memory_hit_ttl", "without", "time", 1.15),
    Goal("memory `get`, hit, reads recorded", "memory_hit_recorded", "without", "time", 1.05),
    Goal("memory `get`, miss", "memory_miss", "dict", "time", 1.2),
    Goal("memory `get`, miss", "memory_miss", "cachebox", "time", 1),
    Goal("memory `set` with eviction", "memory_evict", "cachebox", "time", 0.7),
    Goal("memory `get_many`, 1,000 keys", "memory_get_many_1k", "dict", "faster", 2),
    Goal("memory `get_many`, 100,000 random keys", "memory_get_many_100k", "dict", "faster", 1),
    Goal("memory `get_many`, 1 M random keys", "memory_get_many_1m", "dict", "faster", 6),
    Goal("memory `get_many`, 4 M random keys", "memory_get_many_4m", "dict", "faster", 6),
    Goal("memory `get_many`, 1 M random int64", "memory_get_many_int64", "dict", "faster", 6),
    Goal("memory `get_many`, 1 M random texts of an array", "memory_get_many_texts", "dict", "faster", 6),
    Goal("index step, 1 M random int64 (`contains_many`)", "memory_index_step", "pandas", "time", 1.5),
    Goal("longest single `set` while growing to 4 M", "longest_set", "cachebox", "time", 0.05),
    Goal("longest single `set` while growing to 4 M", "longest_set", "dict", "time", 0.05),
    Goal("bookkeeping per entry, 1 M with LRU and TTL", "footprint", "cachebox, lru-dict, dict", "amount", 60),
    Goal("the same, just as the index doubles", "footprint_worst", "cachebox, lru-dict, dict", "amount", 60),
    Goal("resident size of a full store", "resident_size", "`max_bytes`", "near", 0.1),
    Goal("LMDB `get`", "lmdb_get", "py-lmdb", "faster", 3),
    Goal("LMDB `get_many`, 1 M random", "lmdb_get_many", "py-lmdb", "faster", 7),
    Goal("LMDB `get_packed`, 1 M random", "lmdb_get_packed", "py-lmdb", "faster", 10),
    Goal("LMDB `get_packed` by int64 into `out`", "lmdb_rows", "pandas", "time", 1),
    Goal("LMDB `get_many`, absent keys seen before", "lmdb_absent", "py-lmdb", "faster", 7),
    Goal("LMDB cold `get_many`, file evicted", "lmdb_cold", "one by one", "faster", 4),
    Goal("LMDB `set_many`, same durability, random order", "lmdb_set_many", "py-lmdb", "faster", 1.5),
    Goal("LMDB single `set`, `batch`", "lmdb_set", "diskcache", "faster", 7),
    Goal("LMDB `scan`", "lmdb_scan", "py-lmdb", "faster", 2),
    Goal("LMDB `scan_packed`", "lmdb_scan_packed", "py-lmdb", "faster", 5),
    Goal("two threads of LMDB `get_packed`", "lmdb_threads", "one thread", "time", 2 / 1.8, "two threads"),
    Goal("file of aligned verses, compressed", "compressed_size", "raw size", "smaller", 7),
    Goal("compressed verses on two threads (`get_many`)", "compressed_read", "zstandard", "faster", 2),
    Goal("mix 95/5, one process", "mix_95", "stores on disk", "ahead"),
    Goal("mix 50/50, one process", "mix_50", "stores on disk", "ahead"),
    Goal("mix 95/5, four processes", "mix_95_processes", "stores on disk", "ahead"),
    Goal("mix 50/50, four processes", "mix_50_processes", "stores on disk", "ahead"),
    Goal("mix 95/5, one process, `none`", "mix_95_none", "stores that sync nothing", "ahead"),
    Goal("mix 50/50, one process, `none`", "mix_50_none", "stores that sync nothing", "ahead"),
    Goal("mix 95/5, four processes, `none`", "mix_95_processes_none", "stores that sync nothing", "ahead"),
    Goal("mix 50/50, four processes, `none`", "mix_50_processes_none", "stores that sync nothing", "ahead"),
    Goal("cascade, hit in memory", "cascade_hit", "MemoryStore", "time", 1.15),
    Goal("the same over memory and LMDB", "cascade_hit_of_three", "MemoryStore", "time", 1.15, "memory, memory, LMDB"),
    Goal("the same over LMDB and LMDB", "cascade_hit_of_three", "MemoryStore", "time", 1.15, "memory, LMDB, LMDB"),
    Goal("the same over LMDB and Python", "cascade_hit_of_three", "MemoryStore", "time", 1.15, "memory, LMDB, Python"),
    Goal("`get_many` through three layers", "cascade_batch", "loop", "faster", 5),
    Goal("single `set` of `open(path)` under `commit`, write back", "write_back", "through, commit", "faster", 1),
    Goal("first 10,000 reads after opening, warm", "warm_start", "cold", "faster", 1),
    Goal("SQLite `get_many`, 4,096 random keys", "sqlite_get_many", "loop", "faster", 2.5),
    Goal("SQLite `get_many`, 4,096 random keys", "sqlite_get_many", "diskcache", "faster", 4),
    Goal("Redis `get_many`, 4,096 random keys", "redis_get_many", "loop", "faster", 10),
    Goal("Redis `set_many`, 4,096 keys", "redis_set_many", "loop", "faster", 10),
    Goal("the same, with a TTL", "redis_set_many", "loop with a TTL", "faster", 10, "with a TTL"),
    Goal("memory over Redis, hit", "redis_tier", "Redis", "faster", 50),
    Goal("plugin registration", "plugin_layer", "a clock", "under", 1, "registration"),
    Goal("validation of options", "plugin_layer", "a clock", "under", 1, "validation"),
    Goal("detection of the memory granted", "plugin_layer", "a clock", "under", 1, "detection"),
    Goal("detection of the whole host", "plugin_layer", "a clock", "under", 1, "detection of all"),
    Goal("plans for it, with reasons", "plugin_layer", "a clock", "under", 1, "recommendation"),
    Goal("a profile changed, checked and planned", "plugin_layer", "a clock", "under", 1, "a profile, changed"),
    Goal("opening and closing a namespace", "plugin_layer", "a clock", "under", 5, "open namespace"),
    Goal("opening and closing memory", "plugin_layer", "a clock", "under", 5, "open memory"),
    Goal("opening and closing an LMDB store", "plugin_layer", "a clock", "under", 5, "open lmdb"),
    Goal("opening and closing a SQLite store", "plugin_layer", "a clock", "under", 5, "open sqlite"),
]
