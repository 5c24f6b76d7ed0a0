"""What this machine has and what of it this process may use."""

from __future__ import annotations

import math
import os
import platform
import sys
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from door43fast.host import kernel
from door43fast.host.overrides import overrides

# File systems on which LMDB's locks or its memory map are not to be trusted.
REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "fuse.ceph", "glusterfs",
                    "fuse.glusterfs", "lustre", "afs", "virtiofs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"))
VOLATILE = frozenset(("tmpfs", "ramfs", "devtmpfs"))     # gone with the next start
OPTIONAL = ("numpy", "msgspec", "click", "rich", "yaml", "markdown_it", "redis", "httpx", "websockets", "starlette",
            "uvicorn", "pyarrow", "prometheus_client", "matplotlib")
NATIVE = ("memory", "lmdb")
DEFAULT_MEMORY = 1 << 30        # bytes, where the system does not say


class Host(NamedTuple):
    """A machine as this process sees it. None stands for what it does not tell.

    ``cpus`` is what may be used: the least of ``cpu_count``, ``cpu_affinity`` and ``cpu_quota``. ``memory`` is what
    may be used: the least of ``memory_total`` and ``memory_limit``, bytes. ``disk`` is "local", "remote", "volatile"
    (gone with the next start) or None, of the directory ``path``, the nearest to what was asked for that there is.
    """

    system: str
    machine: str
    cpus: int
    cpu_count: int
    cpu_affinity: int | None
    cpu_quota: float | None
    memory: int
    memory_total: int | None
    memory_limit: int | None
    path: str
    disk: str | None
    file_system: str | None
    mounted_at: str | None
    disk_free: int | None
    disk_total: int | None
    writable: bool
    python: str
    implementation: str
    bits: int
    free_threaded: bool
    gil: bool
    libraries: dict[str, bool]
    native: dict[str, bool]
    sqlite: bool
    overridden: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return self._asdict()


def memory_total() -> int | None:
    """Bytes of memory of the machine, as far as it says."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):       # not on Windows
        return None


def memory_granted(*, root: str = "/", environ: Mapping[str, str] | None = None) -> int:
    """Bytes of memory that this process may use: the least of its cgroups' limits and what the machine has.

    Returns
    -------
    int
        Bytes; what ``DOOR43FAST_HOST_MEMORY`` says, if it is set. 1 GiB where the system does not say.
    """
    given = overrides(os.environ if environ is None else environ)
    if "memory" in given:
        return given["memory"]
    return _least(memory_total(), kernel.memory_limit(root))


def _least(*amounts: int | None) -> int:
    return min((amount for amount in amounts if amount is not None), default=DEFAULT_MEMORY)


def _disk(path: str, root: str, mounted: list[kernel.Mount]) -> dict[str, Any]:
    directory = kernel.existing(path)
    kind, at = kernel.kind_of(directory, mounted)
    disk = None if kind is None else "remote" if kind in REMOTE else "volatile" if kind in VOLATILE else "local"
    free = total = None
    try:
        found = os.statvfs(directory)
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    except AttributeError:      # Windows
        import shutil

        usage = shutil.disk_usage(directory)
        free, total = usage.free, usage.total
    except OSError:             # a path that is not to be entered
        pass
    return {"path": directory, "disk": disk, "file_system": kind, "mounted_at": at, "disk_free": free,
            "disk_total": total, "writable": os.access(directory, os.W_OK | os.X_OK)}


_seen: set[str] = set()


def there(name: str) -> bool:
    """Whether a module could be imported; it is not. What was found once is not looked for again."""
    if name in _seen or name in sys.modules:
        return True
    try:
        found = find_spec(name) is not None
    except (ImportError, ValueError):       # a package above it is broken
        return False
    if found:
        _seen.add(name)
    return found


def detect(path: Any = ".", *, root: str = "/", environ: Mapping[str, str] | None = None) -> Host:
    """What this machine has and what of it this process may use; takes less than a millisecond, and imports nothing.

    Parameters
    ----------
    path : path
        Where a store is, or will be: its disk is looked at.
    root : path
        Where the kernel's files are found.
    environ : mapping, optional
        In place of ``os.environ``.

    Raises
    ------
    ConfigError
        If a variable ``DOOR43FAST_HOST_...`` of the environment is unknown, or its value is none; see docs/host.md.
    """
    given = overrides(os.environ if environ is None else environ)
    mounted = kernel.mounts(root)
    count = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    quota = kernel.cpu_quota(root, mounted)
    total, limit = memory_total(), kernel.memory_limit(root, mounted)
    usable = min(count, *(one for one in (affinity, None if quota is None else max(1, math.ceil(quota))) if one), count)
    found = {
        "system": sys.platform, "machine": platform.machine(),
        "cpus": usable, "cpu_count": count, "cpu_affinity": affinity, "cpu_quota": quota,
        "memory": _least(total, limit), "memory_total": total, "memory_limit": limit,
        **_disk(os.fsdecode(path), root, mounted),
        "python": platform.python_version(), "implementation": platform.python_implementation(),
        "bits": sys.maxsize.bit_length() + 1,
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "libraries": {name: there(name) for name in OPTIONAL},
        "native": {name: there(f"door43fast.native.{name}") for name in NATIVE},
        "sqlite": there("_sqlite3"),
        "overridden": tuple(sorted(given)),
    }
    return Host(**{**found, **given})
