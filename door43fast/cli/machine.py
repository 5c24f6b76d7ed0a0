"""What this machine has: read from the interpreter, the operating system and the installed packages."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import sysconfig
from typing import Any

import door43fast

NATIVE = ("memory", "lmdb", "codec", "packed", "keys", "stack")
PACKAGES = ("numpy", "msgspec", "click", "rich", "PyYAML", "pyarrow", "matplotlib", "lmdb", "cachebox", "zstandard",
            "xxhash")
# File systems on which LMDB's locks or its memory map are not to be trusted.
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre")


def python() -> dict[str, Any]:
    """The interpreter and how it was built."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "gil": "on" if locked else "off",
        "free_threaded_build": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "debug_build": hasattr(sys, "gettotalrefcount"),
        "compiler": platform.python_compiler(),
        "executable": sys.executable,
    }


def system() -> dict[str, Any]:
    """The operating system, its processors and its memory; None for what it does not tell."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    page = os.sysconf("SC_PAGE_SIZE") if "SC_PAGE_SIZE" in names else None
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": usable,
        "page_size": page,
        "memory": page * pages if page and pages else None,
        "cgroup_limit": cgroup_limit(),
        "address_space_limit": _address_space(),
    }


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _lines(path: str) -> list[str]:
    """The lines of a file of the kernel; none where this kernel has no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def cgroup_limit() -> int | None:
    """The least memory that the control groups of this process grant, in bytes; None for no limit."""
    found = []
    for line in _lines("/proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, file = "/sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # A limit may stand on any of the groups above; in a container the own group's path is not to be seen.
        while True:
            found += [int(text) for text in _lines(f"{root}{group.rstrip('/')}/{file}") if text.isdigit()]
            if group in ("", "/"):
                break
            group = os.path.dirname(group)
    # Version 1 says "no limit" by the largest multiple of a page.
    found = [limit for limit in found if limit < 1 << 60]
    return min(found) if found else None


def _existing(directory: str) -> str:
    """The directory, or the nearest above it that there is."""
    path = os.path.realpath(directory)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def disk(directory: str) -> dict[str, Any]:
    """The file system that a store's directory is on, or will be."""
    path = _existing(directory)
    kind, best = None, ""
    for line in _lines("/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        # The kernel writes blanks in paths as \\040.
        mount = before.split(" ")[4].replace("\\040", " ")
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            kind, best = after.split(" ")[0], mount
    usage = shutil.disk_usage(path)
    return {
        "directory": path,
        "file_system": kind,
        "mounted_at": best or None,
        "free": usage.free,
        "total": usage.total,
        "writable": os.access(path, os.W_OK),
    }


def packages() -> dict[str, str | None]:
    """The installed version of each package that door43fast or its tests can use; None where it is missing."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def native() -> dict[str, str]:
    """Whether each module of the native core can be loaded, with the reason if not."""
    found = {}
    for name in NATIVE:
        try:
            importlib.import_module(f"door43fast.native.{name}")
            found[name] = "loaded"
        except ImportError as error:
            found[name] = f"missing: {error}"
    return found


def libraries() -> dict[str, str]:
    """The versions of the C libraries; empty where the native core is not built."""
    try:
        from door43fast.native.libraries import versions
    except ImportError:
        return {}
    return versions()


def warnings(about: dict[str, Any]) -> list[str]:
    """What in the findings will hurt, and what to do."""
    found = []
    missing = [name for name, state in about["native"].items() if state != "loaded"]
    if missing:
        found.append(f"the native core lacks {', '.join(missing)}: reinstall door43fast, or build it with make")
    if about["disk"]["file_system"] in REMOTE:
        found.append(
            f"{about['disk']['directory']} is on {about['disk']['file_system']}: LMDB needs a local file system"
        )
    if about["disk"]["file_system"] == "tmpfs":
        found.append(f"{about['disk']['directory']} is on tmpfs: a store there is gone after the next start")
    if not about["disk"]["writable"]:
        found.append(f"{about['disk']['directory']} cannot be written: choose another directory for the store")
    if about["disk"]["free"] < 1 << 30:
        found.append(f"only {about['disk']['free'] // 1_000_000} MB are free at {about['disk']['directory']}")
    if about["system"]["address_space_limit"] is not None:
        found.append("the address space is limited (ulimit -v): the map of a store starts smaller and grows by steps")
    if about["packages"]["PyYAML"] is None:
        found.append("PyYAML is missing, which manifests need: run pip install 'door43fast[door43]'")
    return found


def survey(directory: str) -> dict[str, Any]:
    """Everything above, for a store in ``directory``."""
    about: dict[str, Any] = {
        "door43fast": door43fast.__version__,
        "python": python(),
        "system": system(),
        "disk": disk(directory),
        "native": native(),
        "libraries": libraries(),
        "packages": packages(),
    }
    about["warnings"] = warnings(about)
    return about
