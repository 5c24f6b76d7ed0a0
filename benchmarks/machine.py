"""The line that names the machine and the versions a measurement was made with."""

from __future__ import annotations

import os
import platform
from importlib import metadata

PEERS = ["cachebox", "lru-dict", "cachetools", "moka-py", "lmdb", "rocksdict", "diskcache", "numpy", "pandas"]


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def line() -> str:
    peers = ", ".join(f"{name} {found}" for name in PEERS if (found := version(name)))
    return (f"{processor()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}; "
            f"{platform.python_implementation()} {platform.python_version()}; {peers}")
