"""From a plan to an open store: the one module that sees many floors."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from door43fast.errors import BackendUnavailableError, ConfigError, did_you_mean

_UNITS = {"": 1, "B": 1, "K": 1 << 10, "KB": 1 << 10, "M": 1 << 20, "MB": 1 << 20, "G": 1 << 30, "GB": 1 << 30,
          "T": 1 << 40, "TB": 1 << 40, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_LATER = {"sqlite", "file", "asyncstorage", "redis", "rediss", "redis+cluster", "http", "https"}
_MEMORY = ("max_entries", "max_bytes", "policy", "ttl", "idle", "weigher", "clock")
_LMDB = ("keys", "codec", "compression", "durability", "sync_interval", "readonly", "map_size", "index_bytes", "ttl",
         "clock", "create", "journal", "on_damage")
_OPEN = ("memory", "policy", "share", *_LMDB)


def size(text: Any, option: str) -> int:
    """Bytes of a size given as a number or as text such as ``"256MB"`` (units of 1024)."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text) if isinstance(text, str) else None
    if match is None or match[2].upper() not in _UNITS:
        raise ConfigError(f"{option}={text!r} is not a size: give bytes, or a text such as '256MB'")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def open(target: Any = None, **options: Any) -> Any:
    """Open a store.

    Parameters
    ----------
    target : path, URL or dict, optional
        A directory: memory over LMDB, durability ``batch``. A URL: ``memory:``, ``lmdb:///relative`` or
        ``lmdb:////absolute``, with options in the query; LMDB alone, unless ``memory=`` is given. A dict: a plan,
        such as ``{"strategy": "cascade", "layers": [{"type": "memory", "max_bytes": "256MB"}, {"type": "lmdb",
        "path": "cache/"}]}``. Nothing: memory alone.
    memory : int or str, optional
        Bytes of the memory tier, such as ``"256MB"``. By default the lesser of 256 MB and an eighth of the memory
        that the machine or its cgroup grants. 0 for no memory tier.
    policy : str, optional
        What makes room in the memory tier, one of those of :class:`MemoryStore`; "s3fifo" by default.
    share : bool, optional
        Hand out the same list, dict or array to every caller instead of a fresh copy.
    **options
        Those of :class:`LmdbStore` for a directory, of :class:`MemoryStore` for memory alone.

    Returns
    -------
    Store
        An open store; close it, or use it as a context manager.

    Raises
    ------
    ConfigError
        An option is unknown or out of range, or the plan is not one. Nothing stays open.
    BackendUnavailableError
        The plan names a backend that is not there.

    Examples
    --------
    >>> import tempfile
    >>> with open(tempfile.mkdtemp()) as store:
    ...     store["en_ult/TIT/1/1"] = {"text": "Paul, a servant of God"}
    ...     store["en_ult/TIT/1/1"]["text"]
    'Paul, a servant of God'
    """
    if isinstance(target, dict):
        if options:
            raise ConfigError(f"a plan holds its options itself: put {sorted(options)} into it")
        return _from_plan(target, "plan")
    if target is None:
        return _memory(options)
    if not isinstance(target, (str, os.PathLike)):
        raise ConfigError(f"open() takes a path, a URL or a plan, not {type(target).__name__}")
    target = os.fspath(target)
    scheme = re.match(r"([a-z][a-z0-9+]+):", target) if isinstance(target, str) else None
    if scheme:
        return _from_url(scheme[1], target, options)
    return _embedded(target, {"durability": "batch", **options})


def _memory(options: dict[str, Any]) -> Any:
    from door43fast.memory import MemoryStore

    options = dict(options)
    _known(options, _MEMORY, "memory")
    if options.get("max_bytes") is not None:
        options["max_bytes"] = size(options["max_bytes"], "max_bytes")
    return MemoryStore(**options)


def _embedded(path: Any, options: dict[str, Any], default_memory: bool = True) -> Any:
    """Memory over LMDB in one directory."""
    from door43fast.layers import Cascade, weigh_shared
    from door43fast.lmdb import LmdbStore
    from door43fast.memory import MemoryStore
    from door43fast.native.clock import Clock

    _known(options, _OPEN, "open")
    options = dict(options)
    plan = {"strategy": "open", "path": os.path.abspath(path), "options": dict(options)}
    memory = options.pop("memory", None)
    policy = options.pop("policy", None)
    share = options.pop("share", False)
    for option in ("map_size", "index_bytes"):
        if options.get(option) is not None:
            options[option] = size(options[option], option)
    if memory is None and default_memory:
        from door43fast.host import memory_granted

        memory = min(256 << 20, memory_granted() // 8)
    memory = size(memory or 0, "memory")
    if not memory:
        for name, given in (("share", share), ("policy", policy is not None)):
            if given:
                raise ConfigError(f"{name}= has no effect without a memory tier: give memory=")
        return LmdbStore(path, **options)
    slow = LmdbStore(path, **options)
    try:
        # Deadlines of the tier are those of the disk, so it goes by the same clock: a suspended machine expires both.
        fast = MemoryStore(max_bytes=memory, policy=policy or "s3fifo", clock=options.get("clock") or Clock("wall"),
                           weigher=weigh_shared if share else None)
        store = Cascade(fast, slow, share=bool(share))
    except BaseException:
        slow.close()
        raise
    store.plan = plan
    return store


def _from_url(scheme: str, url: str, options: dict[str, Any]) -> Any:
    if scheme in _LATER:
        raise BackendUnavailableError(f"{url!r} names the backend {scheme!r}, which this version does not have: "
                                      "it has memory and lmdb")
    if scheme not in ("memory", "lmdb"):
        raise ConfigError(f"{url!r} names no known backend: {did_you_mean(scheme, ['memory', 'lmdb', *_LATER])}")
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    both = sorted(set(given) & set(options))
    if both:
        raise ConfigError(f"{url!r} and the call both give {both[0]!r}: give it once")
    options = {**{name: _value(name, text) for name, text in given.items()}, **options}
    if scheme == "memory":
        return _memory(options)
    if parts.netloc or not parts.path.startswith("/") or len(parts.path) < 2:
        raise ConfigError(f"{url!r} names no directory: write lmdb:///relative or lmdb:////absolute")
    return _embedded(unquote(parts.path[1:]), options, default_memory=False)


def _value(name: str, text: str) -> Any:
    """An option out of a URL, as what it says."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if name in ("max_entries", "ttl", "idle", "sync_interval"):
        try:
            return int(text) if text.isdigit() else float(text)
        except ValueError:
            raise ConfigError(f"{name}={text!r} is not a number") from None
    return text


def _from_plan(plan: dict[str, Any], path: str) -> Any:
    plan = dict(plan)
    if "strategy" in plan:
        return _strategy(plan, path)
    kind = plan.pop("type", None)
    if kind == "memory":
        return _memory(plan)
    if kind == "lmdb":
        if "path" not in plan:
            raise ConfigError(f"{path}: a layer of type 'lmdb' needs 'path'")
        return _embedded(plan.pop("path"), plan, default_memory=False)
    if kind in _LATER:
        raise BackendUnavailableError(f"{path}.type={kind!r}: this version has the backends memory and lmdb")
    if kind is None:
        raise ConfigError(f"{path} needs 'strategy' with 'layers', or 'type'")
    raise ConfigError(f"{path}.type={kind!r} is unknown: {did_you_mean(kind, ['memory', 'lmdb'])}")


def _strategy(plan: dict[str, Any], path: str) -> Any:
    from door43fast.layers import Cascade

    if plan["strategy"] == "open":      # what open(path) pickles by
        return _embedded(plan["path"], plan["options"])
    if plan["strategy"] != "cascade":
        raise ConfigError(f"{path}.strategy={plan['strategy']!r} is unknown: this version has 'cascade'")
    _known(plan, ("strategy", "layers", "share"), path)
    layers = plan.get("layers")
    if not isinstance(layers, (list, tuple)) or len(layers) != 2:
        raise ConfigError(f"{path}.layers must be a list of two layers, the fast one first")
    opened: list[Any] = []
    try:
        for i in (1, 0):
            opened.append(_from_plan(layers[i], f"{path}.layers[{i}]"))
        store = Cascade(opened[1], opened[0], share=bool(plan.get("share", False)))
    except BaseException:
        for layer in opened:
            layer.close()
        raise
    store.plan = plan
    return store


def _known(options: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(f"{where} has no option {name!r}: {did_you_mean(name, known)}")
