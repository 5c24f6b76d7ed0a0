"""What the machine grants this process, and which stores suit it. See docs/host.md.

Nothing of it is loaded before it is asked for: opening a store needs ``memory_granted`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from door43fast.deferred import handing_on

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

__getattr__ = handing_on(__name__, _HOMES)
