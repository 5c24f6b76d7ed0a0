"""A profile: tiers with their options, what it extends, and where each setting comes from.

A profile names no place: that is given when it is opened. Its tiers have names, and stand from the fastest to the
slowest; a profile that extends another changes options of them by name, takes one away with None, or adds some at the
end. A tier that is given another type begins anew, since options mean something within their backend only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from door43fast.config import checked, fields, given
from door43fast.errors import ConfigError, did_you_mean
from door43fast.plugins import registry

LEAST = 1 << 20         # bytes of a memory tier, however small the machine


class Use(NamedTuple):
    """What a profile is made for: resources, reads for each write, users at a time, whether it works without a
    network, and whether it must hear of changes as they happen."""

    resources: int
    ratio: float
    users: int
    offline: bool
    realtime: bool


class Setting(NamedTuple):
    """One setting as it will be: ``path`` is tier and option, ``source`` who says so, ``why`` the reason, if one was
    given."""

    path: str
    value: Any
    source: str
    why: str


class Profile:
    """A whole plan for a kind of application.

    Parameters
    ----------
    name : str
        What it is called, also in ``door43fast.open(path, profile=name)`` if it is one of ours.
    extends : Profile, optional
        What it takes everything from that it does not say itself.
    description : str, optional
        A sentence; that of what it extends if not given.
    use : Use, optional
        What it is made for; that of what it extends if not given.
    why : mapping, optional
        Reasons, by tier and option: ``{"memory.max_bytes": "..."}``.
    share : bool, optional
        As in ``door43fast.open``.
    **tiers
        For each tier its options, with ``type``; None takes a tier away.

    Raises
    ------
    ConfigError
        If anything of it is unknown or out of range, with what comes nearest.

    Examples
    --------
    >>> from door43fast.profiles import BIBLE_READER
    >>> small = BIBLE_READER.extended("small-reader", memory={"max_bytes": "4MB"})
    >>> small.plan("cache")["layers"][0]["max_bytes"]
    4194304
    """

    def __init__(self, name: str, *, extends: Profile | None = None, description: str = "", use: Use | None = None,
                 why: Mapping[str, str] | None = None, share: bool | None = None, **tiers: Any) -> None:
        self.name, self.extends = name, extends
        self.description = description or (extends.description if extends else "")
        self.use = use or (extends.use if extends else None)
        self.why = dict(why or {})
        if share is not None and not isinstance(share, bool):
            raise ConfigError(f"{name}.share={share!r} is not allowed; it may be true or false")
        self._share = share
        self._own = {tier: None if options is None else _table(name, tier, options)
                     for tier, options in tiers.items()}
        known = list(extends._tiers()) if extends else []
        for tier, options in self._own.items():
            if tier not in known and (options is None or "type" not in options):
                raise ConfigError(f"{name} has no tier {tier!r}, and a new one needs 'type': "
                                  f"{did_you_mean(tier, known) if known else 'give it one'}")
        self._checked = {tier: self._check(tier, merged) for tier, merged in self._tiers().items()}
        if not self._checked:
            raise ConfigError(f"{name} has no tier: give it one, such as memory={{'type': 'memory'}}")
        if len(self._checked) == 1 and self._shared()[0]:
            raise ConfigError(f"{name}.share has no effect in a profile of one tier: leave it out")
        for path in self.why:
            if path not in {setting.path for setting in self.explain()}:
                raise ConfigError(f"{name} gives a reason for {path!r}, which is no setting of it: "
                                  f"{did_you_mean(path, [setting.path for setting in self.explain()])}")

    def __repr__(self) -> str:
        return f"<Profile {self.name!r}: {' over '.join(f'{t} ({o.type})' for t, o in self._checked.items())}>"

    def extended(self, name: str, **changes: Any) -> Profile:
        """A profile that differs from this one by ``changes``: see :class:`Profile`."""
        return Profile(name, extends=self, **changes)

    # -- what is in it ---------------------------------------------------------------------------------------

    def _tiers(self) -> dict[str, dict[str, tuple[Any, Profile]]]:
        """For each tier the options that were given, and which profile gave them."""
        found = self.extends._tiers() if self.extends else {}
        for tier, options in self._own.items():
            if options is None:
                found.pop(tier, None)
                continue
            held = found.get(tier, {})
            if "type" in options and "type" in held and options["type"] != held["type"][0]:
                held = {}
            found[tier] = {**held, **{option: (value, self) for option, value in options.items()}}
        return found

    def _check(self, tier: str, merged: dict[str, tuple[Any, Profile]]) -> Any:
        where = f"{self.name}.{tier}"
        options = {option: value for option, (value, _) in merged.items()}
        kind = options.pop("type")
        if not isinstance(kind, str):
            raise ConfigError(f"{where}.type={kind!r} must be the name of a backend: {', '.join(registry.names())}")
        try:
            schema = registry.get(kind).Options
        except ConfigError as error:
            raise ConfigError(f"{where}.type: {error}") from None
        if "path" in fields(schema):
            options.setdefault("path", "?")
        return Checked(kind, schema, checked(schema, options, where), "path" in merged)

    def _shared(self) -> tuple[bool, str, str]:
        """Whether objects are shared, who says so, and why."""
        if self._share is not None:
            return self._share, self.name, self.why.get("share", "")
        return self.extends._shared() if self.extends else (False, "default of open", "")

    def _why(self, path: str, giver: Profile) -> str:
        """The reason of whoever gave a setting, or of one that extends it and gives another."""
        one: Profile | None = self
        while one is not None:
            if path in one.why or one is giver:
                return one.why.get(path, "")
            one = one.extends
        return ""

    def explain(self, *, host: Any = None) -> list[Setting]:
        """Each setting as it will be, where it comes from, and why.

        Parameters
        ----------
        host : door43fast.host.Host, optional
            The machine: a memory tier that a profile of ours makes larger than a quarter of its memory is lowered to
            that. Without it the settings are as written.
        """
        found = []
        merged = self._tiers()
        for tier, (kind, schema, options, placed) in self._checked.items():
            givers = merged[tier]
            found.append(self._setting(f"{tier}.type", kind, givers["type"][1]))
            for option in fields(schema):
                path, value = f"{tier}.{option}", getattr(options, option)
                if option == "path" and not placed:
                    continue
                if option in givers:
                    setting = self._setting(path, value, givers[option][1])
                    if kind == "memory" and option == "max_bytes" and host is not None and givers[option][1].ours:
                        setting = _lowered(setting, host)
                    found.append(setting)
                else:
                    found.append(Setting(path, value, f"default of {kind}", self._why(path, givers["type"][1])))
        return [*found, Setting("share", *self._shared())]

    def _setting(self, path: str, value: Any, giver: Profile) -> Setting:
        return Setting(path, value, giver.name, self._why(path, giver))

    @property
    def ours(self) -> bool:
        """Whether it is one that comes with door43fast."""
        from door43fast.profiles.ours import OURS

        return OURS.get(self.name) is self

    # -- opening it ------------------------------------------------------------------------------------------

    def plan(self, path: Any = None, *, host: Any = None) -> dict[str, Any]:
        """The plan that ``door43fast.open`` takes.

        Parameters
        ----------
        path : path, optional
            Where it is kept; needed unless no tier is on disk. Several tiers on disk get a folder each below it.
        host : door43fast.host.Host, optional
            See :meth:`explain`.
        """
        lowered = {setting.path: setting.value for setting in self.explain(host=host)}
        placed = [tier for tier, one in self._checked.items() if "path" in fields(one.schema) and not one.placed]
        layers = []
        for tier, one in self._checked.items():
            layer = {"type": one.type, **given(one.options)}
            if f"{tier}.max_bytes" in lowered and "max_bytes" in layer:
                layer["max_bytes"] = lowered[f"{tier}.max_bytes"]
            if tier in placed:
                if path is None:
                    raise ConfigError(f"the profile {self.name!r} keeps its tier {tier!r} on disk: say where, with a "
                                      "path")
                layer["path"] = os.fsdecode(path) if len(placed) == 1 else os.path.join(os.fsdecode(path), tier)
            layers.append(layer)
        share = self._shared()[0]
        if len(layers) == 1:
            return layers[0]
        return {"strategy": "cascade", "layers": layers, **({"share": True} if share else {})}

    def open(self, path: Any = None, **changes: Any) -> Any:
        """Open a store by this profile, as far as this machine grants it; ``changes`` are those of ``extended``."""
        from door43fast.profiles.files import opened

        return opened(self.extended("open()", **changes) if changes else self, path)


class Checked(NamedTuple):
    """A tier's type, its schema, its options, and whether it says itself where it is."""

    type: str
    schema: Any
    options: Any
    placed: bool


def _table(name: str, tier: str, options: Any) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigError(f"{name}.{tier}={options!r} must be a table of options, such as {{'max_bytes': '64MB'}}, or "
                          "none to take the tier away")
    return dict(options)


def _lowered(setting: Setting, host: Any) -> Setting:
    most = max(host.memory // 4, LEAST)
    if setting.value is None or setting.value <= most:
        return setting
    return setting._replace(value=most, source="this machine",
                            why=f"{setting.source} says {setting.value:,} bytes, and this process may use "
                                f"{host.memory:,} in all: a quarter of that")


def as_dict(profile: Profile, path: Any = None, host: Any = None) -> dict[str, Any]:
    """All of a profile, for JSON."""
    return {"name": profile.name, "description": profile.description,
            "extends": profile.extends.name if profile.extends else None,
            "use": profile.use._asdict() if profile.use else None,
            "settings": [msgspec.to_builtins(setting._asdict(), enc_hook=repr)
                         for setting in profile.explain(host=host)],
            "plan": profile.plan("PATH" if path is None else path, host=host)}
