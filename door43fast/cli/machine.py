"""What this machine has: read from the interpreter, the operating system and the installed packages."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
import sysconfig
from typing import Any

import door43fast
from door43fast.host import detect
from door43fast.host.survey import REMOTE, VOLATILE

NATIVE = ("memory", "lmdb", "codec", "packed", "keys", "stack")
PACKAGES = ("numpy", "msgspec", "click", "rich", "PyYAML", "pyarrow", "matplotlib", "lmdb", "cachebox", "zstandard",
            "xxhash")


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
    found = detect()
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    return {
        "platform": platform.platform(),
        "machine": found.machine,
        "processors": found.cpus,
        "page_size": os.sysconf("SC_PAGE_SIZE") if "SC_PAGE_SIZE" in names else None,
        "memory": found.memory_total,
        "cgroup_limit": found.memory_limit,
        "address_space_limit": _address_space(),
    }


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def disk(directory: str) -> dict[str, Any]:
    """The file system that a store's directory is on, or will be."""
    found = detect(directory)
    return {
        "directory": found.path,
        "file_system": found.file_system,
        "mounted_at": found.mounted_at,
        "free": found.disk_free,
        "total": found.disk_total,
        "writable": found.writable,
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
    if about["disk"]["file_system"] in VOLATILE:
        found.append(f"{about['disk']['directory']} is on {about['disk']['file_system']}: a store there is gone after "
                     "the next start")
    if not about["disk"]["writable"]:
        found.append(f"{about['disk']['directory']} cannot be written: choose another directory for the store")
    if about["disk"]["free"] is not None and about["disk"]["free"] < 1 << 30:
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
