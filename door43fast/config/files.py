"""Plans in TOML and JSON files."""

from __future__ import annotations

import os
from typing import Any

from door43fast.errors import ConfigError

ENDINGS = (".toml", ".json")


def is_plan(target: Any) -> bool:
    """Whether a path means a plan and not a store: by its ending, unless there is a directory of that name."""
    return isinstance(target, str) and target.lower().endswith(ENDINGS) and not os.path.isdir(target)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plan in a TOML or JSON file.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no plan; with the line where it goes wrong.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"the plan {path!r} cannot be read: {error.strerror}; write the file, or name a store "
                          f"without the ending {os.path.splitext(path)[1]!r}") from error
    try:
        if path.lower().endswith(".toml"):
            import tomllib

            plan: Any = tomllib.loads(data.decode())
        else:
            import msgspec

            plan = msgspec.json.decode(data)
    except ValueError as error:     # those of tomllib, msgspec and UTF-8 alike
        raise ConfigError(f"the plan {path!r} is not {os.path.splitext(path)[1][1:].upper()}: {error}") from error
    if not isinstance(plan, dict):
        raise ConfigError(f"the plan {path!r} must be a table with 'type' or 'strategy', not "
                          f"{type(plan).__name__}")
    return plan
