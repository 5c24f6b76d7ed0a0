"""Profiles by name or out of a file, and plans that name one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from door43fast.config import load
from door43fast.config.files import ENDINGS
from door43fast.errors import ConfigError, did_you_mean
from door43fast.profiles.ours import OURS
from door43fast.profiles.profile import Profile

OWN = ("profile", "name", "description", "why", "share", "path")     # what a table may hold beside its tiers
DEEPEST = 16        # files that extend each other


def get(name: Any, folder: str = "", depth: int = 0) -> Profile:
    """A profile of ours by its name, or the one in a TOML or JSON file.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if isinstance(name, Profile):
        return name
    if isinstance(name, (os.PathLike, str)):
        name = os.fspath(name)
        if name.lower().endswith(ENDINGS):
            if depth > DEEPEST:
                raise ConfigError(f"the profile {name!r} extends itself over {DEEPEST} files: name one of ours in it")
            path = os.path.join(folder, name)
            return _from_table(load(path), os.path.basename(name), os.path.dirname(path), depth + 1)
        if name in OURS:
            return OURS[name]
    raise ConfigError(f"there is no profile {name!r}: {did_you_mean(name, OURS)}; another is named by its file, which "
                      "ends in .toml or .json")


def _from_table(table: Mapping[str, Any], name: str, folder: str, depth: int = 0) -> Profile:
    """The profile that a table describes."""
    extends = get(table["profile"], folder, depth) if "profile" in table else None
    tiers = {tier: options for tier, options in table.items() if tier not in OWN}
    known = list(extends._tiers()) if extends else []
    for tier, options in tiers.items():
        if tier not in known and not isinstance(options, Mapping):
            raise ConfigError(f"{name} has no option {tier!r}: {did_you_mean(tier, [*OWN, *known])}")
    why = table.get("why", {})
    if not isinstance(why, Mapping) or not all(isinstance(reason, str) for reason in why.values()):
        raise ConfigError(f"{name}.why must be a table of reasons, such as {{'memory.max_bytes': '...'}}")
    for option in ("name", "description"):
        if not isinstance(table.get(option, ""), str):
            raise ConfigError(f"{name}.{option}={table[option]!r} must be text")
    return Profile(table.get("name", name), extends=extends, description=table.get("description", ""), why=why,
                   share=table.get("share"), **tiers)


def planned(table: Mapping[str, Any], where: str = "plan", folder: str = "") -> dict[str, Any]:
    """The plan of a table with ``profile``, as far as this machine grants it: what ``door43fast.open`` makes of it."""
    from door43fast.host import detect

    profile = _from_table(table, where, folder)
    path = table.get("path")
    if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
        raise ConfigError(f"{where}.path={path!r} is no path")
    return profile.plan(path, host=detect("." if path is None else os.path.join(folder, os.fsdecode(path))))


def opened(profile: Profile, path: Any) -> Any:
    """A store by a profile."""
    from door43fast.assembly import open
    from door43fast.host import detect

    return open(profile.plan(path, host=detect("." if path is None else path)))
