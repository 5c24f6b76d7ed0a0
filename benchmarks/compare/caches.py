"""The memory caches under comparison, each as what fills, reads and writes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import door43fast as d43

from benchmarks.interleave import CONTROL, OURS

# Name: module, and what makes a cache of n entries.
CACHES: dict[str, tuple[str, Callable[[Any, int], Any]]] = {
    CONTROL: ("builtins", lambda _, n: {}),
    OURS: ("door43fast", lambda _, n: d43.MemoryStore(max_entries=n)),
    "cachebox": ("cachebox", lambda module, n: module.LRUCache(n)),
    "lru-dict": ("lru", lambda module, n: module.LRU(n)),
    "cachetools": ("cachetools", lambda module, n: module.LRUCache(n)),
    "moka-py": ("moka_py", lambda module, n: MokaCache(module.Moka(n))),
    "lru_cache": ("functools", lambda _, n: LruFunction(n)),
}


class MokaCache:
    """moka_py's cache with the method names of a dict, its own bound methods underneath."""

    def __init__(self, cache: Any) -> None:
        self.get = cache.get
        self.set = cache.set

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)


class LruFunction:
    """functools.lru_cache: a hit is a call that finds its key, and a set one that does not."""

    def __init__(self, entries: int) -> None:
        self.get = functools.lru_cache(entries)(lambda key: key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.get(key)


def available() -> tuple[list[str], list[str]]:
    """The caches that are installed, and those that are missing."""
    there: list[str] = []
    missing: list[str] = []
    for name, (module, _) in CACHES.items():
        try:
            import_module(module)
        except ImportError:
            missing.append(name)
        else:
            there.append(name)
    return there, missing


def make(name: str, entries: int) -> Any:
    module, build = CACHES[name]
    return build(import_module(module), entries)


def setter(name: str, cache: Any) -> Callable[[Any, Any], Any] | None:
    """The bound method that is the cache's own way to write, or None where that is ``cache[key] = value``."""
    return cache.set if name == "moka-py" else None
