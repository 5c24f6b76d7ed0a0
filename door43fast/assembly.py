"""From a plan to an open store: the one module that sees many floors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from door43fast.config import Duration, Size, checked, fields, given, load, place
from door43fast.config.files import is_plan
from door43fast.config.urls import Address, parse, scheme_of
from door43fast.errors import ConfigError, did_you_mean, nearest
from door43fast.plans import guarded, opened
from door43fast.plans.makers import warm_up
from door43fast.plans.schemas import TieredOptions
from door43fast.plugins.memory import Policy
from door43fast.plugins.roster import registry


class TierOptions(TieredOptions, kw_only=True):
    """The options of the memory tier that ``open`` puts over a store: those of a cascade, and of its memory."""

    memory: Annotated[Size | None, Meta(description="Bytes of the memory tier; 0 for none.")] = None
    policy: Annotated[Policy | None, Meta(description="What makes room in it; `s3fifo` by default.")] = None
    fast_ttl: Annotated[Duration | None, Meta(description="The longest that anything stays in it.")] = None
    publish_metrics: Annotated[Duration | None, Meta(description="How often the metrics are written into the store's "
                                                                 "directory, for `door43fast top`.")] = None


ALOFT = ("share", "policy", "warm", "promote", "negative", "stale", "stale_on_error", "fast_ttl")  # of memory alone


def open(target: Any = None, **options: Any) -> Any:
    """Open a store.

    Parameters
    ----------
    target : path, URL or dict, optional
        A directory: memory over LMDB, durability ``batch``. A URL: ``memory:``, ``lmdb:///relative`` or
        ``lmdb:////absolute``, with options in the query; that backend alone, unless ``memory=`` is given. A dict: a
        plan, such as ``{"strategy": "cascade", "layers": [{"type": "memory", "max_bytes": "256MB"}, {"type": "lmdb",
        "path": "cache/"}]}``. The name of a file ending in ``.toml`` or ``.json``: the plan in it, whose paths are
        relative to its folder. Nothing: memory alone.
    memory : int or str, optional
        Bytes of the memory tier, such as ``"256MB"``. For a directory by default the lesser of 256 MB and an eighth
        of the memory that the machine or its cgroup grants. 0 for no memory tier.
    max_bytes : int or str, optional
        The most that the file of a directory may take, such as ``"1GB"``: see :class:`LmdbStore`.
    policy : str, optional
        What makes room in the memory tier, one of those of :class:`MemoryStore`; "s3fifo" by default.
    profile : str or Profile, optional
        A profile, such as ``"bible-reader"``, or the file of one; the options are then its tiers, such as
        ``memory={"max_bytes": "20MB"}``. See docs/profiles.md.
    share : bool, optional
        Hand out the same list, dict or array to every caller instead of a fresh copy.
    write : {"through", "around", "back"}, optional
        ``"around"``: what is written only leaves the memory tier. ``"back"``: a write returns at once and is below a
        little later, and what was not flushed is lost with the process: see docs/write-back.md. ``max_dirty`` and
        ``delay`` bound it.
    promote, negative, stale, stale_on_error : optional
        The modes of the memory tier, as of :class:`Cascade`; the last two go by ``fast_ttl``.
    fast_ttl : float or str, optional
        The longest that anything stays in the memory tier, such as ``"30s"``.
    publish_metrics : float or str, optional
        Write the metrics of this process into the directory so often (``"1s"``), for ``door43fast top`` in another.
    **options
        Those of the backend: of :class:`LmdbStore` for a directory, of :class:`MemoryStore` for memory alone. See
        docs/backends.md.

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
    if target is None and options.get("profile") is None:
        return registry.open("memory", options)
    if isinstance(target, os.PathLike):
        target = os.fspath(target)
    if isinstance(target, bytes):
        target = os.fsdecode(target)
    if options.get("profile") is not None:
        if isinstance(target, Mapping) or scheme_of(target):
            raise ConfigError("profile= needs a path, or nothing: a plan names its profile itself, a URL its backend")
        return _from_plan({**options, **({} if target is None else {"path": target})}, "open()", "")
    if isinstance(target, Mapping) or is_plan(target):
        if options:
            raise ConfigError(f"a plan holds its options itself: put {sorted(options)} into it")
        if isinstance(target, Mapping):
            return _from_plan(dict(target), "plan", "")
        return _from_plan(load(target), "plan", os.path.dirname(os.path.abspath(target)))
    if not isinstance(target, str):
        raise ConfigError(f"open() takes a path, a URL or a plan, not {type(target).__name__}")
    if scheme_of(target):
        return _from_url(parse(target), options)
    return _embedded(target, {"durability": "batch", **options})


def _embedded(path: str, options: dict[str, Any]) -> Any:
    """Memory over LMDB in one directory."""
    options = dict(options)
    plan = {"strategy": "open", "path": os.path.abspath(path), "options": dict(options)}
    tier = _tier_of("lmdb", options, "open()", by_default=True)
    if tier.memory is None:
        from door43fast.host import memory_granted

        tier.memory = min(256 << 20, memory_granted() // 8)
    return _tiered("lmdb", {"path": path, **options}, tier, "open()", plan)


def _tier_of(name: str, options: dict[str, Any], where: str, *, by_default: bool = False) -> TierOptions:
    """Take the options of the memory tier out of ``options``. ``by_default``: there is one unless ``memory`` is 0."""
    own = set(fields(registry.get(name).Options))
    for option in options:
        if option not in own and option not in fields(TierOptions):
            known = sorted(own.union(fields(TierOptions)) - {"path"})
            raise ConfigError(f"{where} has no option {option!r}: {did_you_mean(option, known)}")
    tiered = bool(options.get("memory", by_default))    # what both have is the backend's where there is no tier
    taken = {option: options.pop(option) for option in fields(TierOptions)
             if option in options and (tiered or option not in own)}
    return checked(TierOptions, taken, where)


def _tiered(name: str, options: dict[str, Any], tier: TierOptions, where: str, plan: Any) -> Any:
    store = _stacked(name, options, tier, where, plan)
    if tier.publish_metrics is not None:
        from door43fast.metrics import publish
        try:
            publish(store, tier.publish_metrics)
        except BaseException:
            store.close()
            raise
    return store


def _stacked(name: str, options: dict[str, Any], tier: TierOptions, where: str, plan: Any) -> Any:
    """A store, under a memory tier where one was asked for."""
    if not tier.memory:
        for option, value in given(tier).items():
            if option in ALOFT or (option, value) == ("write", "around"):
                raise ConfigError(f"{place(where, option)}= has no effect without a memory tier: give memory=")
        warm_up(None, tier, where)      # refuses what has no effect
        return _below(name, options, tier, where)
    from door43fast.layers import weigh_shared
    from door43fast.layers.cascade import MODES, over
    from door43fast.native.clock import Clock

    for option in ("stale", "stale_on_error"):
        if getattr(tier, option) is not None and tier.fast_ttl is None:
            raise ConfigError(f"{place(where, option)}= has no effect without fast_ttl=, past which it gives what the "
                              "memory tier has: give both, or neither")
    if tier.fast_ttl == 0:
        raise ConfigError(f"{place(where, 'fast_ttl')}=0 would keep nothing in the memory tier: give seconds, or "
                          "leave it out")
    slow = _below(name, options, tier, where)
    try:
        # Deadlines of the tier are those of the disk, so it goes by the same clock: a suspended machine expires both.
        fast = registry.open("memory", {"max_bytes": tier.memory, "policy": tier.policy or "s3fifo",
                                        "ttl": tier.fast_ttl, "clock": options.get("clock") or Clock("wall"),
                                        "weigher": weigh_shared if tier.share else None})
        store = over(fast, slow, share=tier.share, write="around" if tier.write == "around" else "through",
                     **{mode: getattr(tier, mode) for mode in MODES})
        warm_up(store, tier, where)
    except BaseException:
        slow.close()
        raise
    store.plan = plan
    return store


def _below(name: str, options: dict[str, Any], tier: TierOptions, where: str) -> Any:
    """A store, behind a buffer where writes are to be buffered."""
    store = registry.open(name, options, where)
    if (tier.write, tier.max_dirty, tier.delay) == ("through", None, None):
        return store
    from door43fast.layers import behind

    try:
        return behind(store, tier.write, tier.max_dirty, tier.delay)
    except BaseException:
        store.close()
        raise


def _from_url(address: Address, options: dict[str, Any]) -> Any:
    name, shown = address.scheme, address.shown
    own = fields(registry.get(name).Options)
    both = sorted(set(address.options) & set(options))
    if both:
        raise ConfigError(f"{shown!r} and the call both give {both[0]!r}: give it once")
    if name == "memory":
        return _opened(name, {}, address.options, options, shown)
    if "path" in own:
        if address.host or not address.path or "://" not in address.base:
            raise ConfigError(f"{shown!r} names no path for certain: write {name}:///relative or {name}:////absolute")
        return _opened(name, {"path": address.path}, address.options, options, shown)
    return _opened(name, {"url": address.base} if "url" in own else {}, address.options, options, shown)


def _opened(name: str, place: dict[str, Any], texts: dict[str, str], options: dict[str, Any], shown: str) -> Any:
    """A store by what its URL and the call give together; only what stands in the URL is read out of text."""
    schema = registry.get(name).Options
    layered = "memory" in texts or "memory" in options     # what both have is then the tier's
    both = {**fields(schema), **fields(TierOptions)} if layered else {**fields(TierOptions), **fields(schema)}
    read = {}
    for option, text in texts.items():
        if option not in both:
            raise ConfigError(f"{shown!r} has no option {option!r}: {did_you_mean(option, set(both) - {'path'})}")
        read[option] = both[option].read(text, option, from_text=True)
    wanted = {**place, **read, **options}
    if name == "memory":
        return registry.open(name, wanted)
    tier = _tier_of(name, wanted, "open()")
    return _tiered(name, wanted, tier, "open()", _plan(name, wanted, tier))


def _plan(name: str, options: dict[str, Any], tier: TierOptions) -> dict[str, Any]:
    """What a memory tier over a backend pickles by."""
    if "path" in options:
        options = {**options, "path": os.path.abspath(options["path"])}
    return {"strategy": "tier", "type": name, "options": options, "tier": given(tier)}


def _from_plan(plan: dict[str, Any], path: str, folder: str) -> Any:
    if "guard" in plan:
        return guarded(plan, path, folder, _from_plan)
    if "profile" in plan:
        from door43fast.profiles import planned

        plan = planned(plan, path, folder)
    if "strategy" in plan:
        return _strategy(plan, path, folder)
    plan = dict(plan)
    name = plan.pop("type", None)
    if name is None:
        near = [(one, other) for one in plan for other in nearest(one, ("type", "strategy", "profile"))]
        hint = f", and has {near[0][0]!r}: did you mean {near[0][1]!r}?" if near else ""
        raise ConfigError(f"{path} needs 'strategy' with 'layers', or 'type'{hint}")
    if not isinstance(name, str):
        raise ConfigError(f"{path}.type={name!r} must be the name of a backend: {', '.join(registry.names())}")
    try:
        own = fields(registry.get(name).Options)
    except ConfigError as error:
        raise ConfigError(f"{path}.type: {error}") from None
    if folder and "path" in plan and isinstance(plan["path"], str) and "path" in own:
        plan["path"] = os.path.join(folder, plan["path"])
    if name == "memory":
        return registry.open(name, plan, path)
    tier = _tier_of(name, plan, path)
    return _tiered(name, plan, tier, path, _plan(name, plan, tier))


def _strategy(plan: dict[str, Any], path: str, folder: str) -> Any:
    if plan["strategy"] == "open":      # what open(path) pickles by
        return _embedded(plan["path"], plan["options"])
    if plan["strategy"] == "tier":      # what open(url, memory=) pickles by
        tier = TierOptions(**plan["tier"])
        return _tiered(plan["type"], plan["options"], tier, path, plan)
    return opened(plan, path, folder, _from_plan)
