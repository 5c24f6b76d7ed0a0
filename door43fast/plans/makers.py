"""How the open layers of a plan become one store: a function for each strategy.

A maker gets the layers in the order of the plan, the checked options, and the place in the plan for errors. If it
raises, whoever called it closes the layers; what else it had made, it closes itself.
"""

from __future__ import annotations

from typing import Any

from door43fast import config
from door43fast.errors import ConfigError
from door43fast.native.memory import MemoryEngine
from door43fast.plans.schemas import CascadeOptions, FallbackOptions, ParallelOptions, ReplicatedOptions, TieredOptions


def cascade(layers: list[Any], options: CascadeOptions, where: str) -> Any:
    """Each layer over the next; with write-back a buffer below those in memory. The modes are the first layer's, and
    the bound of what is not in memory holds for each that is not."""
    from door43fast.layers import behind, over
    from door43fast.layers.cascade import MODES

    if options.fast_ttl is not None and all(isinstance(layer, MemoryEngine) for layer in layers[:-1]):
        raise ConfigError(f"{where}.fast_ttl has no effect where every layer but the slowest is in memory: give these "
                          "layers a ttl, or leave it out")
    store = layers[-1]
    # A layer that outlives the process must not hold what the one below it may never get.
    lasting = next((i for i in reversed(range(len(layers) - 1)) if isinstance(layers[i], MemoryEngine)), -1)
    for i in reversed(range(-1, len(layers) - 1)):
        if i == lasting:
            try:
                store = behind(store, options.write, options.max_dirty, options.delay)
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from error
        if i < 0:
            break
        try:
            first = {"share": options.share, "write": "around" if options.write == "around" else "through",
                     **{name: getattr(options, name) for name in MODES}}
            bound = {} if isinstance(layers[i], MemoryEngine) else {"fast_ttl": options.fast_ttl}
            store = over(layers[i], store, **({} if i else first), **bound)
        except ConfigError as error:
            raise ConfigError(f"{where}.layers[{i}]: {error}") from error
    warm_up(store, options, where)
    return store


def warm_up(store: Any, options: TieredOptions, where: str) -> None:
    """Have a cascade start warm, if that is asked for."""
    if options.warm:
        from door43fast.plans.warmth import warmed

        if getattr(options, "promote", "always") == "never":
            raise ConfigError(f"{config.place(where, 'warm')} has no effect with promote='never', by which nothing "
                              "that is read goes up: leave one out")
        try:
            warmed(store, options.warm_within, options.warm_keys)
        except ConfigError as error:
            raise ConfigError(f"{config.place(where, 'warm')}: {error}") from error
        return
    for option in ("warm_within", "warm_keys"):
        if getattr(options, option) is not None:
            raise ConfigError(f"{config.place(where, option)} has no effect without warm: give both, or neither")


def replicated(layers: list[Any], options: ReplicatedOptions, where: str) -> Any:
    """The first layer is the primary, the others follow it."""
    from door43fast.layers.absentee import may_be_away
    from door43fast.replication import Replicated

    for place, layer in enumerate(layers):
        if may_be_away(layer):
            raise ConfigError(f"{where}.layers[{place}]: the members of a replicated store must be there when it is "
                              "opened: leave absent='wait' out")
    given = config.given(options)
    lease = _lease(given.pop("lease_url", None), given.pop("lease_path", None), where)
    try:
        return Replicated(layers[0], layers[1:], lease=lease, own_lease=lease is not None, **given)
    except BaseException as error:
        if lease is not None:
            lease.close()
        if isinstance(error, ConfigError):
            raise ConfigError(f"{where}: {error}") from error
        raise


def _lease(url: str | None, path: str | None, where: str) -> Any:
    """The store for a lease; None for none."""
    from door43fast.plugins.roster import registry

    if url is not None and path is not None:
        raise ConfigError(f"{where} gives lease_url and lease_path: a lease lies in one place")
    if url is not None:
        return registry.open("redis", {"url": url}, f"{where}.lease_url")
    return None if path is None else registry.open("lmdb", {"path": path}, f"{where}.lease_path")


def primary_fallback(layers: list[Any], options: FallbackOptions, where: str) -> Any:
    """The first layer is the primary, the second the fallback."""
    from door43fast.layers import PrimaryFallback

    if len(layers) != 2:
        raise ConfigError(f"{where}.layers must be two, the primary and the fallback, and are {len(layers)}: a layer "
                          "may be a plan with layers itself")
    return PrimaryFallback(*layers, **{name: getattr(options, name) for name in config.fields(type(options))})


def parallel(layers: list[Any], options: ParallelOptions, where: str) -> Any:
    """All beside each other."""
    from door43fast.layers import Parallel

    return Parallel(*layers, **{name: getattr(options, name) for name in config.fields(type(options))})
