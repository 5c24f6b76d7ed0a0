"""What Linux tells in files: control groups, of both versions, and mounts. Elsewhere there are none, and no limits.

``root`` is where the files are found: "/" but in tests.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from typing import NamedTuple

NO_LIMIT = 1 << 60      # version 1 says "no limit" by the largest multiple of a page


class Mount(NamedTuple):
    """A mounted file system: where, of which kind, and its own options."""

    at: str
    kind: str
    options: tuple[str, ...]


def lines(root: str, path: str) -> list[str]:
    """The lines of a file of the kernel; none where this kernel has no such file, or keeps it to itself."""
    try:
        with open(root.rstrip("/") + path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def mounts(root: str = "/") -> list[Mount]:
    """Everything that is mounted, the later ones over the earlier ones."""
    found = []
    for line in lines(root, "/proc/self/mountinfo"):
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if dash and len(fields) > 4 and len(rest) > 2:
            # The kernel writes blanks and the like in paths as \040.
            at = fields[4].encode("latin-1", "replace").decode("unicode_escape") if "\\" in fields[4] else fields[4]
            found.append(Mount(at, rest[0], tuple(rest[2].split(","))))
    return found


def kind_of(path: str, mounted: list[Mount]) -> tuple[str | None, str | None]:
    """The kind of the file system that ``path``, a real one, is on, and where that is mounted."""
    best: Mount | None = None
    for mount in mounted:
        inside = path == mount.at or path.startswith(mount.at.rstrip("/") + "/")
        if inside and (best is None or len(mount.at) >= len(best.at)):
            best = mount
    return (None, None) if best is None else (best.kind, best.at)


def _groups(root: str, controller: str, mounted: list[Mount] | None) -> Iterator[tuple[int, str]]:
    """The version and the folder of each control group that rules over this process: its own, and those above."""
    for line in lines(root, "/proc/self/cgroup"):
        _, controllers, group = (line.split(":", 2) + ["", ""])[:3]
        if controllers == "":
            version, kind, home, sign = 2, "cgroup2", "/sys/fs/cgroup", "/cgroup.controllers"
        elif controller in controllers.split(","):
            version, kind, home, sign = 1, "cgroup", f"/sys/fs/cgroup/{controller}", ""
        else:
            continue
        if not os.path.exists(root.rstrip("/") + home + sign):      # not in the usual place
            mounted = mounts(root) if mounted is None else mounted
            home = next((mount.at for mount in mounted if mount.kind == kind and (
                version == 2 or controller in mount.options)), "")
            if not home:
                continue
        # A limit may stand on any group above; in a container the own group's path may not be there to be seen.
        while group.strip("/"):
            yield version, home + group
            group = posixpath.dirname(group)
        yield version, home


def memory_limit(root: str = "/", mounted: list[Mount] | None = None) -> int | None:
    """The least memory in bytes that the control groups of this process grant; None for no limit."""
    limits = [int(text) for version, folder in _groups(root, "memory", mounted)
              for text in lines(root, f"{folder}/{'memory.max' if version == 2 else 'memory.limit_in_bytes'}")
              if text.strip().isdigit()]
    limits = [limit for limit in limits if limit < NO_LIMIT]
    return min(limits) if limits else None


def cpu_quota(root: str = "/", mounted: list[Mount] | None = None) -> float | None:
    """How many processors' time the control groups of this process grant; None for no limit."""
    quotas = []
    for version, folder in _groups(root, "cpu", mounted):
        if version == 2:
            found = " ".join(lines(root, f"{folder}/cpu.max")).split()
        else:
            found = [*lines(root, f"{folder}/cpu.cfs_quota_us"), *lines(root, f"{folder}/cpu.cfs_period_us")]
        if len(found) == 2 and all(one.isdigit() for one in found) and int(found[1]) > 0:   # else "max", or -1
            quotas.append(int(found[0]) / int(found[1]))
    return min(quotas) if quotas else None


def existing(path: str) -> str:
    """The directory, or the nearest above it that there is, with links followed."""
    path = os.path.realpath(path)
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
