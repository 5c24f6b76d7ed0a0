"""Which stores suit this machine and this use: a list of rules, each of which gives or takes points and says why."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from door43fast.errors import ConfigError
from door43fast.host.survey import DEFAULT_MEMORY, Host, detect

PERFORMANCE = ("low", "medium", "high")
SHARE = {"low": 32, "medium": 8, "high": 4}             # the part of the memory granted that a tier takes
CAP = {"low": 32 << 20, "medium": 256 << 20, "high": 2 << 30}
LEAST_TIER = 1 << 20
LEAST_DISK = 8 << 20        # below that nothing is kept on the disk
MOST = 1 << 44              # bytes that may be asked for; more is taken for that
MANY = 10.0                 # reads a write


class Choice(NamedTuple):
    """A plan that ``door43fast.open`` takes, the points it got, and why."""

    name: str
    plan: dict[str, Any]
    score: int
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**self._asdict(), "reasons": list(self.reasons)}


class Wish(NamedTuple):
    """What is asked for, with what was no answer taken for none; ``notes`` say what was."""

    bytes: int | None
    ratio: float | None
    offline: bool
    performance: str
    notes: tuple[str, ...]


def recommend(*, expected_bytes: Any = None, read_write_ratio: Any = None, offline: Any = False,
              performance: Any = "medium", path: Any = "door43-store", host: Host | None = None) -> list[Choice]:
    """Plans for a store, the best first. Never raises: what makes no sense is taken for unknown, and a reason says so.

    Parameters
    ----------
    expected_bytes : int, optional
        How much will be kept.
    read_write_ratio : float, optional
        Reads for each write.
    offline : bool
        What is kept cannot be fetched anew: nothing may be evicted, and no acknowledged write lost.
    performance : {"low", "medium", "high"}
        How much memory it may take for being fast.
    path : path
        Where what is on disk will be.
    host : Host, optional
        The machine; what ``detect(path)`` finds if not given.

    Returns
    -------
    list of Choice
        At least one. Each ``plan`` is a dict that ``door43fast.open`` takes. The same for the same arguments.
    """
    wish = _wish(expected_bytes, read_write_ratio, offline, performance)
    try:
        path = os.fsdecode(path)
        if not path or "\0" in path:
            raise ValueError
    except (TypeError, ValueError):
        wish = wish._replace(notes=(*wish.notes, f"path={path!r} is none: taken as 'door43-store'"))
        path = "door43-store"
    if host is None:
        try:
            host = detect(path)
        except ConfigError as error:
            host = detect(path, environ={})
            wish = wish._replace(notes=(*wish.notes, f"the environment was left out: {error}"))
    choices = [_memory(wish, host), *_on_disk(wish, host, path)]
    choices = [one._replace(reasons=one.reasons + wish.notes) for one in choices]
    return sorted(choices, key=lambda one: (-one.score, one.name))


def _number(value: Any) -> float | None:
    """A number of 0 or more, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) or value < 0 else value


def _wish(expected: Any, ratio: Any, offline: Any, performance: Any) -> Wish:
    notes = []
    size, share = _number(expected), _number(ratio)
    for name, given, taken in (("expected_bytes", expected, size), ("read_write_ratio", ratio, share)):
        if given is not None and taken is None:
            notes.append(f"{name}={given!r} is no number of 0 or more: taken as unknown")
    if not isinstance(performance, str) or performance not in PERFORMANCE:
        notes.append(f"performance={performance!r} is none of {', '.join(PERFORMANCE)}: taken as medium")
        performance = "medium"
    if not isinstance(offline, bool):
        notes.append(f"offline={offline!r} is neither True nor False: taken as True, which loses nothing")
        offline = True
    return Wish(None if size is None else int(min(size, MOST)), share, offline, performance, tuple(notes))


# -- the candidates --------------------------------------------------------------------------------------------


def _tier(wish: Wish, host: Host) -> tuple[int, str]:
    """Bytes of a memory tier, and why so many."""
    memory = host.memory or DEFAULT_MEMORY
    share, cap = SHARE[wish.performance], CAP[wish.performance]
    why = f"a {_ordinal(share)} of the {_size(memory)} that this process may use"
    amount = memory // share
    if wish.ratio is not None and wish.ratio >= MANY:
        amount, why = amount * 2, f"two {_ordinal(share)}s of the {_size(memory)}, for it is read far more than written"
    if amount > cap:
        amount, why = cap, f"the most for performance={wish.performance!r}"
    if wish.bytes is not None and 2 * wish.bytes < amount:
        amount, why = 2 * wish.bytes, "twice what is expected, which holds all of it"
    return max(amount, LEAST_TIER), f"memory of {_size(max(amount, LEAST_TIER))}: {why}"


def _memory(wish: Wish, host: Host) -> Choice:
    granted = host.memory or DEFAULT_MEMORY
    amount, why = _tier(wish, host)
    score, reasons = 30, ["memory alone: the fastest, and gone when the process ends", why]
    if wish.offline:
        score -= 100
        reasons.append("offline=True: what is kept must outlive the process")
    elif wish.bytes is not None and wish.bytes * 4 <= granted and wish.performance == "high":
        score += 90
        reasons.append(f"all of it fits into a quarter of the {_size(granted)} of memory")
        amount = max(amount, 2 * wish.bytes)
    return Choice("memory", {"type": "memory", "max_bytes": amount, "policy": _policy(amount)}, score, tuple(reasons))


def _on_disk(wish: Wish, host: Host, path: str) -> list[Choice]:
    """The plans that need a disk; none where it cannot be written or is full."""
    free = host.disk_free
    if not host.writable or free is not None and free < LEAST_DISK:
        return []
    shared, (for_lmdb, for_sqlite, for_files) = _disk_rules(wish, host)
    kept, keep, why_kept = _kept(wish, free)
    durability = "commit" if wish.offline else "batch"
    why_durable = ("offline=True: every acknowledged write survives a power loss" if wish.offline else
                   "what a power loss may cost (100 ms) can be fetched anew")
    amount, why = _tier(wish, host)
    top = {"type": "memory", "max_bytes": amount, "policy": _policy(amount)}
    lmdb: dict[str, Any] = {"type": "lmdb", "path": path, "durability": durability}
    if keep is not None:
        lmdb["max_bytes"] = keep
    sqlite = {"type": "sqlite", "path": f"{path}.sqlite", "durability": durability}
    files = {"type": "filesystem", "path": f"{path}.files", "durability": "commit" if wish.offline else "none"}
    found = []
    if host.native.get("lmdb"):
        extra, said = for_lmdb, [*shared, why_durable, *why_kept]
        if host.bits < 64:
            extra, said = extra - 80, [*said, "a process of 32 bits has little room for LMDB's map"]
        few = wish.ratio is not None and wish.ratio < 1
        found.append(Choice("memory over LMDB", {"strategy": "cascade", "layers": [top, lmdb]},
                            100 + extra + kept - 30 * few - 30 * (wish.performance == "low"),
                            ("LMDB keeps everything, and memory answers what was asked for before", why, *said)))
        found.append(Choice("LMDB", lmdb, 80 + extra + kept, (
            "LMDB alone: reads from the system's memory, with no second copy in this process",
            *(["it is written more than read, so a memory tier would be filled in vain"] if few else []), *said)))
    # The others have no budget: where something must go, they are behind.
    unbounded = ["has no budget: what is kept grows until the disk is full"] if keep is not None else []
    worse = -20 if keep is not None else 0
    if host.sqlite:
        found.append(Choice("memory over SQLite", {"strategy": "cascade", "layers": [top, sqlite]},
                            60 + for_sqlite + worse + kept, ("one file, which every SQLite shell reads", why, *shared,
                                                         why_durable, *unbounded)))
    if host.system not in ("win32", "cygwin"):
        found.append(Choice("files", files, 40 + for_files + worse + kept, (
            "a file for each record, to be browsed and read by any tool", *shared,
            why_durable if wish.offline else "a power loss may cost what the system had not written by then",
            *unbounded)))
    return found


def _disk_rules(wish: Wish, host: Host) -> tuple[list[str], tuple[int, int, int]]:
    """What this disk means for all that is on it, and points for LMDB, SQLite and files."""
    kind = host.file_system or host.disk
    if host.disk == "remote":
        return [f"{host.path!r} is on a network ({kind}), where locks and maps are not to be trusted: choose a local "
                "disk, or let one process alone use it"], (-180, -120, -60)
    if host.disk == "volatile":
        less = -50 if wish.offline else -20
        return [f"{host.path!r} is on {kind}, which is gone with the next start: choose a disk"], (less, less, less)
    return [], (0, 0, 0)


def _kept(wish: Wish, free: int | None) -> tuple[int, int | None, list[str]]:
    """Points, the budget on disk (None for none) and why."""
    if wish.offline:
        if free is not None and wish.bytes is not None and wish.bytes * 3 // 2 > free:
            return -50, None, [f"{_size(wish.bytes)} are expected, and only {_size(free)} are free: some will not fit"]
        return 0, None, ["offline=True: nothing is evicted"]
    room = None if free is None else 1 << (free // 2).bit_length() - 1       # rounded, so that it stays the same
    if wish.bytes is not None:
        wanted = max(2 * wish.bytes, LEAST_DISK)
        if room is None or wanted <= room:
            return 0, wanted, [f"at the most {_size(wanted)} on disk: twice what is expected"]
    if room is None:
        return 0, None, []
    return 0, room, [f"at the most {_size(room)} on disk: about half of what is free"]


def _policy(amount: int) -> str:
    """Some hundred entries are what ``s3fifo`` needs to learn; see docs/policies.md."""
    return "s3fifo" if amount > 4 << 20 else "lru"


def _ordinal(share: int) -> str:
    return {4: "quarter", 8: "eighth", 32: "thirty-second"}[share]


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
