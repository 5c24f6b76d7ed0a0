"""Plans with layers: the strategies that there are, the options of each, and how their layers become one store."""

from __future__ import annotations

from door43fast.plans.schemas import CascadeOptions, GuardOptions
from door43fast.plans.strategies import STRATEGIES, Strategy, guarded, lasting, opened, strategy

__all__ = ["STRATEGIES", "CascadeOptions", "GuardOptions", "Strategy", "guarded", "lasting", "opened", "strategy"]
