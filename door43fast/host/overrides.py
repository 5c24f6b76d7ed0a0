"""What the environment says of the machine, in place of what is found: for containers that hide it, and to try out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from door43fast.config.units import size
from door43fast.errors import ConfigError, did_you_mean

PREFIX = "DOOR43FAST_HOST_"
DISKS = ("local", "remote", "volatile")


def _cpus(text: str, name: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError(f"{name}={text!r} is no number of processors: give a whole number of 1 or more, or unset it")
    return int(text)


def _disk(text: str, name: str) -> str:
    if text not in DISKS:
        raise ConfigError(f"{name}={text!r} is no kind of disk ('local' or 'remote' or 'volatile'): "
                          f"{did_you_mean(text, DISKS)}")
    return text


def _memory(text: str, name: str) -> int:
    found = size(text, name)
    if not found:
        raise ConfigError(f"{name}={text!r} leaves no memory at all: give bytes, a text such as '256MB', or unset it")
    return found


READERS: dict[str, Callable[[str, str], Any]] = {"CPUS": _cpus, "MEMORY": _memory, "DISK_FREE": size, "DISK": _disk}


def overrides(environ: Mapping[str, str]) -> dict[str, Any]:
    """What is given, by the fields of ``Host``.

    Raises
    ------
    ConfigError
        If a variable of that prefix is unknown, or its value is none.
    """
    found = {}
    for variable, text in environ.items():
        if variable.startswith(PREFIX):
            name = variable[len(PREFIX):]
            if name not in READERS:
                raise ConfigError(f"the environment variable {variable} is unknown: "
                                  f"{did_you_mean(variable, [PREFIX + one for one in READERS])}")
            found[name.lower()] = READERS[name](text, variable)
    return found
