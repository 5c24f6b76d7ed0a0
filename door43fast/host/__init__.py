"""What the machine grants this process, and which stores suit it. See docs/host.md.

Nothing of it is loaded before it is asked for: opening a store needs ``memory_granted`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "Choice": "advice",
    "recommend": "advice",
    "Probe": "probing",
    "probe": "probing",
    "Host": "survey",
    "detect": "survey",
    "memory_granted": "survey",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from door43fast.host.advice import Choice, recommend
    from door43fast.host.probing import Probe, probe
    from door43fast.host.survey import Host, detect, memory_granted


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
