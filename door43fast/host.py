"""What the machine grants this process."""

from __future__ import annotations

import os
from pathlib import Path


def memory_granted() -> int:
    """Bytes of memory that this process may use: the least of its cgroups' limits and what the machine has.

    Returns
    -------
    int
        Bytes. 1 GiB where the system does not say.
    """
    limits = [_machine()]
    try:
        entries = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:     # no Linux
        entries = []
    for entry in entries:
        _, controllers, path = entry.split(":", 2)
        if controllers == "":       # version 2: every group above limits too
            group = Path("/sys/fs/cgroup") / path.lstrip("/")
            files = [folder / "memory.max" for folder in (group, *group.parents)]
        elif "memory" in controllers.split(","):
            files = [Path("/sys/fs/cgroup/memory") / path.lstrip("/") / "memory.limit_in_bytes"]
        else:
            continue
        for file in files:
            try:
                text = file.read_text().strip()
            except OSError:         # a group has no such file where nothing is limited
                continue
            if text.isdigit():
                limits.append(int(text))
    return min(limits)


def _machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 30
