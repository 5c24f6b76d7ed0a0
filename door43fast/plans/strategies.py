"""The strategies by name, and a plan with layers as one open store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from door43fast import config
from door43fast.errors import ConfigError, did_you_mean
from door43fast.plans import makers, schemas

OpenPlan = Callable[[dict[str, Any], str, str], Any]    # of a plan, its place in the whole, and the folder of the file


class Strategy(NamedTuple):
    """How several layers are one store: ``make(layers, options, where)``. ``order`` says which layer comes first."""

    Options: type[config.Options]
    make: Callable[[list[Any], Any, str], Any]
    order: str

    def json_schema(self, name: str) -> dict[str, Any]:
        """The schema of such a plan as JSON Schema (draft 2020-12)."""
        made = config.json_schema(self.Options)
        made["properties"] = {
            "strategy": {"const": name},
            "layers": {"type": "array", "minItems": 2, "items": {"type": "object"},
                       "description": f"Plans, {self.order}."},
            **made["properties"]}
        made["required"] = ["strategy", "layers", *made["required"]]
        return made


# Every strategy there is. Another one is a schema in schemas.py, a maker in makers.py, and a row here.
STRATEGIES = {
    "cascade": Strategy(schemas.CascadeOptions, makers.cascade, "the fastest first"),
    "replicated": Strategy(schemas.ReplicatedOptions, makers.replicated, "the primary first"),
    "primary_fallback": Strategy(schemas.FallbackOptions, makers.primary_fallback, "the primary first"),
    "parallel": Strategy(schemas.ParallelOptions, makers.parallel, "the one to read first comes first"),
}


def strategy(name: Any, where: str = "plan") -> Strategy:
    """The strategy of a name."""
    if not isinstance(name, str) or name not in STRATEGIES:
        raise ConfigError(f"{where}.strategy={name!r} is unknown: {did_you_mean(name, STRATEGIES)}")
    return STRATEGIES[name]


def opened(plan: Mapping[str, Any], where: str, folder: str, open_plan: OpenPlan) -> Any:
    """The store of a plan with layers.

    The layers are opened from the last to the first. If one cannot be opened, or the store cannot be made of them,
    those that were opened are closed again.
    """
    chosen = strategy(plan["strategy"], where)
    known = [*config.fields(chosen.Options), "layers"]
    for option in plan:
        if option == "type":
            raise ConfigError(f"{where} has both 'type', of one backend, and 'strategy', of several layers: leave one "
                              "out")
        if option not in (*known, "strategy"):
            raise ConfigError(f"{where} has no option {option!r}: {did_you_mean(option, known)}")
    lasts = lasting(plan, folder)
    options = config.checked(chosen.Options, {name: value for name, value in lasts.items()
                                              if name not in ("strategy", "layers")}, where)
    layers = plan.get("layers")
    if not isinstance(layers, (list, tuple)) or len(layers) < 2:
        raise ConfigError(f"{where}.layers must be a list of two layers or more, {chosen.order}")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Mapping):
            raise ConfigError(f"{where}.layers[{i}]={layer!r} must be a plan: a table with 'type' or 'strategy'")
    stores: list[Any] = []
    try:
        for i in reversed(range(len(layers))):
            stores.insert(0, open_plan(dict(layers[i]), f"{where}.layers[{i}]", folder))
        store = chosen.make(stores, options, where)
    except BaseException as error:
        for layer in stores:
            try:
                layer.close()
            except Exception as late:
                error.add_note(f"and a layer that was open already could not be closed: {late!r}")
        raise
    store.plan = lasts
    return store


def guarded(plan: Mapping[str, Any], where: str, folder: str, open_plan: OpenPlan) -> Any:
    """The store of a plan with a guard, behind it."""
    table = plan["guard"]
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}.guard={table!r} must be a table, such as {{'deadline': '200ms'}}; an empty one for "
                          "what is done by default")
    options = config.checked(schemas.GuardOptions, table, f"{where}.guard")
    from door43fast.layers import Guard

    inner = {name: value for name, value in plan.items() if name != "guard"}
    waits = options.absent == "wait"
    store = absentee(lasting(inner, folder), where, open_plan) if waits else open_plan(inner, where, folder)
    made = store
    try:
        made = guard = Guard(store, name=str(plan.get("type") or plan.get("strategy")),
                             **{name: getattr(options, name) for name in config.fields(schemas.GuardOptions)
                                if name != "absent"})
        if waits:
            guard.expect(store)
    except BaseException:
        made.close()
        raise
    guard.plan = lasting(plan, folder)
    return guard


def absentee(plan: dict[str, Any], where: str, open_plan: OpenPlan) -> Any:
    """The store of a plan that may be opened later. All that can be wrong with the plan is told now."""
    from door43fast.layers.absentee import Absentee
    from door43fast.plugins.roster import registry

    name = plan.get("type")
    if not isinstance(name, str):
        raise ConfigError(f"{where}.guard.absent='wait' is for a store by its 'type': give it to those layers of this "
                          "one that may be away")
    plugin, known = registry.get(name), config.fields(registry.get(name).Options)
    for option in plan:
        if option not in known and option != "type":
            raise ConfigError(f"{where} has no option {option!r} where absent='wait': {did_you_mean(option, known)}; "
                              "a memory tier, and what goes with it, is a layer above it in a cascade")
    options = config.checked(plugin.Options, {one: value for one, value in plan.items() if one != "type"}, where)
    if not hasattr(plugin, "capable") or getattr(plugin, "asynchronous", False):
        raise ConfigError(f"{where}.guard.absent='wait' is not for {name!r}, of which nobody can say what it can do "
                          "before it is open, by capable(options) of its plugin: leave it out")
    return Absentee(lambda: open_plan(dict(plan), where, ""), plugin.capable(options), name=name, options=options,
                    silence_empties=getattr(plugin, "_silence_empties", False),
                    text_keys=getattr(plugin, "_text_keys", False))


def lasting(plan: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """A plan whose paths hold wherever it is opened again; those in a file are relative to its folder."""
    name = plan.get("strategy")
    known = config.fields(STRATEGIES[name].Options) if isinstance(name, str) and name in STRATEGIES else {}
    lasts = dict(plan)
    for name, value in plan.items():
        if name == "layers" and isinstance(value, (list, tuple)):
            lasts[name] = [lasting(layer, folder) if isinstance(layer, Mapping) else layer for layer in value]
        elif isinstance(value, (str, os.PathLike)) and (
                name == "path" or name in known and known[name].unit == "path"):
            lasts[name] = os.path.abspath(os.path.join(folder, value))
    return lasts
